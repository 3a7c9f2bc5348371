/**
 * Lends podman containers in which a whole system runs: systemd with services,
 * `journalctl`, and `reboot`.
 *
 * A system that reboots comes back: its container is started again, with its
 * files, except those in `/run` and `/tmp`. One that is switched off, or whose
 * init crashes, is lost. Like the containers of `PodmanProvisioner`, they never
 * outlive the script.
 *
 * Needs podman 4.0 or later, an image with systemd (see
 * `buildSystemdImage` of `provisioners/podman-image`), a POSIX `sh`, and in practice
 * `deno run -A`.
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
import { containerPool } from "./_podman_pool.ts";
import type { Pool } from "./_pool.ts";
import { openSystemd, revive } from "./_systemd.ts";
import type { PodmanProvisionerOptions } from "./podman.ts";
import type { Provisioner, Remote } from "./provisioner.ts";

/** Options of {@linkcode SystemdProvisioner}. */
export interface SystemdProvisionerOptions
  extends Omit<PodmanProvisionerOptions, "command" | "init"> {
  /**
   * The init of the image.
   *
   * @default {["/sbin/init"]}
   */
  command?: readonly string[];
  /**
   * Milliseconds in which the system has to be up, at its first boot and after
   * each other.
   *
   * @default {60_000}
   */
  bootTimeout?: number;
  /**
   * Gives the container the capability `SYS_BOOT`. Where that is forbidden: without
   * it, a system that is switched off comes back as if it had rebooted, and
   * `reboot -ff` is not possible.
   *
   * @default {true}
   */
  bootCapability?: boolean;
}

/** Lends podman containers with systemd in them. */
export class SystemdProvisioner implements Provisioner {
  /** `systemd:` and the image */
  readonly name: string;
  /** Most containers at one moment. */
  readonly maxRemotes: number;
  readonly #pool: Pool;

  /**
   * Stores the options.
   *
   * @throws {TypeError} if `image` is empty or begins with "-"
   * @throws {RangeError} if a number is out of range
   */
  constructor(options: SystemdProvisionerOptions) {
    const {
      image,
      maxRemotes = 10,
      bootTimeout = 60_000,
      bootCapability = true,
    } = options;
    this.#pool = containerPool(options, {
      kind: "systemd",
      command: ["/sbin/init"],
      // It has to survive its own reboot: no --rm.
      options: [
        "--systemd=always",
        "--stop-timeout=10",
        ...(bootCapability ? ["--cap-add=SYS_BOOT"] : []),
      ],
      open: (container, podman, lost, signal) =>
        openSystemd({ container, podman, lost, bootTimeout }, signal),
      revive: (cli, name, isWanted) =>
        revive(cli, name, bootCapability, isWanted),
    }, { bootTimeout });
    this.name = `systemd:${image}`;
    this.maxRemotes = maxRemotes;
  }

  /**
   * Checks podman and the image, pulls it if that is wanted, and removes what
   * scripts left behind that did not get to it (for which it waits at most 5 s).
   *
   * @throws {ProvisionError} if podman is missing or does not work, or the image is not there
   */
  async start(options?: SignalOptions): Promise<this> {
    await this.#pool.start(options);
    return this;
  }

  /**
   * Asks for more systems: `count`, or 1. Never waits.
   *
   * @throws {RangeError} if `count` is neither a positive integer nor `Infinity`, or if it and `maxRemotes` are both `Infinity`
   * @throws {ProvisionerStoppedError} before `start()` and after `stop()`
   */
  provision(count?: number): void {
    this.#pool.provision(count);
  }

  /**
   * Waits for the next system that is up.
   *
   * @throws {ProvisionError} if one could not be had; `fatal` if the image is at fault
   * @throws {ProvisionerStoppedError} if `stop()` was called
   */
  getRemote(options?: SignalOptions): Promise<Remote> {
    return this.#pool.getRemote(options);
  }

  /** Drops what was asked for and has not begun. */
  clear(): void {
    this.#pool.clear();
  }

  /**
   * Ends what is being made and removes all containers.
   *
   * @throws {AggregateError} if some could not be removed; the watchdog goes on trying
   */
  stop(): Promise<void> {
    return this.#pool.stop();
  }

  /** Stops; failures are events only. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop().catch(() => {});
  }
}
