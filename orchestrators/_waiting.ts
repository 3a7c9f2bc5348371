import { abortable } from "@std/async/abortable";
import type { Semaphore } from "@std/async/unstable-semaphore";
import type { Environment } from "./_environment.ts";

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

/** Work that goes on for too long. */
export interface OverrunOptions<T> {
  environment: Environment;
  /** Tells the work to end. */
  signal: AbortSignal;
  /** How long it may go on after that, in milliseconds. */
  grace: number;
  /** Aborted when nothing is to be waited for any more than needed. */
  insisted?: AbortSignal;
  /** Is called if it goes on for longer; it then has the same time once more. */
  cut?: () => void;
  /** Gets what comes of the work after it was given up. */
  late?: (value: T) => unknown;
}

/**
 * Waits for work that ends when it is told to. If it does not, something more
 * drastic is done, and then it is given up.
 *
 * @throws the reason of the signal if the work was given up
 */
export function untilEnd<T>(
  work: Promise<T>,
  { environment, signal, grace, insisted, cut, late }: OverrunOptions<T>,
): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  let timer: Disposable | undefined;
  let givenUp = false;
  const giveUp = () => {
    givenUp = true;
    reject(signal.reason);
  };
  const cutAndWait = (grace: number) => {
    timer?.[Symbol.dispose]();
    cut?.();
    timer = environment.after(grace, giveUp);
  };
  const told = () => {
    timer = environment.after(
      grace,
      () => cut ? cutAndWait(grace) : giveUp(),
    );
    if (insisted?.aborted) insist();
    else insisted?.addEventListener("abort", insist, { once: true });
  };
  const insist = () => cutAndWait(Math.min(grace, LAST_GRACE));
  const ended = () => {
    signal.removeEventListener("abort", told);
    insisted?.removeEventListener("abort", insist);
    timer?.[Symbol.dispose]();
  };
  if (signal.aborted) told();
  else signal.addEventListener("abort", told, { once: true });
  work.then((value) => {
    ended();
    if (givenUp) late?.(value);
    else resolve(value);
  }, (error) => {
    ended();
    reject(error);
  });
  return promise;
}

/** Work that has so much time. */
export interface Limit {
  environment: Environment;
  /** In milliseconds. */
  ms: number;
  /** What cannot be done if it takes longer: the beginning of a message. */
  what: string;
  /** Aborted when it is to end soon in any case. */
  insisted?: AbortSignal;
}

/**
 * Waits for work that has this much time.
 *
 * @throws {Error} if it takes longer; what comes of it is not seen any more
 */
export async function within<T>(
  { environment, ms, what, insisted }: Limit,
  work: Promise<T>,
): Promise<T> {
  const late = Promise.withResolvers<never>();
  const giveUp = (why: string) => late.reject(new Error(`${what}: ${why}`));
  using _timer = environment.after(
    ms,
    () => giveUp(`it takes longer than ${ms} ms`),
  );
  let last: Disposable | undefined;
  const insist = () => {
    last = environment.after(
      LAST_GRACE,
      () => giveUp("it was not waited for, since the run was to end at once"),
    );
  };
  if (insisted?.aborted) insist();
  else insisted?.addEventListener("abort", insist, { once: true });
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    insisted?.removeEventListener("abort", insist);
    last?.[Symbol.dispose]();
  }
}
