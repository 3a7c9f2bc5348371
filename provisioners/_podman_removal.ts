import { delay } from "@std/async/delay";
import type { Semaphore } from "@std/async/unstable-semaphore";
import { StillAliveError } from "./_backend.ts";
import { acquire } from "./_permit.ts";
import type { PodmanCli } from "./_podman_cli.ts";
import { ProvisionError } from "./provisioner.ts";

/** Most containers that one command removes. */
const MOST = 50;
/** Milliseconds that one command may take for several: one that cannot be removed must not keep the places of the others. */
const PATIENCE = 10_000;

interface Waiting extends PromiseWithResolvers<void> {
  readonly name: string;
}

/**
 * Removes containers. Those that are to go at about the same time go together:
 * podman removes several at once, and its start is dear.
 *
 * If one of several is not there, podman 4.3 removes none, says nothing and ends
 * with 0. So only those are gone that it names.
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

  /**
   * Removes several.
   *
   * @throws {ProvisionError} if one is not certainly gone
   */
  async removeAll(names: readonly string[]): Promise<void> {
    const ends = await Promise.allSettled(
      names.map((name) => this.remove(name)),
    );
    const errors = ends.flatMap((end) =>
      end.status === "rejected" ? [end.reason as Error] : []
    );
    if (errors.length === 0) return;
    throw new ProvisionError(errors.map(({ message }) => message).join("; "));
  }

  async #removeWaiting(): Promise<void> {
    const batch: Waiting[] = [];
    let gone: ReadonlySet<string>;
    {
      using _permit = await acquire(this.#permits);
      await delay(0); // for others that are given back in the same moment
      batch.push(...this.#waiting.splice(0, MOST));
      gone = batch.length > 1 ? await this.#removeSeveral(batch) : new Set();
    }
    for (const { name, resolve, reject } of batch) {
      if (gone.has(name)) resolve();
      else this.#removeOne(name).then(resolve, reject);
    }
  }

  /** Gives those that are gone. */
  async #removeSeveral(batch: readonly Waiting[]): Promise<Set<string>> {
    const names = new Set(batch.map(({ name }) => name));
    const timeout = Math.min(PATIENCE, this.#cli.timeout);
    try {
      const { stdout } = await this.#cli.output(removing(names), { timeout });
      return new Set(stdout.split("\n"));
    } catch {
      return new Set(); // each by itself will tell
    }
  }

  async #removeOne(name: string): Promise<void> {
    using _permit = await acquire(this.#permits);
    let failure: string | undefined;
    for (let attempt = 1; attempt <= 2; attempt++) {
      failure = await this.#attempt(name);
      if (failure === undefined) return;
    }
    const exists = await this.#cli.output(["container", "exists", name])
      .catch(() => undefined);
    if (exists?.code === 1) return;
    const message = `Cannot remove the container "${name}": ${failure}`;
    if (exists?.code === 0) throw new StillAliveError(message);
    throw new ProvisionError(message);
  }

  /** Gives what was wrong. */
  async #attempt(name: string): Promise<string | undefined> {
    try {
      const { code, said } = await this.#cli.output(removing([name]));
      return code === 0 ? undefined : said || `exit code ${code}`;
    } catch (error) {
      return (error as Error).message;
    }
  }
}

/** The arguments of podman that end containers, and remove them with their volumes that have no name. */
export function removing(names: Iterable<string>): string[] {
  return ["container", "rm", "-f", "-v", "-t", "0", ...names];
}
