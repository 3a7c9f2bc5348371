/** Turns of the event loop. */

/** How long everybody else may have to wait for whoever reads what tests report, in milliseconds. */
const LIMIT = 5;

let last = performance.now();
let next: Promise<void> | undefined;

/**
 * Lets everybody else go on, if nobody could for a while: to be awaited before each read, and between files. A read of
 * what is there already does not wait for anything, so tests that report without end would be all that is ever served.
 */
export function giveTurn(): Promise<void> | undefined {
  if (performance.now() - last < LIMIT) return undefined;
  return next ??= new Promise((resolve) =>
    setImmediate(() => {
      next = undefined;
      last = performance.now();
      resolve();
    })
  );
}
