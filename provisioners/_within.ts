/** Aborts what takes more milliseconds; it then rejects with what `late` gives. */
export async function within<T>(
  ms: number,
  signal: AbortSignal | undefined,
  late: () => Error,
  action: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const abort = new AbortController();
  const timer = ms < 2 ** 31
    ? setTimeout(() => abort.abort(late()), ms)
    : undefined;
  try {
    return await action(
      signal ? AbortSignal.any([signal, abort.signal]) : abort.signal,
    );
  } catch (error) {
    signal?.throwIfAborted();
    throw abort.signal.aborted ? abort.signal.reason : error;
  } finally {
    clearTimeout(timer);
  }
}
