import {
  type Connection,
  type ConnectionError,
  type LocalCommand,
  type LocalOptions,
  NotConnectedError,
  type SignalOptions,
} from "../connections/connection.ts";
import type { System } from "./_backend.ts";
import type { ReleaseOptions, ReleaseReason, Remote } from "./provisioner.ts";

/** The connection of a system until it is given back; from then on a dead one. */
export class PooledRemote implements Remote {
  readonly id: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly reusable: boolean;
  readonly #lost: Promise<Error>;
  readonly #system: System;
  readonly #giveBack: (reason: ReleaseReason) => Promise<void>;
  #released?: Promise<void>;

  constructor(
    system: System,
    giveBack: (reason: ReleaseReason) => Promise<void>,
  ) {
    this.id = system.id;
    this.attributes = system.attributes;
    this.reusable = system.reusable;
    this.#lost = system.lost ?? new Promise(() => {});
    this.#system = system;
    this.#giveBack = giveBack;
  }

  get lost(): Promise<Error> {
    if (!this.#released) this.#system.expectLoss?.();
    return this.#lost;
  }

  release(options: ReleaseOptions = {}): Promise<void> {
    if (!this.#released) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#released = promise; // the connection is dead before the first step
      resolve(this.#giveBack(options.reason ?? "done"));
    }
    return this.#released;
  }

  connect(options?: SignalOptions): Promise<void> {
    if (this.#released) return Promise.reject(this.#dead());
    return this.#system.connection.connect(options);
  }

  async disconnect(): Promise<void> {
    if (!this.#released) await this.#system.connection.disconnect();
  }

  local(
    argv: readonly string[],
    options?: LocalOptions,
  ): LocalCommand {
    return this.#live().local(argv, options);
  }

  command(file: string, options?: Deno.CommandOptions): Deno.Command {
    return this.#live().command(file, options);
  }

  rsync(args: readonly string[], options?: Deno.CommandOptions): Deno.Command {
    return this.#live().rsync(args, options);
  }

  get closed(): Promise<ConnectionError> | undefined {
    return this.#system.connection.closed;
  }

  get canReboot(): boolean | undefined {
    return this.#system.connection.canReboot;
  }

  /** Never rejects: a failure was told by an event, and must not bury another error. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.release().catch(() => {});
  }

  #live(): Connection {
    if (this.#released) throw this.#dead();
    return this.#system.connection;
  }

  #dead(): NotConnectedError {
    return new NotConnectedError(
      `Cannot use system "${this.id}": it was released`,
    );
  }
}
