/**
 * Lends podman containers, each made for one use and removed afterwards.
 *
 * However the script ends, a watchdog process notices its end and removes its
 * containers; the next start of this provisioner by
 * the same user removes what a watchdog could not, and podman itself ends each
 * after {@linkcode PodmanProvisionerOptions.maxLifetime}.
 *
 * Needs podman 4.0 or later, a POSIX `sh`, and the permissions to run programs,
 * to read and write files and to read the environment, the host name and the
 * user id (`--allow-run=podman,sh`, `--allow-read`, `--allow-write`,
 * `--allow-env=XDG_RUNTIME_DIR`, `--allow-sys=uid,hostname`).
 *
 * @example A container, for a moment
 * ```ts
 * import { PodmanProvisioner } from "jsr:@atex/atex/provisioners/podman";
 * import { run } from "jsr:@atex/atex/connections/process";
 *
 * await using pool = await new PodmanProvisioner({
 *   image: "registry.fedoraproject.org/fedora:42",
 *   pull: "missing",
 *   maxRemotes: 4,
 * }).start();
 * pool.provision();
 * await using remote = await pool.getRemote();
 * console.log(remote.id, await run(remote, ["ls", "/"]));
 * ```
 *
 * @module
 */
import { checkOptions, type Known } from "../options.ts";
import { plainVariant } from "./_podman_backend.ts";
import { CONTAINER_OPTIONS, containerPoolOptions } from "./_podman_pool.ts";
import type { EventOptions } from "./events.ts";
import { PooledProvisioner } from "./pooled.ts";
import type { SharedLimit } from "./shared_limit.ts";

/** Options of {@linkcode PodmanProvisioner}. */
export interface PodmanProvisionerOptions extends EventOptions {
  /** Name or id of the image. */
  image: string;
  /**
   * Most containers at one moment.
   *
   * @default {10}
   */
  maxRemotes?: number | undefined;
  /**
   * More options of `podman container run`. The container is known by its name
   * and removed when it ends: `--name`, `--restart` and `--replace` are not for here.
   *
   * @default {[]}
   */
  runOptions?: readonly string[] | undefined;
  /**
   * The command that keeps the container alive.
   *
   * @default {["sleep", "inf"]}
   */
  command?: readonly string[] | undefined;
  /**
   * Whether `start()` fetches the image: `never`, if it is `missing`, if the
   * registry can be reached and has a `newer` one, or `always`.
   *
   * @default {"never"}
   */
  pull?: "never" | "missing" | "newer" | "always" | undefined;
  /**
   * Run an init process, which collects the orphans of tests.
   *
   * @default {true}
   */
  init?: boolean | undefined;
  /**
   * Milliseconds after which podman ends a container in any case; `Infinity` for
   * no limit.
   *
   * @default `86_400_000`, a day
   */
  maxLifetime?: number | undefined;
  /**
   * The podman program, and arguments that come before all others, as in
   * `["podman", "--remote"]`. Docker is not supported.
   *
   * @default {["podman"]}
   */
  podman?: readonly string[] | undefined;
  /**
   * How many containers are made at the same time, and how many removed. More
   * than there are processors delay the first without speeding up the last.
   *
   * @default the number of processors, but at least 2 and at most 4
   */
  parallel?: number | undefined;
  /**
   * Milliseconds in which a container has to be ready.
   *
   * @default {300_000}
   */
  reserveTimeout?: number | undefined;
  /**
   * Milliseconds in which a podman command that does not make a container or
   * pull an image has to end.
   *
   * @default {60_000}
   */
  commandTimeout?: number | undefined;
  /**
   * Shared by several provisioners, it bounds what they lend together: see
   * {@linkcode SharedLimit}.
   *
   * @default nothing is shared
   */
  limit?: SharedLimit | undefined;
}

const OPTIONS: Known<PodmanProvisionerOptions> = {
  ...CONTAINER_OPTIONS,
  init: "true or false, if given",
};

/**
 * Lends podman containers of an image.
 *
 * `start()` checks podman and the image, pulls it if that is wanted, and removes
 * what scripts left behind that did not get to it, for which it waits at most 5 s.
 * `getRemote()` rejects with a `fatal` {@linkcode ProvisionError} if the image or
 * the command is at fault.
 */
export class PodmanProvisioner extends PooledProvisioner {
  /**
   * Stores the options.
   *
   * @throws {TypeError} if `image` is missing, `image` or `command` is empty, `image` begins with "-", `podman` is no list of words, or a time no number
   * @throws {RangeError} if a number is out of range
   */
  constructor(options: PodmanProvisionerOptions) {
    checkOptions("PodmanProvisioner", options, OPTIONS);
    const { init = true } = options;
    super(containerPoolOptions(options, plainVariant(init)));
  }
}
