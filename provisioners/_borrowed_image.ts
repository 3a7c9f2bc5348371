import {
  type BuildOptions,
  buildSystemdOnce,
  isBorrowed,
} from "./_build_image.ts";
import { lockImage } from "./_image_lock.ts";
import { findLivingRuns } from "./_other_runs.ts";
import { PodmanCli } from "./_podman_cli.ts";
import { imageExists } from "./_podman_image.ts";
import { holdRun, nextNumber } from "./_run.ts";
import { ProvisionError } from "./provisioner.ts";

/** Milliseconds for a lock to become free, and for each command of a removal. */
const PATIENCE = 60_000;
/** How podman ends if an image is not there, or something is made of it. */
const MISSING = 1;
const IN_USE = 2;

export interface BorrowOptions extends Omit<BuildOptions, "claim"> {
  /** Told of an image that could not be removed. */
  readonly onTrouble: (error: Error) => void;
  /** Milliseconds instead of `PATIENCE`. */
  readonly patience?: number;
}

/**
 * An image with systemd until it is disposed of. The last who has borrowed it, in
 * whichever script, removes it, unless it was not built for a borrower.
 */
export async function borrowImage(
  origin: string,
  { onTrouble, patience = PATIENCE, ...options }: BorrowOptions,
): Promise<AsyncDisposable & { readonly name: string }> {
  const cli = new PodmanCli(options.podman ?? ["podman"], patience);
  await using stack = new AsyncDisposableStack();
  const claim = async (image: string) => {
    const loans = `image ${image} in ${cli.runKind}`;
    const loan = `${loans}: ${nextNumber()}`;
    const run = stack.use(await holdRun(loan));
    stack.defer(async () => {
      try {
        await run.strike(loan);
        await removeUnlessLent(cli, image, loans);
      } catch (error) {
        onTrouble(error as Error);
      }
    });
  };
  const name = await buildSystemdOnce(origin, { ...options, claim });
  const resources = stack.move();
  return { name, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

async function removeUnlessLent(
  cli: PodmanCli,
  image: string,
  loans: string,
): Promise<void> {
  // Whoever has borrowed it may have it locked, for as long as a build takes.
  if (await isLent(loans)) return;
  using _lock = await lockImage(cli, image, { timeout: cli.timeout });
  if (await isLent(loans)) return;
  if (!await imageExists(cli, image) || !await isBorrowed(cli, image)) return;
  const { code, said } = await cli.output(["image", "rm", image]);
  if ([0, MISSING, IN_USE].includes(code)) return;
  throw new ProvisionError(`Cannot remove the image "${image}": ${said}`);
}

/** Whether somebody has borrowed the image. */
async function isLent(loans: string): Promise<boolean> {
  return (await findLivingRuns()).some(({ kinds }) =>
    kinds.some((kind) => kind.startsWith(`${loans}: `))
  );
}
