import { type BuildOptions, buildSystemdOnce } from "./_build_image.ts";
import { kindsOfOthers } from "./_other_runs.ts";
import { PodmanCli } from "./_podman_cli.ts";
import { holdRun } from "./_run.ts";
import { ProvisionError } from "./provisioner.ts";

/** Milliseconds in which an image has to be removed. */
const PATIENCE = 60_000;
/** How podman ends if an image is not there, or something is made of it. */
const MISSING = 1;
const IN_USE = 2;

export interface BorrowOptions extends BuildOptions {
  /** Told of an image that could not be removed. */
  readonly onTrouble: (error: Error) => void;
}

/**
 * An image with systemd until it is disposed of: then it is removed if it was not
 * there before, and no other script has borrowed it.
 */
export async function borrowImage(
  origin: string,
  options: BorrowOptions,
): Promise<AsyncDisposable & { readonly name: string }> {
  const { image, isNew } = await buildSystemdOnce(origin, options);
  await using stack = new AsyncDisposableStack();
  const kind = `image ${image}`;
  const run = stack.use(await holdRun(kind));
  if (isNew) {
    stack.defer(async () => {
      const others = await kindsOfOthers(run);
      if (others.some((kinds) => kinds.includes(kind))) return;
      await remove(image, options.podman).catch(options.onTrouble);
    });
  }
  const resources = stack.move();
  return {
    name: image,
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

async function remove(
  image: string,
  podman: readonly string[] = ["podman"],
): Promise<void> {
  const cli = new PodmanCli(podman, PATIENCE);
  const { code, said } = await cli.output(["image", "rm", image]);
  if ([0, MISSING, IN_USE].includes(code)) return;
  throw new ProvisionError(`Cannot remove the image "${image}": ${said}`);
}
