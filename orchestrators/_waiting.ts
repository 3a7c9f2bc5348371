import { abortable } from "@std/async/abortable";
import type { Semaphore } from "@std/async/unstable-semaphore";
import type { Environment } from "./_environment.ts";

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
  { environment, signal, grace, cut, late }: OverrunOptions<T>,
): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  let timer: Disposable | undefined;
  let givenUp = false;
  const giveUp = () => {
    givenUp = true;
    reject(signal.reason);
  };
  const told = () => {
    timer = environment.after(grace, () => {
      if (!cut) return giveUp();
      cut();
      timer = environment.after(grace, giveUp);
    });
  };
  const ended = () => {
    signal.removeEventListener("abort", told);
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

/**
 * Waits for work that has this much time.
 *
 * @throws {Error} if it takes longer; what comes of it is not seen any more
 */
export async function within<T>(
  environment: Environment,
  ms: number,
  what: string,
  work: Promise<T>,
): Promise<T> {
  const late = Promise.withResolvers<never>();
  using _timer = environment.after(
    ms,
    () => late.reject(new Error(`${what}: it takes longer than ${ms} ms`)),
  );
  return await Promise.race([work, late.promise]);
}
