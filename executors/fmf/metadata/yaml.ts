/**
 * YAML as metadata is written in it. The grammar is that of the standard
 * library's parser. Around it stands what that parser does not know: types of
 * plain scalars and keys, the order of keys that look like integers, aliases as
 * independent copies, merge keys; and what it reads although it has to be refused.
 */
import { Document } from "./_document.ts";
import { position } from "./_position.ts";
import { trimQuoted } from "./_quoted.ts";
import { locate, refuseAfter, refuseBefore } from "./_refuse.ts";
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
    return read(trimQuoted(source));
  } catch (error) {
    if (!(error instanceof FmfError)) throw error;
    const offset = error.line === undefined ? locate(source, error) : undefined;
    throw error.at({
      ...options,
      ...(offset !== undefined && position(source, offset)),
    });
  }
}

const NODE_START = "(?<=^|[\\s,[{:])";
/** Stops before what could end or escape in a quoted text, in which names are no names. */
const NAME = "[^\\s,[\\]{}\"'\\\\]+";
const ALIAS = `${NODE_START}\\*${NAME}`;
const ANCHOR = `${NODE_START}&${NAME}`;
const LONE_TAG = `${NODE_START}!(?=\\s)`;
const DISTANT_TAG = `${NODE_START}!!str(?=[ \\t]*(?:#.*)?\\n)`;
const AMBIGUOUS_KEY = `(?<=["'])(?=(?:0|[1-9][0-9]{0,9}|null)["'])`;
const END = "(?![\\s\\S])";

function read(source: string): FmfValue {
  refuseBefore(source);
  const patterns: string[] = [];
  if (has(source, ALIAS, "*") && has(source, ANCHOR, "&")) {
    patterns.push(ALIAS, ANCHOR);
  }
  if (has(source, LONE_TAG, "!")) patterns.push(LONE_TAG);
  if (has(source, DISTANT_TAG, "!!str")) patterns.push(DISTANT_TAG);
  if (!source.endsWith("\n") && /[|>][-+0-9]*[ \t]*(?:#.*)?\n/.test(source)) {
    try {
      const [value, document] = readWith(source, [...patterns, END]);
      if (document.endsInBlock) return value;
    } catch {
      // what ends there cannot have a token behind it
    }
  }
  return readWith(source, patterns)[0];
}

/** Whether a source matches; `part` is a quick way to see that it does not. */
function has(source: string, pattern: string, part: string): boolean {
  return source.includes(part) && RegExp(pattern, "m").test(source);
}

function readWith(
  source: string,
  patterns: readonly string[],
): [FmfValue, Document] {
  let document = new Document(source, patterns);
  let value = document.read();
  if (document.ambiguousKeys) {
    document = new Document(source, [AMBIGUOUS_KEY, ...patterns], true);
    value = document.read();
  }
  refuseAfter(source, document.hasGap);
  return [value, document];
}
