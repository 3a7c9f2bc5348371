/** What the YAML parser reads although it must not be read. */
import { type ImplicitType, parse } from "@std/yaml/unstable-parse";
import { errorOffset, position } from "./_position.ts";
import { TAGGED } from "./_scalar.ts";
import { TokenSource } from "./_tokens.ts";
import { FmfError } from "./errors.ts";

const UNPRINTABLE =
  /[^\t\n\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u;
const BLANK_LINES = "(?:[ \\t]*(?:#.*)?\\n)*";
const GLUED_START = RegExp(
  `^(?:${BLANK_LINES}%.*\\n)*${BLANK_LINES}---(?=\\S)`,
);
const BLANKS = "(?:\\s|#[^\\n]*\\n)";
const TAB = /^ *(?=\t+ *[^\s#,:\]}])/gm;
const COLLECTION_KEY = RegExp(
  `(?<=^|[\\s[{,])\\?${BLANKS}+(?=(?:[&!]\\S*[ \\t]+)*(?:[[{]|-\\s))`,
  "gm",
);
const MAPPING_KEY = RegExp(`(?<=^|[\\s[{,])\\?${BLANKS}+(?=.*:\\s)`, "gm");
const INNER_KEY = /:[ \t]+(?=\?[ \t])/g;
const CROWDED_KEY = /["'\]}](?=[ \t]*[^\s,\]}:#"'].{0,200}:(?:\s|$))/gm;
const GAP = RegExp(`[[{,]${BLANKS}*(?=,)`, "g");
const FLOW_KEY = /[\]}](?=[ \t]*:)/g;
const MERGE = /(?=<<[ \t]*:)/g;

const NO_TAB = "a tab may not indent";

const CROWDED = "a key may not begin on the line of another";

/** The message for keys that are no scalars. */
export const NO_KEY = "a list or mapping may not be a key";

/** Refuses what can be told before parsing. */
export function refuseBefore(source: string): void {
  const unprintable = UNPRINTABLE.exec(source);
  if (unprintable) {
    const code = unprintable[0].codePointAt(0)!.toString(16).toUpperCase();
    const name = `U+${code.padStart(4, "0")}`;
    refuseIf(unprintable.index, source, `the character ${name} is not allowed`);
  }
  const start = GLUED_START.exec(source);
  refuseIf(start?.[0].length, source, "white space must follow ---");
  if (source.includes("\t")) {
    refuseIf(findScalar(source, TAB, ","), source, NO_TAB);
  }
  if (source.includes("?")) {
    refuseIf(findScalar(source, COLLECTION_KEY), source, NO_KEY);
    refuseIf(
      findScalar(source, INNER_KEY),
      source,
      CROWDED,
    );
  }
  refuseIf(findScalar(source, CROWDED_KEY), source, CROWDED);
}

/** Refuses what shows only where the rest is right; `hasGap` says that a list has an item that is not written. */
export function refuseAfter(source: string, hasGap: boolean): void {
  if (hasGap) {
    refuseIf(findScalar(source, GAP), source, "an item is missing before ,");
    refuseIf(
      shallowerItem(source),
      source,
      "an empty item before a list around it must be written as ~",
    );
  }
  refuseIf(findFault(source, FLOW_KEY), source, NO_KEY);
  if (source.includes("\t")) {
    refuseIf(findFault(source, TAB, ","), source, NO_TAB);
  }
}

function refuseIf(
  offset: number | undefined,
  source: string,
  reason: string,
): void {
  if (offset === undefined) return;
  throw new FmfError("file", reason, position(source, offset));
}

/** The place of an error of which only the text is known, or what it is about. */
export function locate(
  source: string,
  { text, key, reason }: FmfError,
): number | undefined {
  if (text !== undefined) {
    return findScalar(source, RegExp(`(?=${RegExp.escape(text)})`, "g"));
  }
  if (reason === NO_KEY) {
    return findFault(source, FLOW_KEY) ?? findScalar(source, MAPPING_KEY);
  }
  const isOnly = Array.from(source.matchAll(MERGE)).length === 1;
  return key?.endsWith("<<") && isOnly ? findScalar(source, MERGE) : undefined;
}

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
function findScalar(
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
      if (place === undefined) return;
      const mark = tokens.mark(place) + suffix;
      if (suffix ? text.includes(mark) : text.startsWith(mark)) found ??= place;
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
function findFault(
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
    scan(text, () => {});
  } catch (error) {
    return errorOffset(error, text) ?? 0;
  }
}

/** Where an empty item of a list comes before an item of a list around it, which the parser takes for one of the inner list. */
function shallowerItem(source: string): number | undefined {
  const empty = RegExp(
    `^( *(?:[-?] +)*)-[ \\t]*(?:#.*)?\\n${BLANK_LINES}(?=( *)-\\s)`,
    "gm",
  );
  for (const match of source.matchAll(empty)) {
    if (match[2].length < match[1].length) return match.index + match[1].length;
  }
}

/** Parses for the sake of the plain scalars; keys may be doubled. */
function scan(source: string, look: (plain: string) => void): void {
  const type = (tag: string, construct: (data: unknown) => unknown) => ({
    tag,
    kind: "scalar" as const,
    resolve: () => true,
    construct,
  });
  const extraTypes: ImplicitType[] = [
    type("plain scalar", (text) => {
      look(text as string);
      return text;
    }),
    ...Object.keys(TAGGED).map((name) =>
      type(`tag:yaml.org,2002:${name}`, (data) => data)
    ),
  ];
  parse(source, { schema: "failsafe", allowDuplicateKeys: true, extraTypes });
}
