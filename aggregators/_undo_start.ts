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

/** Takes back the start of an aggregator; one that has not said how is stopped. */
export async function undoStart(aggregator: Aggregator): Promise<void> {
  const undo = undos.get(aggregator);
  await (undo ? undo() : aggregator.stop());
}
