/**
 * Waits until all have ended, whatever becomes of them.
 *
 * @throws {AggregateError} if more than one failed; the error if it was one
 */
export async function settle(
  actions: Iterable<Promise<unknown>>,
): Promise<void> {
  const errors = (await Promise.allSettled(actions)).flatMap((end) =>
    end.status === "rejected" ? [end.reason as Error] : []
  );
  if (errors.length === 1) throw errors[0];
  if (errors.length > 1) {
    const messages = errors.map(({ message }) => message);
    throw new AggregateError(errors, messages.join("; "));
  }
}
