import { abortable } from "@std/async/abortable";

/** Waits for a change, but not longer than so many milliseconds. */
export async function waitFor(
  changed: Promise<unknown>,
  ms: number,
  signal?: AbortSignal,
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = ms < 2 ** 31 ? setTimeout(resolve, ms) : undefined;
  try {
    const either = Promise.race([changed, promise]);
    await (signal ? abortable(either, signal) : either);
  } finally {
    clearTimeout(timer);
  }
}
