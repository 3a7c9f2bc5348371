/**
 * Lends the system that the script runs on: to try something out, or inside a
 * virtual machine or container that was made for the tests anyway.
 *
 * Nothing keeps the systems apart: they share files, packages and ports.
 *
 * @example Run something on the system itself, as if it had been lent
 * ```ts
 * import { LocalProvisioner } from "jsr:@atex/atex/provisioners/local";
 * import { run } from "jsr:@atex/atex/connections/process";
 *
 * await using pool = await new LocalProvisioner().start();
 * pool.provision();
 * await using remote = await pool.getRemote();
 * console.log(remote.id, await run(remote, ["uname", "-r"]));
 * ```
 *
 * @module
 */
import type { Semaphore } from "@std/async/unstable-semaphore";
import type { SignalOptions } from "../connections/connection.ts";
import {
  LocalConnection,
  type LocalConnectionOptions,
} from "../connections/local.ts";
import type { Reserving, System } from "./_backend.ts";
import { Pool } from "./_pool.ts";
import { nextNumber } from "./_run.ts";
import type { EventOptions } from "./events.ts";
import type { Provisioner, Remote } from "./provisioner.ts";

/** Options of {@linkcode LocalProvisioner}. */
export interface LocalProvisionerOptions
  extends EventOptions, LocalConnectionOptions {
  /**
   * Most systems lent at one moment. All of them are the same system: more than
   * one is for tests that do not get in each other's way.
   *
   * @default {1}
   */
  maxRemotes?: number;
  /**
   * Shared by several provisioners, it bounds what they lend together.
   *
   * @default nothing is shared
   */
  limit?: Semaphore;
}

/** Lends the system that the script runs on. Needs the permission to tell its name. */
export class LocalProvisioner implements Provisioner {
  /** `local` */
  readonly name: string = "local";
  /** Most systems lent at one moment. */
  readonly maxRemotes: number;
  readonly #pool: Pool;

  /**
   * Stores the options.
   *
   * @throws {RangeError} if `maxRemotes` is neither a whole number nor `Infinity`
   */
  constructor(options: LocalProvisionerOptions = {}) {
    const { maxRemotes = 1, limit, onEvent, ...connection } = options;
    this.maxRemotes = maxRemotes;
    this.#pool = new Pool({
      name: this.name,
      maxRemotes,
      limit,
      onEvent,
      backend: {
        reserve: (reserving) => reserve(reserving, connection),
        dispose: () => Promise.resolve(),
      },
    });
  }

  /** Begins to serve. */
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
   * Waits for the next ready system.
   *
   * @throws {ProvisionError} if `maxRemotes` is 0
   * @throws {ProvisionerStoppedError} if `stop()` was called
   */
  getRemote(options?: SignalOptions): Promise<Remote> {
    return this.#pool.getRemote(options);
  }

  /** Drops what was asked for and has not begun. */
  clear(): void {
    this.#pool.clear();
  }

  /** Takes back all systems. What tests left running goes on. */
  stop(): Promise<void> {
    return this.#pool.stop();
  }

  /** Stops; failures are events only. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop().catch(() => {});
  }
}

async function reserve(
  { signal, identify }: Reserving,
  options: LocalConnectionOptions,
): Promise<System> {
  const id = `local:${nextNumber()}`;
  identify(id);
  return {
    id,
    attributes: { host: Deno.hostname() },
    reusable: true,
    connection: await LocalConnection.open({ ...options, signal }),
  };
}
