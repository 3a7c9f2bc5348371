/**
 * Locks between processes.
 */

/** How often is looked whether a lock became free, in milliseconds. */
const PAUSE = 50;

/**
 * Locks a file, which is made if need be, until the result is disposed of.
 *
 * @param timeout how long to wait, in milliseconds
 * @returns nothing if the lock was not free in time
 */
export async function lockFile(
  path: string,
  timeout: number,
  signal: AbortSignal | undefined,
): Promise<Disposable | undefined> {
  const file = await Deno.open(path, { write: true, create: true });
  const deadline = performance.now() + timeout;
  try {
    // The system tells nobody that a lock became free within a given time.
    while (!await file.tryLock(true)) {
      if (performance.now() >= deadline) {
        file.close();
        return undefined;
      }
      await pause(signal);
    }
  } catch (error) {
    file.close();
    throw error;
  }
  return { [Symbol.dispose]: () => file.close() };
}

function pause(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal!.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, PAUSE);
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}
