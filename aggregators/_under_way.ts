/** What is under way between the start and the stop of an aggregator. */

/** Ingests that have not ended. */
export class UnderWay {
  readonly #running = new Set<Promise<unknown>>();

  /** Remembers one until it has ended; gives it back. */
  add<T>(running: Promise<T>): Promise<T> {
    this.#running.add(running);
    const forget = () => void this.#running.delete(running);
    running.then(forget, forget);
    return running;
  }

  /** Resolves when all have ended, in whatever way. */
  async ended(): Promise<void> {
    await Promise.allSettled([...this.#running]);
  }
}

/** What an ingest is told before `start()` and after `stop()`. */
export function notStarted(platform: string, test: string): Error {
  return new Error(
    `Cannot ingest test "${test}" of platform "${platform}": the aggregator is not started: await its start() first`,
  );
}
