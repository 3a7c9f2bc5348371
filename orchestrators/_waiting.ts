import { abortable } from "@std/async/abortable";
import type { Semaphore } from "@std/async/unstable-semaphore";
import type { Environment } from "./_environment.ts";
import type { Turns } from "./_turns.ts";

/** How long what is told to end may go on after somebody insisted, in milliseconds. */
const LAST_GRACE = 1000;

/**
 * The signal that somebody gave as reason of an abort to insist on it later: aborted
 * as soon as nothing is to be waited for any more than what gives back systems.
 */
export function insistedOf(reason: unknown): AbortSignal | undefined {
  if (!(reason instanceof Error) || !("insisted" in reason)) return undefined;
  const { insisted } = reason;
  return insisted instanceof AbortSignal ? insisted : undefined;
}

/** Waits for a permit. After an abort it is given back when it comes. */
export async function acquire(
  semaphore: Semaphore,
  signal?: AbortSignal,
): Promise<Disposable> {
  signal?.throwIfAborted();
  const permit = semaphore.acquire();
  if (!signal) return await permit;
  try {
    return await abortable(permit, signal);
  } catch (error) {
    permit.then((late) => late[Symbol.dispose]());
    throw error;
  }
}

/** Work that is told to end. */
export interface EndOptions {
  environment: Environment;
  /** Tells the work to end. */
  signal: AbortSignal;
  /** How long it may go on after that, in milliseconds. */
  grace: number;
  /** Aborted when nothing is to be waited for any more than needed. */
  insisted?: AbortSignal;
  /** Is called if it goes on for longer; it then has the same time once more. */
  cut?: () => void;
}

/**
 * Waits for one work after the other that ends when it is told to. If one does not,
 * something more drastic is done, and then it is given up. There is one listener for all
 * of them until this is disposed of.
 */
export class Ends implements Disposable {
  readonly #options: EndOptions;
  /** Gives up what is waited for. */
  #giveUp: (() => void) | undefined;
  #timer: Disposable | undefined;

  constructor(options: EndOptions) {
    this.#options = options;
    options.signal.addEventListener("abort", this.#tell);
  }

  /**
   * Waits for work, while it waits for no other, and tells either what came of it or why
   * it failed: the reason of the signal if it was given up. `late` gets what comes of it
   * after that.
   */
  wait<T>(
    work: T | PromiseLike<T>,
    done: (value: T) => void,
    failed: (reason: unknown) => void,
    late?: (value: T) => unknown,
  ): void {
    const { signal } = this.#options;
    let givenUp = false;
    this.#giveUp = () => {
      this.#ended();
      givenUp = true;
      failed(signal.reason);
    };
    if (signal.aborted) this.#tell();
    Promise.resolve(work).then((value) => {
      if (givenUp) return late?.(value);
      this.#ended();
      done(value);
    }, (error) => {
      if (givenUp) return;
      this.#ended();
      failed(error);
    });
  }

  #tell = () => {
    if (!this.#giveUp) return;
    const { environment, grace, insisted, cut } = this.#options;
    this.#timer = environment.after(
      grace,
      () => cut ? this.#cutAndWait(grace) : this.#giveUp?.(),
    );
    if (insisted?.aborted) this.#insist();
    else insisted?.addEventListener("abort", this.#insist, { once: true });
  };

  #insist = () => {
    this.#cutAndWait(Math.min(this.#options.grace, LAST_GRACE));
  };

  #cutAndWait(grace: number): void {
    const { environment, cut } = this.#options;
    this.#timer?.[Symbol.dispose]();
    cut?.();
    this.#timer = environment.after(grace, () => this.#giveUp?.());
  }

  #ended(): void {
    this.#giveUp = undefined;
    if (!this.#timer) return;
    this.#timer[Symbol.dispose]();
    this.#timer = undefined;
    this.#options.insisted?.removeEventListener("abort", this.#insist);
  }

  [Symbol.dispose](): void {
    this.#options.signal.removeEventListener("abort", this.#tell);
  }
}

/**
 * Waits for work that ends when it is told to; see {@linkcode Ends}.
 *
 * @throws the reason of the signal if the work was given up
 */
export async function untilEnd<T>(
  work: Promise<T>,
  { late, ...options }: EndOptions & { late?: (value: T) => unknown },
): Promise<T> {
  using ends = new Ends(options);
  return await new Promise<T>((resolve, reject) =>
    ends.wait(work, resolve, reject, late)
  );
}

/** What all pieces of work of one kind have in common. */
export interface LimitOptions {
  environment: Environment;
  turns: Turns;
  /** How long each may take, in milliseconds. */
  ms: number;
  /** Aborted when all are to end soon in any case. */
  insisted?: AbortSignal;
}

/** Work that is waited for. */
interface Open {
  /** What cannot be done if it takes longer: the beginning of a message. */
  readonly what: string;
  readonly giveUp: (error: Error) => void;
  timer?: Disposable;
  last?: Disposable;
}

/**
 * Waits for pieces of work that have this much time each. Most end in the turn of the
 * event loop in which they begin: only those that do not get a timer.
 */
export class TimeLimit {
  readonly #options: LimitOptions;
  readonly #open = new Set<Open>();
  /** Whether those that began in this turn will have timers. */
  #timing = false;
  /** How long work may take when all are to end soon; no time, once some of it has taken all of that. */
  #lastGrace = LAST_GRACE;

  constructor(options: LimitOptions) {
    this.#options = options;
    const hurry = () => this.#open.forEach((work) => this.#hurry(work));
    options.insisted?.addEventListener("abort", hurry, { once: true });
  }

  /**
   * Waits for work.
   *
   * @throws {Error} if it takes longer; what comes of it is not seen any more
   */
  wait<T>(what: string, work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const open: Open = { what, giveUp: reject };
      this.#open.add(open);
      if (!this.#timing) this.#setTimers();
      if (this.#options.insisted?.aborted) this.#hurry(open);
      Promise.resolve(work).then((value) => {
        this.#close(open);
        resolve(value);
      }, (error) => {
        this.#close(open);
        reject(error);
      });
    });
  }

  async #setTimers(): Promise<void> {
    const { environment, turns, ms } = this.#options;
    this.#timing = true;
    await turns.next;
    this.#timing = false;
    for (const open of this.#open) {
      open.timer ??= environment.after(
        ms,
        () => this.#giveUp(open, `it takes longer than ${ms} ms`),
      );
    }
  }

  #hurry(open: Open): void {
    const why = "it was not waited for, since the run was to end at once";
    open.last = this.#options.environment.after(this.#lastGrace, () => {
      this.#lastGrace = 0;
      this.#giveUp(open, why);
    });
  }

  #giveUp(open: Open, why: string): void {
    this.#close(open);
    open.giveUp(new Error(`${open.what}: ${why}`));
  }

  #close(open: Open): void {
    this.#open.delete(open);
    open.timer?.[Symbol.dispose]();
    open.last?.[Symbol.dispose]();
  }
}
