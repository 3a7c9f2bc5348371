/** Maps with at most `poolLimit` calls at a time; results come in the order of the input. */
export function pooledMap<T, R>(
  poolLimit: number,
  array: Iterable<T> | AsyncIterable<T>,
  iteratorFn: (data: T) => Promise<R>,
): AsyncIterableIterator<R> {
  if (!Number.isInteger(poolLimit) || poolLimit < 1) {
    throw new RangeError("'poolLimit' must be a positive integer");
  }
  const stream = new TransformStream<Promise<R>, R>({
    async transform(result, controller) {
      try {
        controller.enqueue(await result);
      } catch {
        // gathered and thrown at the end
      }
    },
  });
  feed(poolLimit, array, iteratorFn, stream.writable.getWriter());
  return stream.readable.values();
}

async function feed<T, R>(
  limit: number,
  items: Iterable<T> | AsyncIterable<T>,
  map: (data: T) => Promise<R>,
  writer: WritableStreamDefaultWriter<Promise<R>>,
): Promise<void> {
  const running = new Set<Promise<unknown>>();
  const errors: unknown[] = [];
  try {
    for await (const item of items) {
      const result = (async () => await map(item))();
      const ended: Promise<unknown> = result.then(
        () => running.delete(ended),
        (error) => {
          running.delete(ended);
          errors.push(error);
        },
      );
      running.add(ended);
      writer.write(result).catch(() => {});
      if (running.size >= limit) await Promise.race(running);
      if (errors.length > 0) break;
    }
  } catch {
    errors.length ||= 0;
  }
  await Promise.all(running);
  if (errors.length === 0) await writer.close();
  else {
    await writer.abort(
      new AggregateError(
        errors,
        "Cannot complete the mapping as an error was thrown from an item",
      ),
    );
  }
}
