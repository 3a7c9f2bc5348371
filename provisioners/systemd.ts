/**
 * Lends podman containers in which a whole system runs: systemd with services,
 * `journalctl`, and `reboot`.
 *
 * A system that reboots comes back: its container is started again, with its
 * files, except those in `/run` and `/tmp`. One that is switched off, or whose
 * init crashes, is lost. They are removed when the script is gone, like the
 * containers of `PodmanProvisioner`.
 *
 * Needs podman 4.0 or later, an image with systemd (see {@linkcode withSystemdImage},
 * and `buildSystemdImage` of `provisioners/podman-image`), a POSIX `sh`, and the
 * permissions of `provisioners/podman`.
 *
 * @example A system that reboots
 * ```ts no-run
 * import { SystemdProvisioner } from "jsr:@atex/atex/provisioners/systemd";
 * import { output, run } from "jsr:@atex/atex/connections/process";
 *
 * await using pool = await new SystemdProvisioner({
 *   image: "localhost/fedora-systemd",
 * }).start();
 * pool.provision();
 * await using remote = await pool.getRemote();
 * await output(remote, ["systemctl", "reboot"]);
 * await remote.disconnect();
 * await remote.connect(); // waits until it is up again
 * console.log(await run(remote, ["systemctl", "status"]));
 * ```
 *
 * @module
 */
import type { SignalOptions } from "../connections/connection.ts";
import { checkKind, checkOptions, type Known } from "../options.ts";
import { borrowImage } from "./_borrowed_image.ts";
import type { BuildImageOptions } from "./_build_image.ts";
import { guard } from "./_guard.ts";
import type { Variant } from "./_podman_backend.ts";
import { CONTAINER_OPTIONS, containerPoolOptions } from "./_podman_pool.ts";
import { openSystemd, revive } from "./_systemd.ts";
import type { PodmanProvisionerOptions } from "./podman.ts";
import { PooledProvisioner } from "./pooled.ts";

/** Options of {@linkcode SystemdProvisioner}. */
export interface SystemdProvisionerOptions
  extends Omit<PodmanProvisionerOptions, "command" | "init"> {
  /**
   * The init of the image.
   *
   * @default {["/sbin/init"]}
   */
  command?: readonly string[] | undefined;
  /**
   * Milliseconds in which the system has to be up, at its first boot and after
   * each other.
   *
   * @default {60_000}
   */
  bootTimeout?: number | undefined;
  /**
   * Gives the container the capability `SYS_BOOT`. Where that is forbidden: without
   * it, a system that is switched off comes back as if it had rebooted, and
   * `reboot -ff` is not possible.
   *
   * @default {true}
   */
  bootCapability?: boolean | undefined;
}

const OPTIONS: Known<SystemdProvisionerOptions> = {
  ...CONTAINER_OPTIONS,
  bootTimeout: "optional",
  bootCapability: "true or false, if given",
};

/**
 * Lends podman containers with systemd in them, each when it is up.
 *
 * `start()` checks podman and the image, pulls it if that is wanted, and removes
 * what scripts left behind that did not get to it, for which it waits at most 5 s.
 * `getRemote()` rejects with a `fatal` {@linkcode ProvisionError} if the image is
 * at fault.
 */
export class SystemdProvisioner extends PooledProvisioner {
  /**
   * Stores the options.
   *
   * @throws {TypeError} if `image` is missing, empty or begins with "-", `podman` is no list of words, or a time no number
   * @throws {RangeError} if a number is out of range
   */
  constructor(options: SystemdProvisionerOptions) {
    checkOptions("SystemdProvisioner", options, OPTIONS);
    const { bootTimeout = 60_000, bootCapability = true } = options;
    const variant: Variant = {
      kind: "systemd",
      command: ["/sbin/init"],
      // It has to survive its own reboot: no --rm.
      options: [
        "--systemd=always",
        "--stop-timeout=10",
        ...(bootCapability ? ["--cap-add=SYS_BOOT"] : []),
      ],
      boots: true,
      open: ({ name: container, podman, lost }, signal) =>
        openSystemd({ container, podman, lost, bootTimeout }, signal),
      revive: (cli, name, isWanted) =>
        revive(cli, name, bootCapability, isWanted),
    };
    super(containerPoolOptions(options, variant, { bootTimeout }));
  }
}

/** Options of {@linkcode withSystemdImage}. */
export interface WithSystemdImageOptions
  extends Omit<SystemdProvisionerOptions, "image">, SignalOptions {
  /**
   * How the image is built, see `buildSystemdImage` of `provisioners/podman-image`.
   *
   * @default `{}`
   */
  build?: Omit<BuildImageOptions, "pull" | "podman" | "signal"> | undefined;
}

const { image: _image, ...ALL_BUT_IMAGE } = OPTIONS;

const WITH_IMAGE: Known<WithSystemdImageOptions> = {
  ...ALL_BUT_IMAGE,
  build: "an object, if given",
  signal: "optional",
};

/** Systems of an image that was built for them. Disposing of it is the end of both. */
export interface SystemsOfImage extends AsyncDisposable {
  /** The name of the image. */
  readonly image: string;
  /** Lends the systems. It is started. */
  readonly pool: SystemdProvisioner;
}

/**
 * Builds an image with systemd on top of another one, unless it is there already,
 * and starts a provisioner of it. At the end the provisioner is stopped, and the
 * image removed, unless it was not built by this function, or somebody wants it by
 * `buildSystemdImage()`, too. If several have it by this function, in whichever
 * scripts, the last one removes it.
 *
 * @param origin the image on which is built; `pull` says whether it is fetched
 * @param options those of the provisioner, and how the image is built
 * @throws {ProvisionError} if the origin is missing, something cannot be installed, or systems cannot be had
 * @throws {TypeError} if an option cannot be used
 * @throws {RangeError} if a number is out of range
 *
 * @example
 * ```ts no-run
 * import { withSystemdImage } from "jsr:@atex/atex/provisioners/systemd";
 * import { run } from "jsr:@atex/atex/connections/process";
 *
 * await using systems = await withSystemdImage("fedora:42", {
 *   pull: "missing",
 *   build: { packages: ["rsync", "httpd"] },
 * });
 * systems.pool.provision();
 * await using remote = await systems.pool.getRemote();
 * console.log(await run(remote, ["systemctl", "start", "httpd"]));
 * ```
 */
export async function withSystemdImage(
  origin: string,
  options: WithSystemdImageOptions = {},
): Promise<SystemsOfImage> {
  checkKind("withSystemdImage()", "origin", origin, "a string");
  checkOptions("withSystemdImage()", options, WITH_IMAGE);
  const { build, pull = "never", signal, ...rest } = options;
  new SystemdProvisioner({ ...rest, image: origin }); // refuses what is wrong before the build
  const { podman, onEvent } = rest;
  const emit = guard(onEvent);
  await using stack = new AsyncDisposableStack();
  const image = stack.use(
    await borrowImage(origin, {
      ...build,
      pull,
      podman,
      signal,
      pulling: () => emit({ type: "pulling", image: origin }),
      onTrouble: (error) => emit({ type: "warning", error }),
    }),
  );
  const pool = stack.use(
    new SystemdProvisioner({ ...rest, image: image.name }),
  );
  await pool.start({ signal });
  const resources = stack.move();
  return {
    image: image.name,
    pool,
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}
