/**
 * Builds container images with what tests need, once: to install it in every
 * container anew is slow.
 *
 * An image is made of a container in which packages are installed and files are
 * written, by root. What it runs, as which user, its variables and its health check
 * are those of its origin; what goes into a volume of that is not in the image.
 * Nothing is left of a build that was aborted or whose script died.
 *
 * Needs podman 4.0 or later, the network, and the permissions of `provisioners/podman`.
 *
 * @example Containers with rsync and Python
 * ```ts no-run
 * import { buildImage } from "jsr:@atex/atex/provisioners/podman-image";
 * import { PodmanProvisioner } from "jsr:@atex/atex/provisioners/podman";
 *
 * const image = await buildImage("registry.fedoraproject.org/fedora:42", {
 *   pull: "missing",
 *   packages: ["rsync", "python3"],
 * });
 * await using pool = await new PodmanProvisioner({ image }).start();
 * ```
 *
 * @module
 */
import type { SignalOptions } from "../connections/connection.ts";
import { checkProgram } from "../connections/program.ts";
import { checkKind, checkOptions, type Known } from "../options.ts";
import {
  type BuildImageOptions,
  buildOnce,
  buildSystemdOnce,
} from "./_build_image.ts";
import { PodmanCli } from "./_podman_cli.ts";
import { pullFrom } from "./_podman_image.ts";

export type { BuildImageOptions };

/** Options of {@linkcode pullImage}. */
export interface PullImageOptions extends SignalOptions {
  /**
   * The podman program, and arguments that come before all others.
   *
   * @default {["podman"]}
   */
  podman?: readonly string[] | undefined;
}

const PULL_OPTIONS: Known<PullImageOptions> = {
  podman: "optional",
  signal: "optional",
};

const BUILD_OPTIONS: Known<BuildImageOptions> = {
  packages: "a list of strings, if given",
  files: "an object of texts, if given",
  tag: "a string, if given",
  pull: ["never", "missing", "newer", "always"],
  runOptions: "a list of strings, if given",
  podman: "optional",
  timeout: "optional",
  signal: "optional",
};

/**
 * Fetches an image from its registry, also if there is one of that name already.
 *
 * @returns its id
 * @throws {ProvisionError} if that is not possible
 * @throws {TypeError} if `podman` is no list of words
 *
 * @example
 * ```ts no-run
 * import { pullImage } from "jsr:@atex/atex/provisioners/podman-image";
 *
 * const signal = AbortSignal.timeout(600_000);
 * console.log(await pullImage("quay.io/fedora/fedora:42", { signal }));
 * ```
 */
export async function pullImage(
  name: string,
  options: PullImageOptions = {},
): Promise<string> {
  checkKind("pullImage()", "name", name, "a string");
  checkOptions("pullImage()", options, PULL_OPTIONS);
  const { podman = ["podman"], signal } = options;
  checkProgram("podman", podman);
  return await pullFrom(new PodmanCli(podman, Infinity), name, signal);
}

/**
 * Builds an image on top of another one, unless it is there already. One that
 * `withSystemdImage()` has built stays from now on.
 *
 * @returns its name
 * @throws {ProvisionError} if the origin is missing, something cannot be installed, or a file would be in a volume
 * @throws {TypeError} if the path of a file is not absolute, `podman` is no list of words, or `timeout` no number
 * @throws {RangeError} if `timeout` is not above 0
 */
export async function buildImage(
  origin: string,
  options: BuildImageOptions = {},
): Promise<string> {
  checkKind("buildImage()", "origin", origin, "a string");
  checkOptions("buildImage()", options, BUILD_OPTIONS);
  return await buildOnce(origin, options);
}

/**
 * As {@linkcode buildImage}, for `SystemdProvisioner`: with systemd beside the
 * packages asked for, and run by root whoever the user of the origin is.
 *
 * @returns its name
 * @throws {ProvisionError} if the origin is missing, or something cannot be installed
 * @throws {TypeError} if the path of a file is not absolute, or `podman` is no list of words
 *
 * @example
 * ```ts no-run
 * import { buildSystemdImage } from "jsr:@atex/atex/provisioners/podman-image";
 * import { SystemdProvisioner } from "jsr:@atex/atex/provisioners/systemd";
 *
 * const image = await buildSystemdImage("fedora:42", { pull: "missing" });
 * await using pool = await new SystemdProvisioner({ image }).start();
 * ```
 */
export async function buildSystemdImage(
  origin: string,
  options: BuildImageOptions = {},
): Promise<string> {
  checkKind("buildSystemdImage()", "origin", origin, "a string");
  checkOptions("buildSystemdImage()", options, BUILD_OPTIONS);
  return await buildSystemdOnce(origin, options);
}
