import type { Semaphore } from "@std/async/unstable-semaphore";

/** Waits for a permit. One that comes after an abort goes back. */
export async function acquire(
  semaphore: Semaphore,
  signal?: AbortSignal,
): Promise<Disposable> {
  signal?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<Disposable>();
  const abort = () => reject(signal!.reason);
  signal?.addEventListener("abort", abort, { once: true });
  semaphore.acquire().then((permit) => {
    signal?.removeEventListener("abort", abort);
    if (signal?.aborted) permit[Symbol.dispose]();
    else resolve(permit);
  });
  return await promise;
}
