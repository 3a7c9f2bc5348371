/** Where in a source something is. */

/** Line and column of an offset, both from 1. */
export function position(
  source: string,
  offset: number,
): { line: number; column: number } {
  const before = source.slice(0, offset).split("\n");
  return { line: before.length, column: before.at(-1)!.length + 1 };
}
