import { delay } from "@std/async/delay";
import type { Semaphore } from "@std/async/unstable-semaphore";
import { StillAliveError } from "./_backend.ts";
import { acquire } from "./_permit.ts";
import type { PodmanCli } from "./_podman_cli.ts";
import { ProvisionError } from "./provisioner.ts";

/** Most containers that one command removes. */
const MOST = 50;
const REMOVE = ["container", "rm", "-f", "-t", "0"];

interface Waiting extends PromiseWithResolvers<void> {
  readonly name: string;
}

/**
 * Removes containers. Those that are to go at about the same time go together:
 * podman removes several at once, and its start is dear.
 */
export class PodmanRemoval {
  readonly #cli: PodmanCli;
  /** How many commands remove at the same time. */
  readonly #permits: Semaphore;
  #waiting: Waiting[] = [];

  constructor(cli: PodmanCli, permits: Semaphore) {
    this.#cli = cli;
    this.#permits = permits;
  }

  /**
   * No error if it is gone, however.
   *
   * @throws {StillAliveError} if it is there nevertheless
   * @throws {ProvisionError} if nobody knows
   */
  remove(name: string): Promise<void> {
    const waiting = { name, ...Promise.withResolvers<void>() };
    this.#waiting.push(waiting);
    this.#removeWaiting();
    return waiting.promise;
  }

  /** Removes several, which need not be there. */
  async removeAll(names: readonly string[]): Promise<void> {
    const { failure } = await this.#attempt(names);
    if (failure === undefined) return;
    throw new ProvisionError(
      `Cannot remove the containers ${names.join(", ")}: ${failure}`,
    );
  }

  async #removeWaiting(): Promise<void> {
    using _permit = await acquire(this.#permits);
    await delay(0); // for others that are given back in the same moment
    const batch = this.#waiting.splice(0, MOST);
    if (batch.length === 0) return; // somebody else took them
    const names = batch.map(({ name }) => name);
    const { failure, removed } = await this.#attempt(names);
    await Promise.all(batch.map(async ({ name, resolve, reject }) => {
      if (failure === undefined || removed.has(name)) return resolve();
      await this.#insist(name).then(resolve, reject);
    }));
  }

  /** After a failure, which may be that of another container. */
  async #insist(name: string): Promise<void> {
    const { failure } = await this.#attempt([name]);
    if (failure === undefined) return;
    const exists = await this.#cli.output(["container", "exists", name])
      .catch(() => undefined);
    if (exists?.code === 1) return;
    const message = `Cannot remove the container "${name}": ${failure}`;
    if (exists?.code === 0) throw new StillAliveError(message);
    throw new ProvisionError(message);
  }

  /** Gives what was wrong, and those that are gone nevertheless. */
  async #attempt(
    names: readonly string[],
  ): Promise<{ failure?: string; removed: ReadonlySet<string> }> {
    try {
      const { code, stdout, said } = await this.#cli.output(
        [...REMOVE, ...names],
      );
      const removed = new Set(stdout.split("\n"));
      if (code === 0) return { removed };
      return { failure: said || `exit code ${code}`, removed };
    } catch (error) {
      return { failure: (error as Error).message, removed: new Set() };
    }
  }
}
