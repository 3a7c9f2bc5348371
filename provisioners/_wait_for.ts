import { abortable } from "@std/async/abortable";
import { after } from "../connections/time_limit.ts";

/** Waits for a change, but not longer than so many milliseconds. */
export async function waitFor(
  changed: Promise<unknown>,
  ms: number,
  signal?: AbortSignal,
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = after(ms, resolve);
  try {
    const either = Promise.race([changed, promise]);
    await (signal ? abortable(either, signal) : either);
  } finally {
    clearTimeout(timer);
  }
}
