/** What the YAML parser reads although it must not be read. */
import { position } from "./_position.ts";
import { findFault, findListKey, findScalar } from "./_probe.ts";
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
const KEYLESS = RegExp(`[[{,]${BLANKS}*(?=[,:])`, "g");
const GAP = RegExp(`[[{,]${BLANKS}*(?=,)`, "g");
const FLOW_MAPPING_KEY = /\}(?=[ \t]*:)/g;
const LIST_KEY = /\][ \t]*:|[{,?]\s*\[/;
const MERGE = /(?=<<[ \t]*:)/g;

const NO_TAB = "a tab may not indent";

const CROWDED = "a key may not begin on the line of another";

/** The message for keys that are not there. */
export const MISSING_KEY =
  "a key is missing: null as a key must be written as ~";

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
  if (LIST_KEY.test(source)) {
    refuseIf(findListKey(source), source, NO_KEY);
  }
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
    return findFault(source, FLOW_MAPPING_KEY) ??
      findScalar(source, MAPPING_KEY);
  }
  if (reason === MISSING_KEY) return findScalar(source, KEYLESS);
  const isOnly = Array.from(source.matchAll(MERGE)).length === 1;
  return key?.endsWith("<<") && isOnly ? findScalar(source, MERGE) : undefined;
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
