/**
 * Finds out what a place of a source is, by putting marks there and looking
 * what the YAML parser makes of them.
 */
import { type ImplicitType, parse } from "@std/yaml/unstable-parse";
import { errorOffset } from "./_position.ts";
import { TAGGED } from "./_scalar.ts";
import { TokenSource } from "./_tokens.ts";

/** The source with a mark and a suffix behind each match; nothing if there is none. */
function tokensBehind(
  source: string,
  pattern: RegExp,
  suffix: string,
): TokenSource | undefined {
  if (source.search(pattern) < 0) return undefined;
  return new TokenSource(
    source,
    pattern,
    (tokens, place) => tokens.places[place][0] + tokens.mark(place) + suffix,
  );
}

/**
 * The end of the first match of `pattern` behind which a plain scalar begins,
 * rather than more of a text or comment. With `suffix`, a plain scalar that
 * takes in a mark with this suffix anywhere.
 */
export function findScalar(
  source: string,
  pattern: RegExp,
  suffix = "",
): number | undefined {
  const tokens = tokensBehind(source, pattern, suffix);
  if (!tokens) return undefined;
  let found: number | undefined;
  try {
    scan(tokens.text, (text) => {
      const place = tokens.placeIn(text);
      const mark = place === undefined ? "" : tokens.mark(place) + suffix;
      if (mark && (suffix ? text.includes(mark) : text.startsWith(mark))) {
        found ??= place;
      }
      return text;
    });
  } catch {
    // what else is wrong is said when the source itself is read
  }
  if (found === undefined) return undefined;
  const { index, 0: { length } } = tokens.places[found];
  return index + length;
}

/**
 * The end of the match of `pattern` behind which a mark is an error. That a mark
 * can stand there shows that the place is part of a text.
 */
export function findFault(
  source: string,
  pattern: RegExp,
  suffix = "",
): number | undefined {
  const tokens = tokensBehind(source, pattern, suffix);
  if (!tokens) return undefined;
  const fault = faultIn(tokens.text);
  if (fault === undefined || faultIn(source) !== undefined) return undefined;
  const offset = tokens.originalOffset(fault);
  const place = tokens.places.findLast(({ index }) => index <= offset);
  return place && place.index + place[0].length;
}

/** The offset of a fault in a text, or undefined if there is none. */
function faultIn(text: string): number | undefined {
  try {
    scan(text);
  } catch (error) {
    return errorOffset(error, text) ?? 0;
  }
}

/** The first `[` that begins a list which is a key. */
export function findListKey(source: string): number | undefined {
  const tokens = new TokenSource(
    source,
    /\[/g,
    (tokens, place) => `[${tokens.mark(place)}, `,
  );
  let found: number | undefined;
  try {
    scan(tokens.text, (text) => {
      const place = tokens.placeIn(text);
      if (place === undefined || text !== tokens.mark(place)) return text;
      return {
        [Symbol.toStringTag]: "item",
        toString() { // only a key is turned into text
          found ??= place;
          return text;
        },
      };
    });
  } catch {
    // what else is wrong is said when the source itself is read
  }
  return found === undefined ? undefined : tokens.places[found].index;
}

/** Parses for the sake of the plain scalars, of which `look` gives the values; keys may be doubled. */
export function scan(
  source: string,
  look: (plain: string) => unknown = (plain) => plain,
): void {
  const type = (tag: string, construct: (data: unknown) => unknown) => ({
    tag,
    kind: "scalar" as const,
    resolve: () => true,
    construct,
  });
  const extraTypes: ImplicitType[] = [
    type("plain scalar", (text) => look(text as string)),
    ...Object.keys(TAGGED).map((name) =>
      type(`tag:yaml.org,2002:${name}`, (data) => data)
    ),
  ];
  parse(source, { schema: "failsafe", allowDuplicateKeys: true, extraTypes });
}
