import type {
  Connection,
  ConnectionError,
  LocalCommand,
  LocalOptions,
  SignalOptions,
} from "../connections/connection.ts";
import type { Lease } from "./_lease.ts";

/** A connection to a host that is only made while the host is ours. */
export class LeasedConnection implements Connection {
  readonly #connection: Connection;
  readonly #lease: Pick<Lease, "held">;

  constructor(connection: Connection, lease: Pick<Lease, "held">) {
    this.#connection = connection;
    this.#lease = lease;
  }

  /** After a reboot the lease comes first. */
  async connect(options: SignalOptions = {}): Promise<void> {
    await this.#lease.held(options.signal);
    await this.#connection.connect(options);
  }

  disconnect(): Promise<void> {
    return this.#connection.disconnect();
  }

  local(argv: readonly string[], options?: LocalOptions): LocalCommand {
    return this.#connection.local(argv, options);
  }

  command(file: string, options?: Deno.CommandOptions): Deno.Command {
    return this.#connection.command(file, options);
  }

  rsync(args: readonly string[], options?: Deno.CommandOptions): Deno.Command {
    return this.#connection.rsync(args, options);
  }

  get closed(): Promise<ConnectionError> | undefined {
    return this.#connection.closed;
  }

  get canReboot(): boolean | undefined {
    return this.#connection.canReboot;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.disconnect();
  }
}
