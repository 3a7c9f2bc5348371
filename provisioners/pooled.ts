/**
 * The engine of the provisioners of this package, for one of your own: say how a
 * system is made and how it is taken back, and leave requests, places, delivery
 * in order, aborts, time limits, events and the end to the pool.
 *
 * @example A provisioner that lends directories of this machine
 * ```ts
 * import { LocalConnection } from "jsr:@atex/atex/connections/local";
 * import { PooledProvisioner } from "jsr:@atex/atex/provisioners/pooled";
 *
 * class Directories extends PooledProvisioner {
 *   constructor(maxRemotes: number) {
 *     super({
 *       name: "directories",
 *       maxRemotes,
 *       backend: {
 *         async reserve({ identify }) {
 *           const cwd = await Deno.makeTempDir();
 *           identify(cwd);
 *           return {
 *             id: cwd,
 *             attributes: {},
 *             reusable: false,
 *             connection: await LocalConnection.open({ cwd }),
 *           };
 *         },
 *         dispose: ({ id }) => Deno.remove(id, { recursive: true }),
 *       },
 *     });
 *   }
 * }
 *
 * await using pool = await new Directories(4).start();
 * pool.provision(2);
 * await using one = await pool.getRemote();
 * await using other = await pool.getRemote();
 * console.log(one.id, other.id);
 * ```
 *
 * @module
 */
import type { SignalOptions } from "../connections/connection.ts";
import { checkOptions, type Known } from "../options.ts";
import {
  type Backend,
  type Reserving,
  type Starting,
  StillAliveError,
  type System,
} from "./_backend.ts";
import { Pool, type PoolOptions } from "./_pool.ts";
import type { Provisioner, Remote } from "./provisioner.ts";

export { StillAliveError };
export type { Backend, PoolOptions, Reserving, Starting, System };

const OPTIONS: Known<PoolOptions> = {
  name: "a string",
  maxRemotes: "a number",
  backend: "an object",
  limit: "what sharedLimit() gives, if given",
  reserveTimeout: "optional",
  reserveStagger: "optional",
  stopConcurrency: "optional",
  stopTimeout: "optional",
  onEvent: "a function, if given",
};

/** A provisioner that is a pool of what a {@linkcode Backend} makes. */
export class PooledProvisioner implements Provisioner {
  /** Names the provisioner in logs and events. */
  readonly name: string;
  readonly #pool: Pool;

  /**
   * Stores the options.
   *
   * @throws {TypeError} if an option is missing, misspelt or of the wrong kind
   * @throws {RangeError} if `maxRemotes` is neither a whole number nor `Infinity`, or `stopConcurrency` neither a positive one nor that, or a time is not above 0 (`reserveStagger`: below it)
   */
  constructor(options: PoolOptions) {
    checkOptions("PooledProvisioner", options, OPTIONS);
    this.name = options.name;
    this.#pool = new Pool(options);
  }

  /** Most systems lent at one moment. */
  get maxRemotes(): number {
    return this.#pool.maxRemotes;
  }

  /**
   * Checks what is needed and begins to serve.
   *
   * @throws {ProvisionError} if systems cannot be had: a program, an image or a right is missing
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
   * Waits for the next system that is ready.
   *
   * @throws {ProvisionError} if one could not be had; `fatal` if no other can be
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
   * Ends what is being made, takes back all systems and frees everything; see
   * `stopTimeout` for how long that may take.
   *
   * @throws {AggregateError} if some could not be given back, or not in time
   */
  stop(): Promise<void> {
    return this.#pool.stop();
  }

  /** Stops; failures are events only. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop().catch(() => {});
  }
}
