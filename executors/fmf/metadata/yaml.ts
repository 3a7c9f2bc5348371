/**
 * YAML as metadata is written in it. The grammar is that of the standard
 * library's parser. Around it stands what that parser does not know: types of
 * plain scalars and keys, the order of keys that look like integers, aliases as
 * independent copies, merge keys; and what it reads although it has to be refused.
 */
import { Document, errorOffset, position, scan } from "./_document.ts";
import { TokenSource } from "./_tokens.ts";
import { FmfError } from "./errors.ts";
import type { FmfValue } from "./value.ts";

/** Options of {@linkcode parseYaml} and {@linkcode decodeFile}. */
export interface SourceOptions {
  /** Path for error messages. */
  file?: string;
}

/**
 * Decodes the bytes of a metadata file.
 *
 * @throws {FmfError} of kind `file` when they are not UTF-8
 */
export function decodeFile(
  bytes: Uint8Array,
  options: SourceOptions = {},
): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    const readable = new TextDecoder().decode(bytes);
    throw new FmfError("file", "it is not UTF-8", {
      ...options,
      ...position(readable, readable.indexOf("\ufffd")),
      cause,
    });
  }
}

/**
 * Parses the text of one YAML document; an empty one is null.
 *
 * @throws {FmfError} of kind `file`, with line and column where they are
 * known, when the text is not YAML or holds what metadata may not
 */
export function parseYaml(text: string, options: SourceOptions = {}): FmfValue {
  let source = text.startsWith("\ufeff") ? text.slice(1) : text;
  if (source.includes("\r")) source = source.replace(/\r\n?/g, "\n");
  try {
    return read(source);
  } catch (error) {
    if (!(error instanceof FmfError)) throw error;
    const { line, text } = error;
    const offset = line === undefined && text !== undefined
      ? findScalar(source, RegExp(`(?=${RegExp.escape(text)})`, "g"))
      : undefined;
    throw error.at({
      ...options,
      ...(offset === undefined ? {} : position(source, offset)),
    });
  }
}

const UNPRINTABLE =
  /[^\t\n\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u;

const NODE_START = "(?<=^|[\\s,[{:])";
const NAME = "[^\\s,[\\]{}]+";
const ALIAS = `${NODE_START}\\*${NAME}`;
const ANCHOR = `${NODE_START}&${NAME}`;
const LONE_TAG = `${NODE_START}!(?=\\s)`;
const DISTANT_TAG = `${NODE_START}!!str(?=[ \\t]*(?:#.*)?\\n)`;
const AMBIGUOUS_KEY = `(?<=["'])(?=(?:0|[1-9][0-9]{0,9}|null)["'])`;
const END = "(?![\\s\\S])";

function read(source: string): FmfValue {
  refuse(source);
  const patterns: string[] = [];
  if (has(source, ALIAS, "*") && has(source, ANCHOR, "&")) {
    patterns.push(ALIAS, ANCHOR);
  }
  if (has(source, LONE_TAG, "!")) patterns.push(LONE_TAG);
  if (has(source, DISTANT_TAG, "!!str")) patterns.push(DISTANT_TAG);
  if (!source.endsWith("\n") && /[|>][-+0-9]*[ \t]*(?:#.*)?\n/.test(source)) {
    try {
      return readWith(source, [...patterns, END]);
    } catch {
      // the end is not that of a block of text: no token can stand there
    }
  }
  return readWith(source, patterns);
}

/** Whether a source matches; `part` is a quick way to see that it does not. */
function has(source: string, pattern: string, part: string): boolean {
  return source.includes(part) && RegExp(pattern, "m").test(source);
}

function readWith(source: string, patterns: readonly string[]): FmfValue {
  let document = new Document(source, patterns);
  let value = document.read();
  if (document.ambiguousKeys) {
    document = new Document(source, [AMBIGUOUS_KEY, ...patterns]);
    value = document.read();
    if (document.ambiguousKeys) {
      throw new FmfError(
        "file",
        "a key is missing, or text that looks like a number is written in an unusual way: write null as ~, and text as '1'",
      );
    }
  }
  if (document.hasGap) {
    refuseIf(findScalar(source, GAP), source, "an item is missing before ,");
  }
  refuseFlowKey(source);
  return value;
}

const TAB = /^ *(?=\t+ *[^\s#])/gm;
const COLLECTION_KEY =
  /(?<=^|[\s[{,])\?(?:\s|#[^\n]*\n)+(?=(?:[&!]\S*[ \t]+)*(?:[[{]|-\s))/gm;
const GAP = /[[{,](?:\s|#[^\n]*\n)*(?=,)/g;
const FLOW_KEY = /[\]}](?=[ \t]*:)/g;

/** Refuses what the parser would read although it must not be read. */
function refuse(source: string): void {
  const unprintable = UNPRINTABLE.exec(source);
  if (unprintable) {
    const code = unprintable[0].codePointAt(0)!.toString(16).toUpperCase();
    const name = `U+${code.padStart(4, "0")}`;
    refuseIf(unprintable.index, source, `the character ${name} is not allowed`);
  }
  const start = /^(?:[ \t]*(?:#.*)?\n|%.*\n)*---(?=\S)/.exec(source);
  refuseIf(start?.[0].length, source, "white space must follow ---");
  if (source.includes("\t")) {
    refuseIf(findScalar(source, TAB, ","), source, "a tab may not indent");
  }
  if (source.includes("?")) {
    refuseIf(findScalar(source, COLLECTION_KEY), source, NO_KEY);
  }
}

const NO_KEY = "a list or mapping may not be a key";

function refuseIf(
  offset: number | undefined,
  source: string,
  reason: string,
): void {
  if (offset === undefined) return;
  throw new FmfError("file", reason, position(source, offset));
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
  const tokens = new TokenSource(
    source,
    pattern,
    (tokens, place) => tokens.places[place][0] + tokens.mark(place) + suffix,
  );
  if (tokens.places.length === 0) return undefined;
  let found: number | undefined;
  const look = (text: string) => {
    const place = tokens.placeIn(text);
    if (place === undefined) return;
    const mark = tokens.mark(place) + suffix;
    if (suffix ? text.includes(mark) : text.startsWith(mark)) found ??= place;
  };
  try {
    scan(tokens.text, look);
  } catch {
    // what else is wrong is said when the source itself is read
  }
  if (found === undefined) return undefined;
  const { index, 0: { length } } = tokens.places[found];
  return index + length;
}

/** Refuses `[a]: b`. A mark between bracket and colon is an error there, and part of a text elsewhere. */
function refuseFlowKey(source: string): void {
  const tokens = new TokenSource(
    source,
    FLOW_KEY,
    (tokens, place) => tokens.places[place][0] + tokens.mark(place),
  );
  if (tokens.places.length === 0) return;
  try {
    scan(tokens.text);
  } catch (error) {
    const offset = errorOffset(error, tokens.text);
    refuseIf(offset && tokens.originalOffset(offset), source, NO_KEY);
  }
}
