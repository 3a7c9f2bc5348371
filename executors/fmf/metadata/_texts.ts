/** The texts of a YAML source: plain, quoted and in blocks, over as many lines as they go. */
import { position } from "./_position.ts";
import { FmfError } from "./errors.ts";

/** Stands behind the source, which cannot hold it. */
export const END = "\0";

const NEWLINE = 0x0a;
const SPACE = 0x20;
const HYPHEN = 0x2d;
const PERIOD = 0x2e;

/** What may end a line of plain text; ends at the character that does, `#` behind a blank. */
const PLAIN_STOP = /:(?=[ \t\n\0])|[ \t]#|[\n\0]/g;
const FLOW_STOP = /[,[\]{}\n\0]|:(?=[ \t\n\0])|[ \t]#/g;
const NO_TEXT = /:[ \t\n\0]/y;
const NO_TEXT_IN_FLOW = /[,[\]{}]|:[ \t\n\0]/y;

const BLOCK_HEADER =
  /[|>](?:([-+])([1-9])?|([1-9])([-+])?)?(?:[ \t]+(?:#[^\n\0]*)?)?(?=[\n\0])/y;

const DOCUMENT_MARK = /(?:---|\.\.\.)(?=[ \t\n\0])/y;

const ESCAPES = new Map([
  ["0", "\0"],
  ["a", "\x07"],
  ["b", "\b"],
  ["t", "\t"],
  ["\t", "\t"],
  ["n", "\n"],
  ["v", "\v"],
  ["f", "\f"],
  ["r", "\r"],
  ["e", "\x1b"],
  [" ", " "],
  ['"', '"'],
  ["/", "/"],
  ["\\", "\\"],
  ["N", "\x85"],
  ["_", "\xa0"],
  ["L", "\u2028"],
  ["P", "\u2029"],
]);
const CODE = /x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})/y;

/** Whether a sticky pattern matches at an offset. */
export function isAt(pattern: RegExp, source: string, offset: number): boolean {
  pattern.lastIndex = offset;
  return pattern.test(source);
}

/** Whether a document begins or ends at the start of a line. */
export function isDocumentMark(source: string, lineStart: number): boolean {
  const first = source.charCodeAt(lineStart);
  return (first === HYPHEN || first === PERIOD) &&
    isAt(DOCUMENT_MARK, source, lineStart);
}

/** Whether a character is a letter or digit of ASCII, with which plain text can always begin. */
export function isWord(code: number): boolean {
  return code >= 0x61 && code <= 0x7a || code >= 0x41 && code <= 0x5a ||
    code >= 0x30 && code <= 0x39;
}

/** Whether a character is a space or a tab. */
export function isBlank(code: number): boolean {
  return code === SPACE || code === 0x09;
}

/** An error at an offset of a source. */
export function errorAt(
  source: string,
  offset: number,
  reason: string,
  text?: string,
): FmfError {
  return new FmfError("file", reason, {
    ...position(source, offset),
    ...(text !== undefined && { text }),
  });
}

/** Reads texts of a source that ends with {@linkcode END}. */
export class Texts {
  /** Behind the text that was read last. */
  end = 0;
  /** Where the line begins in which it ends. */
  lineStart = 0;
  /** The line that may go on with a text; negative if a document ends there. */
  #nextLine = 0;
  /** Its first character that is no blank. */
  #next = 0;
  /** How many empty lines stand before it. */
  #emptyLines = 0;

  constructor(readonly source: string) {}

  /** Plain text; it goes on in lines that stand deeper than `indent`, in a flow in all. */
  plain(start: number, indent: number, inFlow: boolean): string {
    const { source } = this;
    const stop = inFlow ? FLOW_STOP : PLAIN_STOP;
    let text = "";
    for (let from = start;;) {
      stop.lastIndex = from;
      stop.test(source);
      const stopped = stop.lastIndex - 1;
      this.end = this.#trimmed(from, stopped);
      text += source.slice(from, this.end);
      if (source.charCodeAt(stopped) !== NEWLINE) return text;
      this.#goOn(stopped);
      if (!this.#isMorePlain(indent, inFlow)) return text;
      this.lineStart = this.#nextLine;
      text += folded(this.#emptyLines);
      from = this.#next;
    }
  }

  /** Whether the next line goes on with plain text. */
  #isMorePlain(indent: number, inFlow: boolean): boolean {
    const { source } = this;
    const next = this.#next;
    if (!inFlow && next - this.#nextLine <= indent) return false;
    const char = source.charAt(next);
    return this.#nextLine >= 0 && char !== END && char !== "#" &&
      source.charAt(next - 1) !== "\t" &&
      !isAt(inFlow ? NO_TEXT_IN_FLOW : NO_TEXT, source, next);
  }

  /** Text in single or double quotes. */
  quoted(start: number): string {
    const { source } = this;
    const quote = source.charAt(start);
    const stop = quote === '"' ? /["\\\n\0]/g : /['\n\0]/g;
    let text = "";
    for (let from = start + 1;;) {
      stop.lastIndex = from;
      stop.test(source);
      const at = stop.lastIndex - 1;
      const char = source.charAt(at);
      if (char === "\n") {
        text += source.slice(from, this.#trimmed(from, at));
        this.#goOnQuoted(at);
        text += folded(this.#emptyLines);
        from = this.#next;
        continue;
      }
      text += source.slice(from, at);
      if (char === quote) {
        this.end = at + 1;
        if (quote === '"' || source.charAt(at + 1) !== quote) return text;
        text += quote;
        from = at + 2;
      } else if (char === END) {
        throw errorAt(source, start, "the quoted text has no end");
      } else if (source.charAt(at + 1) === "\n") {
        this.#goOnQuoted(at + 1);
        text += "\n".repeat(this.#emptyLines);
        from = this.#next;
      } else {
        text += this.#escaped(at);
        from = this.end;
      }
    }
  }

  #goOnQuoted(offset: number): void {
    this.#goOn(offset);
    if (this.#nextLine < 0) {
      throw errorAt(
        this.source,
        this.#next,
        "a document may not begin or end in a quoted text",
      );
    }
    this.lineStart = this.#nextLine;
  }

  /** What an escape sequence means. */
  #escaped(offset: number): string {
    const { source } = this;
    const char = source.charAt(offset + 1);
    const plain = ESCAPES.get(char);
    if (plain !== undefined) {
      this.end = offset + 2;
      return plain;
    }
    CODE.lastIndex = offset + 1;
    const code = CODE.exec(source);
    const point = code ? parseInt(code[1] ?? code[2] ?? code[3], 16) : NaN;
    if (!(point <= 0x10ffff)) {
      throw errorAt(
        source,
        offset,
        code ? "there is no such character" : "unknown escape sequence",
        source.slice(offset, offset + 1 + (code?.[0] ?? char).length),
      );
    }
    this.end = CODE.lastIndex;
    return String.fromCodePoint(point);
  }

  /** A block of text below a node that stands at `indent`. */
  block(start: number, indent: number): string {
    const { source } = this;
    BLOCK_HEADER.lastIndex = start;
    const header = BLOCK_HEADER.exec(source);
    if (!header) {
      throw errorAt(
        source,
        start,
        `behind ${
          source.charAt(start)
        } may stand + or -, a digit from 1 to 9, and a comment after a blank`,
      );
    }
    const isFolded = source.charAt(start) === ">";
    const chomping = header[1] ?? header[4];
    const digit = header[2] ?? header[3];
    let at = Math.min(BLOCK_HEADER.lastIndex + 1, source.length - 1);
    const depth = digit === undefined
      ? Math.max(indent + 1, this.#depth(at))
      : Math.max(indent, 0) + Number(digit);
    let text = "";
    /** Empty lines since the last that was not. */
    let empty = 0;
    let lines = 0;
    let wasSpaced = false;
    let end = at;
    for (;;) {
      let from = at;
      while (from - at < depth && source.charCodeAt(from) === SPACE) from++;
      if (source.charCodeAt(from) === NEWLINE) {
        empty++;
        at = from + 1;
        continue;
      }
      if (
        from - at < depth || source.charAt(from) === END ||
        indent < 0 && isDocumentMark(source, at)
      ) break;
      const isSpaced = isBlank(source.charCodeAt(from));
      const joins = isFolded && !isSpaced && !wasSpaced && lines > 0;
      if (joins && empty === 0) text += " ";
      else if (lines > 0 && !joins) text += "\n";
      text += "\n".repeat(empty);
      const newline = source.indexOf("\n", from);
      end = newline < 0 ? source.length - 1 : newline;
      text += source.slice(from, end);
      at = newline < 0 ? end : newline + 1;
      empty = 0;
      lines++;
      wasSpaced = isSpaced;
    }
    this.end = this.lineStart = at;
    if (chomping === "-") return text;
    if (lines > 0 && source.charCodeAt(end) === NEWLINE) text += "\n";
    return chomping === "+" ? text + "\n".repeat(empty) : text;
  }

  /** How deep a block of text stands: its first line that is not empty, or the deepest before it. */
  #depth(offset: number): number {
    const { source } = this;
    let depth = 0;
    for (let at = offset;; at++) {
      const lineStart = at;
      while (source.charCodeAt(at) === SPACE) at++;
      depth = Math.max(depth, at - lineStart);
      if (source.charCodeAt(at) !== NEWLINE) return depth;
    }
  }

  /** Finds the next line that is not empty, behind the line that ends at `offset`. */
  #goOn(offset: number): void {
    const { source } = this;
    this.#emptyLines = -1;
    let next = offset;
    while (source.charCodeAt(next) === NEWLINE) {
      this.#emptyLines++;
      this.#nextLine = ++next;
      while (isBlank(source.charCodeAt(next))) next++;
    }
    this.#next = next;
    if (isDocumentMark(source, this.#nextLine)) this.#nextLine = -1;
  }

  /** The end of what is no blank between two offsets. */
  #trimmed(from: number, to: number): number {
    while (to > from && isBlank(this.source.charCodeAt(to - 1))) to--;
    return to;
  }
}

/** What line breaks in a text mean: a blank, or as many as there are empty lines between. */
function folded(emptyLines: number): string {
  return emptyLines === 0 ? " " : "\n".repeat(emptyLines);
}
