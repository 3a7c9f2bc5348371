import type { Environment } from "../../../orchestrators/_environment.ts";

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly call: () => void;
}

/** One turn of the real event loop: everything that only waits for promises gets done. */
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Time that passes only when nothing else can happen. */
export class FakeClock implements Pick<Environment, "now" | "after" | "pause"> {
  #now = 0;
  #made = 0;
  #pausing = 0;
  /** The next one at the end. */
  readonly #timers: Timer[] = [];

  now(): number {
    return this.#now;
  }

  after(ms: number, call: () => void): Disposable {
    if (ms === Infinity) return { [Symbol.dispose]() {} };
    const timer = { at: this.#now + ms, order: this.#made++, call };
    const index = this.#timers.findLastIndex(({ at }) => at > timer.at);
    this.#timers.splice(index + 1, 0, timer);
    return {
      [Symbol.dispose]: () => {
        const index = this.#timers.indexOf(timer);
        if (index !== -1) this.#timers.splice(index, 1);
      },
    };
  }

  async pause(): Promise<void> {
    this.#pausing++;
    await turn();
    this.#pausing--;
  }

  /** Waits; an abort ends it, after `cancelMs` more, with the reason. */
  sleep(ms: number, signal?: AbortSignal, cancelMs = 0): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const abort = () => {
      timer[Symbol.dispose]();
      this.after(cancelMs, () => reject(signal!.reason));
    };
    const timer = this.after(ms, () => {
      signal?.removeEventListener("abort", abort);
      resolve();
    });
    if (signal?.aborted) abort();
    else signal?.addEventListener("abort", abort, { once: true });
    return promise;
  }

  /** Whether something is to happen later. */
  get armed(): boolean {
    return this.#timers.length > 0;
  }

  /** Lets time pass until the work ends; tells whether it did. */
  async run(work: Promise<unknown>, maxSteps: number): Promise<boolean> {
    let ended = false;
    const end = () => {
      ended = true;
    };
    work.then(end, end);
    for (let step = 0; step < maxSteps; step++) {
      await this.#drain();
      if (ended) return true;
      const timer = this.#timers.pop();
      if (!timer) return false;
      this.#now = timer.at;
      timer.call();
    }
    return false;
  }

  async #drain(): Promise<void> {
    let pausing: boolean;
    do {
      pausing = this.#pausing > 0;
      await turn();
    } while (pausing || this.#pausing > 0);
  }
}
