/** The tokens of a YAML source: where nodes, keys and collections begin and end. */
import {
  END,
  errorAt,
  isAt,
  isBlank,
  isDocumentMark,
  isWord,
  Texts,
} from "./_texts.ts";
import { FmfError } from "./errors.ts";

/** What a token is; most are named after the character that stands there. */
export type TokenKind =
  | "plain"
  | "quoted"
  | "block"
  | "alias"
  | "anchor"
  | "tag"
  | "directive"
  | "---"
  | "..."
  | "["
  | "]"
  | "{"
  | "}"
  | ","
  | "-"
  | "?"
  | ":"
  /** A block collection ends. */
  | "dedent"
  /** The source ends. */
  | "end"
  /** Something stands there that cannot be read. */
  | "error";

/** A part of a source. */
export interface Token {
  readonly kind: TokenKind;
  /** Where it begins. */
  readonly start: number;
  /** The text of a scalar, the name of an anchor, the rest of a tag or directive. */
  readonly text: string;
  /** Which block collection begins with it. */
  opens?: "mapping" | "sequence" | undefined;
  /** Whether a key without `?` begins with it. */
  isKey: boolean;
  /** Why nothing can be read there. */
  readonly error?: FmfError | undefined;
}

/** A place where a key can have begun: only a `:` tells. */
interface PossibleKey {
  readonly token: Token;
  readonly column: number;
  /** Whether nothing else than a key can stand there. */
  readonly isRequired: boolean;
}

/** Longer keys need a `?`. */
const MAX_KEY = 1024;

const COLON = 0x3a;

const NAME = /[^ \t\n\0,[\]{}]+/y;
const TAG = /!<[^>\s]*>|![^ \t\n\0,[\]{}]*/y;
const DIRECTIVE = /%[^\n\0]*/y;
/** What cannot begin plain text: no `?` either in a flow. */
const NO_PLAIN = /[-?:][ \t\n\0]|[,[\]{}#&*!|>'"%@`\0]/y;
const NO_PLAIN_IN_FLOW = /[-:][ \t\n\0]|[?,[\]{}#&*!|>'"%@`\0]/y;

/** The tokens of a source. The last one is its end, or what cannot be read. */
export function tokensOf(source: string): Token[] {
  const scanner = new Scanner(source + END);
  try {
    scanner.scan();
  } catch (error) {
    if (!(error instanceof FmfError)) throw error;
    scanner.fail(error);
  }
  return scanner.tokens;
}

class Scanner {
  readonly tokens: Token[] = [];
  readonly #source: string;
  readonly #texts: Texts;
  #index = 0;
  #lineStart = 0;
  /** The column of the block collection around, and of those around it. */
  #indent = -1;
  readonly #indents: number[] = [];
  /** The brackets that are open. */
  readonly #flows: string[] = [];
  /** What can be a key, by the number of open brackets. */
  readonly #keys: (PossibleKey | undefined)[] = [];
  /** Whether a key may begin here. */
  #isKeyAllowed = true;

  constructor(source: string) {
    this.#source = source;
    this.#texts = new Texts(source);
  }

  /** Adds all tokens. */
  scan(): void {
    do {
      this.#skip();
      const key = this.#keys[0];
      if (key?.isRequired && !this.#isFresh(key)) this.#dropKey(0);
      this.#unwind(this.#index - this.#lineStart);
      this.#next();
    } while (this.#index < this.#source.length);
  }

  /** Ends the tokens with an error. */
  fail(error: FmfError): void {
    this.#push("error", this.#index, "", error);
  }

  /** Skips blanks, comments and line breaks. */
  #skip(): void {
    const source = this.#source;
    const inFlow = this.#flows.length > 0;
    for (let at = this.#index;;) {
      const isIndent = at === this.#lineStart;
      while (source.charCodeAt(at) === 0x20) at++;
      if (source.charCodeAt(at) === 0x09) at = this.#skipTabs(at, isIndent);
      if (source.charCodeAt(at) === 0x23) { // "#"
        const end = source.indexOf("\n", at);
        at = end < 0 ? source.length - 1 : end;
      }
      if (source.charCodeAt(at) !== 0x0a) {
        this.#index = at;
        return;
      }
      this.#lineStart = ++at;
      if (!inFlow) this.#isKeyAllowed = true;
    }
  }

  /** Skips blanks with tabs, which can separate tokens, but not tell how deep one stands. */
  #skipTabs(start: number, isIndent: boolean): number {
    const source = this.#source;
    let at = start;
    while (isBlank(source.charCodeAt(at))) at++;
    if (this.#flows.length === 0 && !"\n#\0".includes(source.charAt(at))) {
      if (isIndent) throw errorAt(source, start, "a tab may not indent");
      this.#isKeyAllowed = false;
    }
    return at;
  }

  /** Adds the token that stands here. */
  #next(): void {
    const source = this.#source;
    const at = this.#index;
    if (isWord(source.charCodeAt(at))) return this.#text("plain");
    const char = source.charAt(at);
    if (at === this.#lineStart) {
      if (char === "%") return this.#mark("directive", DIRECTIVE);
      if (isDocumentMark(source, at)) {
        return this.#mark(char === "-" ? "---" : "...", /.../y);
      }
    }
    switch (char) {
      case "[":
      case "{":
        this.#saveKey(this.#add(char));
        this.#flows.push(char);
        this.#isKeyAllowed = true;
        return;
      case "]":
      case "}":
        this.#dropKey();
        this.#flows.pop();
        this.#isKeyAllowed = false;
        this.#add(char);
        return;
      case ",":
        this.#dropKey();
        this.#isKeyAllowed = true;
        this.#add(char);
        return;
      case "-":
      case "?":
        if (this.#isSeparator(at + 1)) return this.#indicator(char);
        break;
      case ":":
        if (this.#isValue()) return this.#value();
        break;
      case "*":
        return this.#property("alias", NAME);
      case "&":
        return this.#property("anchor", NAME);
      case "!":
        return this.#property("tag", TAG);
      case "'":
      case '"':
        return this.#text("quoted");
      case "|":
      case ">":
        if (this.#flows.length === 0) return this.#block();
        break;
      case END:
        if (at === source.length - 1) return this.#mark("end", /\0/y);
    }
    const inFlow = this.#flows.length > 0;
    if (isAt(inFlow ? NO_PLAIN_IN_FLOW : NO_PLAIN, source, at)) {
      throw errorAt(source, at, `no text may begin with ${char}`);
    }
    this.#text("plain");
  }

  #isSeparator(offset: number): boolean {
    const code = this.#source.charCodeAt(offset);
    return code === 0x20 || code === 0x0a || code === 0x09 || code === 0;
  }

  /** Whether a `:` stands between key and value, rather than in a text. */
  #isValue(): boolean {
    return this.#isSeparator(this.#index + 1) ||
      this.#flows.at(-1) === "{" && this.tokens.at(-1)!.kind !== ":";
  }

  #push(
    kind: TokenKind,
    start: number,
    text: string,
    error?: FmfError,
  ): Token {
    const token = { kind, start, text, opens: undefined, isKey: false, error };
    this.tokens.push(token);
    return token;
  }

  /** Adds a token of one character. */
  #add(kind: TokenKind): Token {
    return this.#push(kind, this.#index++, "");
  }

  /** Adds what stands outside of all collections. */
  #mark(kind: TokenKind, pattern: RegExp): void {
    this.#unwind(-1);
    this.#dropKey();
    this.#isKeyAllowed = false;
    const start = this.#index;
    pattern.lastIndex = start;
    const [text] = pattern.exec(this.#source)!;
    this.#index += text.length;
    this.#push(kind, start, text);
  }

  /** Adds `-` or `?` and opens a collection if it stands deeper than the one around. */
  #indicator(kind: "-" | "?"): void {
    const inFlow = this.#flows.length > 0;
    const start = this.#index;
    if (!inFlow && !this.#isKeyAllowed) {
      throw errorAt(
        this.#source,
        start,
        kind === "-"
          ? "an item of a list may not begin here"
          : "a key may not begin here",
      );
    }
    this.#dropKey();
    this.#isKeyAllowed = !inFlow || kind === "-";
    const token = this.#add(kind);
    if (this.#deepen(start - this.#lineStart)) {
      token.opens = kind === "-" ? "sequence" : "mapping";
    }
  }

  /** Adds `:`, and marks the key before it. */
  #value(): void {
    const level = this.#flows.length;
    const key = this.#keys[level];
    if (key && this.#isFresh(key)) {
      this.#keys[level] = undefined;
      this.#keyFound(key.token, key.column);
      return;
    }
    if (level === 0 && !this.#isKeyAllowed) {
      throw errorAt(
        this.#source,
        this.#index,
        "no value may begin here: a text that holds : and a blank must be quoted, and keys of one mapping begin in one column",
      );
    }
    this.#dropKey();
    this.#isKeyAllowed = level === 0;
    const token = this.#add(":");
    if (this.#deepen(token.start - this.#lineStart)) token.opens = "mapping";
  }

  /** Adds the `:` behind a key. */
  #keyFound(key: Token, column: number): void {
    key.isKey = true;
    if (this.#deepen(column)) key.opens = "mapping";
    this.#isKeyAllowed = false;
    this.#add(":");
  }

  /** Adds an alias, anchor or tag. */
  #property(kind: "alias" | "anchor" | "tag", pattern: RegExp): void {
    const start = this.#index;
    pattern.lastIndex = kind === "tag" ? start : start + 1;
    const text = pattern.exec(this.#source)?.[0];
    if (text === undefined) {
      throw errorAt(this.#source, start, `an ${kind} needs a name`);
    }
    this.#saveKey(this.#push(kind, start, text));
    this.#isKeyAllowed = false;
    this.#index = pattern.lastIndex;
  }

  #text(kind: "plain" | "quoted"): void {
    const start = this.#index;
    const column = start - this.#lineStart;
    const texts = this.#texts;
    texts.lineStart = this.#lineStart;
    const inFlow = this.#flows.length > 0;
    const text = kind === "plain"
      ? texts.plain(start, this.#indent, inFlow)
      : texts.quoted(start);
    const token = this.#push(kind, start, text);
    const isKey = this.#isKeyAllowed && !inFlow && kind === "plain" &&
      texts.lineStart === this.#lineStart && texts.end - start <= MAX_KEY &&
      this.#source.charCodeAt(texts.end) === COLON;
    if (isKey) {
      // what most lines begin with: there is no need to remember it first
      this.#dropKey();
      this.#index = texts.end;
      this.#keyFound(token, column);
      return;
    }
    this.#saveKey(token, column);
    this.#isKeyAllowed = false;
    this.#index = texts.end;
    this.#lineStart = texts.lineStart;
  }

  #block(): void {
    this.#dropKey();
    const text = this.#texts.block(this.#index, this.#indent);
    this.#push("block", this.#index, text);
    this.#isKeyAllowed = true;
    this.#index = this.#texts.end;
    this.#lineStart = this.#texts.lineStart;
  }

  /** Remembers that a key can begin with a token. */
  #saveKey(token: Token, column = token.start - this.#lineStart): void {
    if (!this.#isKeyAllowed) return;
    this.#dropKey();
    const level = this.#flows.length;
    const isRequired = level === 0 && this.#indent === column;
    this.#keys[level] = { token, column, isRequired };
  }

  /** What began here is no key. */
  #dropKey(level = this.#flows.length): void {
    const key = this.#keys[level];
    if (key?.isRequired) {
      throw errorAt(
        this.#source,
        key.token.start,
        "a key is expected here, with : and a blank behind it",
      );
    }
    this.#keys[level] = undefined;
  }

  /** Whether what can be a key began on this line, and not too far away. */
  #isFresh({ token: { start } }: PossibleKey): boolean {
    return start >= this.#lineStart && this.#index - start <= MAX_KEY;
  }

  /** Ends the block collections that stand deeper than a column. */
  #unwind(column: number): void {
    if (this.#flows.length > 0) return;
    while (this.#indent > column) {
      this.#indent = this.#indents.pop()!;
      this.#push("dedent", this.#index, "");
    }
  }

  /** Whether a block collection begins in a column. */
  #deepen(column: number): boolean {
    if (this.#flows.length > 0 || this.#indent >= column) return false;
    this.#indents.push(this.#indent);
    this.#indent = column;
    return true;
  }
}
