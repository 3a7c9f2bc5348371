/** Taking back a start, after which another aggregator could not be started. */
import type { Aggregator } from "./aggregator.ts";

const undos = new WeakMap<Aggregator, () => Promise<void> | void>();

/** Says how an aggregator stops so that, if nothing was ingested, a new start finds nothing in its way. */
export function undoStartBy(
  aggregator: Aggregator,
  undo: () => Promise<void> | void,
): void {
  undos.set(aggregator, undo);
}

/**
 * Disposes of an aggregator: one that was never given anything leaves nothing that
 * would be in the way of the next try, for example after a mistake in options.
 */
export async function dispose(
  aggregator: Aggregator,
  { used }: { used: boolean },
): Promise<void> {
  if (used) await aggregator.stop();
  else await undoStart(aggregator).catch(() => {}); // whatever is left, it is nothing
}

/** Takes back the start of an aggregator; one that has not said how is stopped. */
export async function undoStart(aggregator: Aggregator): Promise<void> {
  const undo = undos.get(aggregator);
  await (undo ? undo() : aggregator.stop());
}
