import { abortable } from "@std/async/abortable";
import { join } from "@std/path/join";
import {
  BORROWED,
  type BuildOptions,
  buildSystemdOnce,
} from "./_build_image.ts";
import { findLivingRuns } from "./_other_runs.ts";
import { PodmanCli } from "./_podman_cli.ts";
import { imageExists } from "./_podman_image.ts";
import { holdRun, nextNumber, type Run } from "./_run.ts";
import { ProvisionError } from "./provisioner.ts";

/** Milliseconds in which an image has to be removed. */
const PATIENCE = 60_000;
/** How podman ends if an image is not there, or something is made of it. */
const MISSING = 1;
const IN_USE = 2;

export interface BorrowOptions extends Omit<BuildOptions, "claim"> {
  /** Told of an image that could not be removed. */
  readonly onTrouble: (error: Error) => void;
}

/**
 * An image with systemd until it is disposed of. The last who has borrowed it, in
 * whichever script, removes it, unless it was not built for a borrower.
 */
export async function borrowImage(
  origin: string,
  { onTrouble, ...options }: BorrowOptions,
): Promise<AsyncDisposable & { readonly name: string }> {
  const cli = new PodmanCli(options.podman ?? ["podman"], PATIENCE);
  await using stack = new AsyncDisposableStack();
  const claim = async (image: string, signal: AbortSignal) => {
    const loans = `image ${image} in ${cli.runKind}`;
    const loan = `${loans}: ${nextNumber()}`;
    const run = stack.use(await holdRun(loan));
    stack.defer(async () => {
      try {
        using _ = await lockLoans(run);
        await run.strike(loan);
        if (!await isLent(loans)) await removeBorrowed(cli, image);
      } catch (error) {
        onTrouble(error as Error);
      }
    });
    return await lockLoans(run, signal);
  };
  const name = await buildSystemdOnce(origin, { ...options, claim });
  const resources = stack.move();
  return { name, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

/** While it is held, no script of this user finds an image, nor removes it as the last. */
async function lockLoans(
  { directory }: Run,
  signal?: AbortSignal,
): Promise<Disposable> {
  using stack = new DisposableStack();
  const file = stack.use(
    await Deno.open(join(directory, "..", "images.lock"), {
      create: true,
      write: true,
      mode: 0o600,
    }),
  );
  const locked = file.lock(true);
  await (signal ? abortable(locked, signal) : locked);
  return stack.move();
}

/** Whether somebody has borrowed the image. */
async function isLent(loans: string): Promise<boolean> {
  return (await findLivingRuns()).some(({ kinds }) =>
    kinds.some((kind) => kind.startsWith(`${loans}: `))
  );
}

async function removeBorrowed(cli: PodmanCli, image: string): Promise<void> {
  if (!await imageExists(cli, image)) return;
  const { stdout } = await cli.output(
    ["image", "inspect", "--format=json", image],
  );
  const [{ Config }] = JSON.parse(stdout);
  if (Config?.Labels?.[BORROWED] !== image) return;
  const { code, said } = await cli.output(["image", "rm", image]);
  if ([0, MISSING, IN_USE].includes(code)) return;
  throw new ProvisionError(`Cannot remove the image "${image}": ${said}`);
}
