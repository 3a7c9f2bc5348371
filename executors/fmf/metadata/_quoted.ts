/** Quoted texts that go over several lines. */
import { scan } from "./_probe.ts";

/** A line that opens a quoted text and does not close it; or looks so. */
const OPEN =
  /(?:^|[:?,[{-][ \t]|[[{])[ \t]*(?:[&!]\S*[ \t]+)*(["'])(?:(?!\1).)*\n/m;

/** White space at the end of a line, unless it is escaped. */
const TRAILING = /(?<!(?<!\\)(?:\\\\)*\\)[ \t]+(?=\n)/g;

/** More are not looked at. */
const MAX_PLACES = 200;

/** A character that may stand in a quoted text only; the parser looks for it everywhere else. */
const QUOTABLE = "\x7f";

/**
 * Drops white space from the ends of lines within quoted texts, which the
 * parser would keep.
 */
export function trimQuoted(source: string): string {
  const first = OPEN.exec(source)?.index;
  if (first === undefined) return source;
  const places = Array.from(source.matchAll(TRAILING))
    .filter(({ index }) => index > first).slice(0, MAX_PLACES);
  if (places.length === 0 || !isReadable(source)) return source;
  let result = source;
  for (const { 0: { length }, index } of places.reverse()) {
    const [before, after] = [source.slice(0, index), source.slice(index)];
    if (isReadable(before + QUOTABLE + after)) {
      result = result.slice(0, index) + result.slice(index + length);
    }
  }
  return result;
}

function isReadable(source: string): boolean {
  try {
    scan(source);
    return true;
  } catch {
    return false;
  }
}
