import { abortable } from "@std/async/abortable";
import type { Connection } from "../connections/connection.ts";
import { run } from "../connections/process.ts";
import { hostStep } from "./_host_step.ts";
import type { HostContext, HostEntry } from "./_hosts_types.ts";
import { endLeftProcesses } from "./_left_processes.ts";
import { removeLeftWork } from "./_left_work.ts";
import type { Run } from "./_run.ts";
import type { ProvisionerEvent } from "./events.ts";
import type { ProvisionError } from "./provisioner.ts";

/** How long what is done to hosts may take, in milliseconds. */
export interface HostCareOptions {
  readonly hookTimeout: number;
  readonly probeTimeout: number;
}

/** What is done to a host beside its use. */
export class HostCare {
  readonly #options: HostCareOptions;
  readonly #emit: (event: ProvisionerEvent) => void;

  constructor(
    options: HostCareOptions,
    emit: (event: ProvisionerEvent) => void,
  ) {
    this.#options = options;
    this.#emit = emit;
  }

  /**
   * Runs the command that has to end with 0.
   *
   * @throws {ProvisionError} if it does not
   */
  async probe(
    connection: Connection,
    { options: { host } }: HostEntry,
    probe: readonly string[],
    signal: AbortSignal,
  ): Promise<void> {
    const ms = this.#options.probeTimeout;
    const what = `Cannot use the host ${host}: its probe failed`;
    await hostStep(
      { what, ms, signal },
      (signal) => run(connection, probe, { signal }),
    );
  }

  /**
   * Calls a hook.
   *
   * @throws {ProvisionError} if that throws, or takes too long
   */
  async hook(
    name: string,
    { options: { host }, labels }: HostEntry,
    call: (context: HostContext) => Promise<void> | void | undefined,
    signal?: AbortSignal,
  ): Promise<void> {
    const what = `Cannot use the host ${host}: the hook "${name}" failed`;
    const ms = this.#options.hookTimeout;
    await hostStep({ what, ms, signal }, (signal) =>
      abortable(
        (async () => await call({ host, labels, signal }))(),
        signal,
      ));
  }

  /** Ends what tests left running. */
  async endLeft(
    connection: Connection,
    host: HostEntry,
    patience: number,
  ): Promise<void> {
    await this.#attempt(
      "Cannot end what tests left running on",
      host,
      (signal) => endLeftProcesses(connection, { patience, signal }),
    );
  }

  /** Removes what dead scripts left on the host: it takes place, but is in nobody's way. */
  async tidy(
    connection: Connection,
    host: HostEntry,
    me: Run,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#attempt(
      "Cannot remove what killed scripts left on",
      host,
      (signal) => removeLeftWork(connection, me, signal),
      signal,
    );
  }

  /** Does something without which the host can be used, too: a failure is only told. */
  async #attempt(
    what: string,
    { options: { host } }: HostEntry,
    call: (signal: AbortSignal) => Promise<void>,
    signal?: AbortSignal,
  ): Promise<void> {
    const ms = this.#options.hookTimeout;
    try {
      await hostStep({ what: `${what} the host ${host}`, ms, signal }, call);
    } catch (error) {
      signal?.throwIfAborted();
      this.#emit({ type: "warning", error: error as ProvisionError });
    }
  }
}
