export interface DelayOptions {
  signal?: AbortSignal;
  /** Whether the timer keeps the process alive; true by default. */
  persistent?: boolean;
}

const LONGEST_TIMER = 2 ** 31 - 1;

export async function delay(
  ms: number,
  options: DelayOptions = {},
): Promise<void> {
  const { signal, persistent = true } = options;
  const end = performance.now() + Math.trunc(Math.max(ms, 0) || 0);
  do {
    signal?.throwIfAborted();
    const rest = Math.max(Math.ceil(end - performance.now()), 0);
    await wait(Math.min(rest, LONGEST_TIMER), persistent, signal);
  } while (end - performance.now() > LONGEST_TIMER);
}

function wait(
  ms: number,
  persistent: boolean,
  signal?: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, ms);
    function abort() {
      clearTimeout(timer);
      reject(signal?.reason);
    }
    signal?.addEventListener("abort", abort, { once: true });
    if (!persistent) Deno.unrefTimer(timer);
  });
}
