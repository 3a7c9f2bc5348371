import { ConnectError } from "./connection.ts";

/** The longest time that a timer of the platform can take, in milliseconds. */
export const LONGEST_TIMER = 2 ** 31 - 1;

/** Calls a function after so many milliseconds; never, if no timer can take them. */
export function after(
  ms: number,
  call: () => void,
): ReturnType<typeof setTimeout> | undefined {
  return ms > LONGEST_TIMER ? undefined : setTimeout(call, ms);
}

/** How long something may take, and what is so if it takes longer. */
export interface Limit {
  /** In milliseconds. */
  ms: number;
  /** The error for work that takes longer. */
  late: () => Error;
  signal?: AbortSignal | undefined;
}

/**
 * Calls a function with a signal that is aborted when its time is over, too. It
 * then rejects with what `late` gives, whatever the function made of that.
 */
export async function within<T>(
  { ms, late, signal }: Limit,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const over = new AbortController();
  const timer = after(ms, () => over.abort(late()));
  try {
    return await call(
      signal ? AbortSignal.any([signal, over.signal]) : over.signal,
    );
  } catch (error) {
    signal?.throwIfAborted();
    over.signal.throwIfAborted();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Connects to a system in so many milliseconds.
 *
 * @throws {ConnectError} if it takes longer
 */
export function connectWithin<T>(
  ms: number,
  { system, signal }: { system: string; signal?: AbortSignal | undefined },
  connect: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = () =>
    new ConnectError(
      `Cannot connect to ${system}: it takes longer than ${ms / 1000} s`,
    );
  return within({ ms, late, signal }, connect);
}
