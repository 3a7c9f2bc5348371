import type { PodmanCli } from "./_podman_cli.ts";
import { ProvisionError } from "./provisioner.ts";

/** When an image is fetched from its registry: see `PodmanProvisioner`. */
export type PullPolicy = "never" | "missing" | "newer" | "always";

/** Makes sure that the image is here; pulls it if the policy says so, which `pulling` is told of. */
export async function provideImage(
  cli: PodmanCli,
  image: string,
  pull: PullPolicy,
  { signal, pulling }: { signal?: AbortSignal; pulling?: () => void } = {},
): Promise<void> {
  const here = await imageExists(cli, image, signal);
  if (pull === "never" && !here) throw imageMissing(cli, image);
  if (pull === "never" || pull === "missing" && here) return;
  pulling?.();
  try {
    await pullFrom(cli, image, signal);
  } catch (error) {
    signal?.throwIfAborted();
    // Where the registry cannot be asked, the image that is here is the newest.
    if (!(pull === "newer" && here)) throw error;
  }
}

export async function imageExists(
  cli: PodmanCli,
  image: string,
  signal?: AbortSignal,
): Promise<boolean> {
  const { code, said } = await cli.output(["image", "exists", image], {
    signal,
  });
  if (code === 0 || code === 1) return code === 0;
  throw new ProvisionError(`Cannot look for the image "${image}": ${said}`, {
    fatal: true,
  });
}

/** Fetches an image, however long that takes, and gives its id. */
export async function pullFrom(
  cli: PodmanCli,
  image: string,
  signal?: AbortSignal,
): Promise<string> {
  const { code, stdout, said } = await cli.output(
    ["image", "pull", "-q", image],
    { signal, timeout: Infinity },
  );
  if (code !== 0) {
    throw new ProvisionError(`Cannot pull the image "${image}": ${said}`, {
      fatal: true,
    });
  }
  return stdout.trim();
}

/** The error for an image that is not here, with what to do about it. */
export function imageMissing(cli: PodmanCli, image: string): ProvisionError {
  const build = `build it with "${cli.program} build -t ${image} DIRECTORY"`;
  const advice = image.startsWith("localhost/")
    ? build
    : `pull it with "${cli.program} pull ${image}", ${build}, or set the option "pull" to "missing"`;
  return new ProvisionError(
    `Cannot use the image "${image}": it is not on this system; ${advice}`,
    { fatal: true },
  );
}
