/**
 * The contract of provisioners: how systems are asked for, lent and given back.
 *
 * An object of your own that fits {@linkcode Provisioner} is as good as the ones
 * of this package.
 *
 * @example Ask for one system, use it, give it back
 * ```ts
 * import { PodmanProvisioner } from "jsr:@atex/atex/provisioners/podman";
 * import { run } from "jsr:@atex/atex/connections/process";
 *
 * await using pool = await new PodmanProvisioner({ image: "fedora:42" }).start();
 * pool.provision(1);
 * await using remote = await pool.getRemote();
 * console.log(remote.id, await run(remote, ["uname", "-r"]));
 * ```
 *
 * @module
 */
import type { Connection, SignalOptions } from "../connections/connection.ts";

/**
 * Why a system is given back: it is not needed any more (`done`), a test left it
 * unusable (`destroyed`), it could not be set up (`setup-failed`), nobody ever
 * needed it (`surplus`), or the run was ended (`abort`).
 */
export type ReleaseReason =
  | "done"
  | "destroyed"
  | "setup-failed"
  | "surplus"
  | "abort";

/** Options of {@linkcode Remote.release}. */
export interface ReleaseOptions {
  /**
   * Why the system is given back.
   *
   * @default {"done"}
   */
  reason?: ReleaseReason | undefined;
}

/** A connected system, lent by a provisioner. Disposing of it releases it. */
export interface Remote extends Connection {
  /** Names the system in logs and reports, unique in the process: `podman:3f2a9c`. */
  readonly id: string;
  /** What it is: image, host, domain, compose … For logs and reports. */
  readonly attributes: Readonly<Record<string, string>>;
  /** True if the same system is lent again after its release. */
  readonly reusable: boolean;
  /** Resolves with the reason if the system vanishes by itself. May never settle. */
  readonly lost: Promise<Error>;
  /**
   * Disconnects and gives the system back; resolves when that is done. Repeated
   * calls return the promise of the first one.
   *
   * @throws {ProvisionError} if the system could not be given back
   */
  release(options?: ReleaseOptions): Promise<void>;
}

/** A source of systems. */
export interface Provisioner extends AsyncDisposable {
  /** Names the provisioner in logs and events. */
  readonly name: string;
  /** Most systems lent at one moment; `Infinity` if unknown. */
  readonly maxRemotes: number;

  /**
   * Checks what is needed and begins to serve. Its `signal` ends that. A call while
   * another is under way waits for the same, until its own `signal` is aborted.
   *
   * @throws {ProvisionError} if systems cannot be had: a program, an image or a right is missing
   */
  start(options?: SignalOptions): Promise<this>;

  /**
   * Asks for `count` more systems (1 if not given; `Infinity`: as many as
   * `maxRemotes` allows, again and again until {@linkcode clear}). Never waits.
   *
   * @throws {RangeError} if `count` is neither a positive integer nor `Infinity`, or if it and `maxRemotes` are both `Infinity`
   * @throws {ProvisionerStoppedError} before `start()` and after `stop()`
   */
  provision(count?: number): void;

  /**
   * Waits for the next ready system, whoever asked for it: there are only as many as
   * were asked for by {@linkcode provision}. Callers are served in
   * the order of their calls. The wait ends when its `signal` is aborted. A caller who stops waiting loses no system: it
   * stays queued for the next one.
   *
   * @throws {ProvisionError} if a reservation failed; `fatal` if no other can succeed
   * @throws {ProvisionerStoppedError} if `stop()` was called
   */
  getRemote(options?: SignalOptions): Promise<Remote>;

  /**
   * Drops what was asked for and has not begun. What is being made is handed
   * out when it is ready; if that fails, it is not tried again.
   */
  clear(): void;

  /** Ends reservations under way, releases every system, frees everything. */
  stop(): Promise<void>;
}

/** What is known of a failed reservation. */
export interface ProvisionErrorOptions extends ErrorOptions {
  /**
   * True if no further reservation of this provisioner can succeed.
   *
   * @default {false}
   */
  fatal?: boolean | undefined;
}

/** A system could not be had, or not be given back. */
export class ProvisionError extends Error {
  /** True if no further reservation of this provisioner can succeed. */
  readonly fatal: boolean;

  /** Creates the error. */
  constructor(message: string, options: ProvisionErrorOptions = {}) {
    super(message, options);
    this.name = "ProvisionError";
    this.fatal = options.fatal ?? false;
  }
}

/** A provisioner was used before `start()` or after `stop()`. */
export class ProvisionerStoppedError extends Error {
  /** Creates the error. */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ProvisionerStoppedError";
  }
}
