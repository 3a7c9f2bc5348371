/**
 * YAML as metadata is written in it: read as the original reads it, which no
 * parser for JavaScript does. `_texts.ts` reads texts, `_scanner.ts` makes
 * tokens, `_composer.ts` a value of them, `_scalar.ts` gives scalars their types.
 */
import { compose } from "./_composer.ts";
import { position } from "./_position.ts";
import { errorAt } from "./_texts.ts";
import { FmfError } from "./errors.ts";
import type { FmfValue } from "./value.ts";

/** Options of {@linkcode parseYaml} and {@linkcode decodeFile}. */
export interface SourceOptions {
  /** Path for error messages. */
  file?: string;
}

const decoder = new TextDecoder("utf-8", { fatal: true });

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
    return decoder.decode(bytes);
  } catch (cause) {
    const readable = new TextDecoder().decode(bytes);
    throw new FmfError("file", "it is not UTF-8", {
      ...options,
      ...position(readable, readable.indexOf("\ufffd")),
      cause,
    });
  }
}

/** Line breaks other than the usual one, with that of EBCDIC. */
const LINE_BREAKS = /\r\n?|\x85/g;

/**
 * Parses the text of one YAML document; an empty one is null.
 *
 * @throws {FmfError} of kind `file`, with line and column where they are
 * known, when the text is not YAML or holds what metadata may not
 */
export function parseYaml(text: string, options: SourceOptions = {}): FmfValue {
  let source = text.startsWith("\ufeff") ? text.slice(1) : text;
  try {
    if (unprintableIn(source) >= 0) {
      source = source.replaceAll(LINE_BREAKS, "\n");
      refuseUnprintable(source);
    }
    return compose(source);
  } catch (error) {
    throw error instanceof FmfError ? error.at(options) : error;
  }
}

const UNPRINTABLE = /[^\t\n\x20-\x7e\xa0-\ufffd]/;
const HALF =
  /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

/** Where the first character is that is not allowed, or ends a line in another way than the usual one. */
function unprintableIn(source: string): number {
  return source.search(source.isWellFormed() ? UNPRINTABLE : HALF);
}

function refuseUnprintable(source: string): void {
  const offset = unprintableIn(source);
  if (offset < 0) return;
  const code = source.charCodeAt(offset).toString(16).toUpperCase();
  throw errorAt(
    source,
    offset,
    `the character U+${code.padStart(4, "0")} is not allowed`,
  );
}
