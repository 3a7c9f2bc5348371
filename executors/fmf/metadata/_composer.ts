/** The value that the tokens of a YAML source make. */
import { type Token, type TokenKind, tokensOf } from "./_scanner.ts";
import { plainScalar, TAGGED } from "./_scalar.ts";
import { position } from "./_position.ts";
import { errorAt } from "./_texts.ts";
import { FmfError, quote } from "./errors.ts";
import {
  copy,
  equal,
  type FmfKey,
  type FmfMap,
  type FmfScalar,
  type FmfValue,
  isMap,
  isNumeric,
  textOf,
  typeName,
} from "./value.ts";

/** Collections within collections; deeper ones could overflow the stack elsewhere. */
const MAX_DEPTH = 200;

/** Values that aliases may multiply a file to. */
const MAX_COPIES = 1_000_000;

/** The key that takes in other mappings. */
const MERGE = Symbol("<<");

const YAML_TAG = "tag:yaml.org,2002:";

/** What may stand in front of a node. */
interface Properties {
  readonly anchor: string | undefined;
  readonly tag: string | undefined;
}

/** Makes the value of the one document in a source. */
export function compose(source: string): FmfValue {
  return new Composer(source).document();
}

class Composer {
  readonly #source: string;
  readonly #tokens: Token[];
  #index = 0;
  #token: Token;
  /** What stands at anchors, the last of each name; no value within. */
  readonly #anchored = new Map<string, { value?: FmfValue }>();
  /** What stands for the beginnings of tags. */
  readonly #handles = new Map([["!", "!"], ["!!", YAML_TAG]]);
  #copies = 0;

  constructor(source: string) {
    this.#source = source;
    this.#tokens = tokensOf(source);
    this.#token = this.#tokens[0];
  }

  /** Reads all tokens. */
  document(): FmfValue {
    try {
      return this.#document();
    } catch (error) {
      if (!(error instanceof FmfError) || error.line !== undefined) throw error;
      // a scalar that is no valid number or date does not know where it stands
      const { reason, text } = error;
      throw errorAt(this.#source, this.#token.start, reason, text);
    }
  }

  #document(): FmfValue {
    if (this.#token.error) throw this.#token.error;
    const hasDirectives = this.#directives();
    const isMarked = this.#is("---");
    if (isMarked) this.#next();
    else if (hasDirectives) throw this.#unexpected("---");
    const isEmpty = this.#is("end") || isMarked &&
        (this.#is("...") || this.#is("---") || this.#is("directive"));
    const value = isEmpty ? null : this.#node(0);
    const isEnded = this.#is("...");
    if (isEnded) this.#next();
    if (this.#is("end")) return value;
    throw isEnded || this.#is("---")
      ? this.#error("a file may hold only 1 document")
      : this.#surplus("the end of the document");
  }

  /** Reads what stands before the document; says whether there was anything. */
  #directives(): boolean {
    const start = this.#index;
    let hasVersion = false;
    const handles = new Set<string>();
    for (; this.#token.kind === "directive"; this.#next()) {
      const [name, ...parts] = this.#token.text.replace(/[ \t]#.*/, "").trim()
        .split(/[ \t]+/);
      if (!/^%[-\w:.]+$/.test(name)) throw this.#error("% wants a name");
      if (name === "%YAML") {
        if (hasVersion) throw this.#error("a second %YAML");
        if (!/^1\.[12]$/.test(parts.join(" "))) {
          throw this.#error(
            "only %YAML 1.1 and 1.2 are known",
            parts.join(" "),
          );
        }
        hasVersion = true;
      } else if (name === "%TAG") {
        if (parts.length !== 2 || !/^!(?:[-\w]*!)?$/.test(parts[0])) {
          throw this.#error("%TAG wants a handle such as !x! and a prefix");
        }
        if (handles.has(parts[0])) throw this.#error("a second %TAG for it");
        handles.add(parts[0]);
        this.#handles.set(parts[0], parts[1]);
      }
    }
    return this.#index > start;
  }

  #next(): void {
    this.#token = this.#tokens[++this.#index];
    if (this.#token.error) throw this.#token.error;
  }

  /** Reads a node; one that is the value of a mapping can be a list that stands no deeper. */
  #node(depth: number, isValue = false): FmfValue {
    const { kind, opens } = this.#token;
    if (kind === "alias" && !opens) return this.#alias(depth);
    if (kind !== "anchor" && kind !== "tag") {
      return this.#content(depth, isValue, undefined);
    }
    const { anchor, tag } = this.#properties();
    if (anchor === undefined) return this.#content(depth, isValue, tag);
    const anchored: { value?: FmfValue } = {};
    this.#anchored.set(anchor, anchored);
    return anchored.value = this.#content(depth, isValue, tag);
  }

  #properties(): Properties {
    let anchor: string | undefined;
    let tag: string | undefined;
    let hasTag = false;
    for (;;) {
      const { kind, text, opens, isKey } = this.#token;
      if (opens || isKey) break;
      if (kind === "anchor" && anchor === undefined) anchor = text;
      else if (kind === "tag" && !hasTag) {
        tag = this.#tag(text);
        hasTag = true;
      } else break;
      this.#next();
    }
    return { anchor, tag };
  }

  /** The full name of a tag; undefined if it says nothing. */
  #tag(text: string): string | undefined {
    if (text === "!") return undefined;
    if (text.startsWith("!<")) return text.slice(2, -1);
    const [, handle, suffix] = /^(!(?:[-\w]*!)?)(.*)$/s.exec(text)!;
    const prefix = this.#handles.get(handle);
    if (prefix === undefined) {
      throw this.#error("there is no %TAG for it", handle);
    }
    try {
      return prefix + decodeURIComponent(suffix);
    } catch {
      return prefix + suffix;
    }
  }

  #content(
    depth: number,
    isValue: boolean,
    tag: string | undefined,
  ): FmfValue {
    const token = this.#token;
    const { kind, opens } = token;
    if (opens === "mapping") {
      this.#enter(depth, "map", tag);
      return this.#mapping(depth + 1);
    }
    if (kind === "-" && (isValue || opens)) {
      this.#enter(depth, "seq", tag);
      return this.#list(depth + 1);
    }
    if (!token.isKey) {
      switch (kind) {
        case "plain":
        case "quoted":
        case "block": {
          const value = this.#scalar(token, tag);
          this.#next();
          return value;
        }
        case "[":
          this.#enter(depth, "seq", tag);
          return this.#flowList(depth + 1);
        case "{":
          this.#enter(depth, "map", tag);
          return this.#flowMapping(depth + 1);
      }
    }
    const before = this.#tokens[this.#index - 1];
    if (before?.kind === "anchor" || before?.kind === "tag") {
      // behind them, nothing is null
      return this.#scalar({ ...before, kind: "plain", text: "" }, tag);
    }
    throw kind === ","
      ? this.#error("an item is missing before ,")
      : this.#unexpected("a value");
  }

  #scalar({ kind, start, text }: Token, tag: string | undefined): FmfScalar {
    if (tag === undefined) return kind === "plain" ? plainScalar(text) : text;
    const value = tagged(tag)?.(text);
    if (value !== undefined) return value;
    throw this.#misfit(tag, start);
  }

  /** Checks whether a collection may begin here. */
  #enter(depth: number, name: "map" | "seq", tag: string | undefined): void {
    const { start } = this.#token;
    if (tag !== undefined && tag !== YAML_TAG + name) {
      throw this.#misfit(tag, start);
    }
    if (depth < MAX_DEPTH) return;
    throw this.#error(`it is nested deeper than ${MAX_DEPTH} levels`);
  }

  /** Reads a list of lines that begin with `-`. */
  #list(depth: number): FmfValue[] {
    const isIndented = this.#token.opens === "sequence";
    this.#token.opens = undefined;
    const items: FmfValue[] = [];
    while (this.#is("-")) {
      this.#next();
      const isEmpty = this.#is("-") || this.#is("dedent") ||
        !isIndented && this.#isEntry();
      items.push(isEmpty ? null : this.#node(depth));
    }
    if (!isIndented) return items;
    if (!this.#is("dedent")) throw this.#surplus("- or the end of the list");
    this.#next();
    return items;
  }

  /** Reads a mapping of lines. */
  #mapping(depth: number): FmfMap {
    const entries = new Entries();
    this.#token.opens = undefined;
    while (!this.#is("dedent")) {
      if (!this.#isEntry()) throw this.#surplus("a key");
      this.#entry(entries, depth, true);
    }
    this.#next();
    return entries.map();
  }

  #flowList(depth: number): FmfValue[] {
    const items: FmfValue[] = [];
    const { start } = this.#token;
    this.#next();
    while (!this.#is("]")) {
      if (this.#is("?") || this.#token.isKey) {
        // [a: 1] is short for [{a: 1}]
        const entries = new Entries();
        this.#enter(depth, "map", undefined);
        this.#entry(entries, depth + 1, false);
        items.push(entries.map());
      } else items.push(this.#node(depth));
      this.#separate(start, "]");
    }
    this.#next();
    return items;
  }

  #flowMapping(depth: number): FmfMap {
    const entries = new Entries();
    const { start } = this.#token;
    this.#next();
    while (!this.#is("}")) {
      this.#entry(entries, depth, false);
      this.#separate(start, "}");
    }
    this.#next();
    return entries.map();
  }

  /** Goes behind the comma between two items of what began at `start`. */
  #separate(start: number, end: "]" | "}"): void {
    if (this.#is(",")) return this.#next();
    if (this.#is(end)) return;
    const { line } = position(this.#source, start);
    throw this.#unexpected(
      `, or ${end} for the ${this.#source.charAt(start)} in line ${line}`,
    );
  }

  /** Whether the token is of a kind, and opens no collection. */
  #is(kind: TokenKind): boolean {
    return this.#token.kind === kind && !this.#token.opens;
  }

  /** Whether a key begins, or a value of which there is no key. */
  #isEntry(): boolean {
    return !this.#token.opens && this.#token.isKey || this.#is("?") ||
      this.#is(":");
  }

  /** Whether nothing is written where a key or value could be. */
  #isNothing(inBlock: boolean): boolean {
    return inBlock
      ? this.#isEntry() || this.#is("dedent")
      : this.#is(",") || this.#is("]") || this.#is("}");
  }

  /** Reads a key and its value. */
  #entry(entries: Entries, depth: number, inBlock: boolean): void {
    const isExplicit = this.#is("?");
    if (isExplicit) this.#next();
    const { kind, start, text, isKey } = this.#token;
    const isMissing = this.#is(":") || isExplicit && this.#isNothing(inBlock);
    const mayHaveValue = isExplicit || isMissing || isKey;
    const key = isMissing ? null : this.#key(depth, inBlock);
    const name = kind === "plain" || kind === "quoted"
      ? text
      : textOf(key === MERGE ? "<<" : key);
    if (!entries.claim(key)) throw this.#fault(start, "duplicate key", name);
    let value: FmfValue = null;
    if (mayHaveValue && this.#is(":")) {
      this.#next();
      if (!this.#isNothing(inBlock)) value = this.#node(depth, inBlock);
    }
    if (key !== MERGE) entries.own.set(key, value);
    else if (!entries.merge(value)) {
      const found = Array.isArray(value)
        ? "a list with something else"
        : typeName(value);
      throw this.#fault(
        start,
        `wants a mapping or a list of mappings, not ${found}`,
        name,
      );
    }
  }

  #key(depth: number, inBlock: boolean): FmfKey | typeof MERGE {
    const token = this.#token;
    if (!token.opens) token.isKey = false;
    const first = this.#index;
    const key = this.#node(depth, inBlock);
    if (typeof key === "string") {
      return key === "<<" && this.#isPlain(first) ? MERGE : key;
    }
    if (Array.isArray(key) || isMap(key) || key instanceof Uint8Array) {
      throw errorAt(
        this.#source,
        token.start,
        key instanceof Uint8Array
          ? "binary data may not be a key"
          : "a list or mapping may not be a key",
      );
    }
    return key;
  }

  /** Whether what was read last, from a token on, is plain text without a tag. */
  #isPlain(first: number): boolean {
    const tokens = this.#tokens.slice(first, this.#index);
    return tokens.at(-1)!.kind === "plain" &&
      !tokens.some(({ kind, text }) => kind === "tag" && text !== "!");
  }

  /** An independent copy of what an alias means. */
  #alias(depth: number): FmfValue {
    const { text } = this.#token;
    const value = this.#anchored.get(text)?.value;
    if (value === undefined) {
      throw this.#error(
        this.#anchored.has(text)
          ? "it stands inside what it means"
          : `there is no anchor ${quote(text)} before it`,
        `*${text}`,
      );
    }
    const result = this.#copy(value, depth);
    this.#next();
    return result;
  }

  #copy(value: FmfValue, depth: number): FmfValue {
    if (++this.#copies > MAX_COPIES) {
      throw this.#error(`aliases multiply it to over ${MAX_COPIES} values`);
    }
    if (Array.isArray(value)) {
      this.#enter(depth, "seq", undefined);
      return value.map((item) => this.#copy(item, depth + 1));
    }
    if (!isMap(value)) return copy(value);
    this.#enter(depth, "map", undefined);
    const result: FmfMap = new Map();
    for (const [key, item] of value) {
      result.set(key, this.#copy(item, depth + 1));
    }
    return result;
  }

  /** An error at the token. */
  #error(reason: string, text?: string): FmfError {
    return errorAt(this.#source, this.#token.start, reason, text);
  }

  /** An error about an entry of a mapping. */
  #fault(start: number, reason: string, key: string): FmfError {
    return errorAt(this.#source, start, reason).at({ key });
  }

  #unexpected(wanted: string): FmfError {
    return this.#error(
      `${wanted} is expected, not ${described(this.#token)}`,
    );
  }

  /** An error about what stands behind an entry or item of a block. */
  #surplus(wanted: string): FmfError {
    const { kind, start } = this.#token;
    const before = this.#tokens[this.#index - 1]?.start ?? start;
    return kind === "end" || this.#source.slice(before, start).includes("\n")
      ? this.#unexpected(wanted)
      : this.#error(
        `${described(this.#token)} may not follow on the same line`,
      );
  }

  /** An error about a tag at what does not fit it. */
  #misfit(tag: string, start: number): FmfError {
    const isKnown = tagged(tag) ||
      tag === `${YAML_TAG}map` || tag === `${YAML_TAG}seq`;
    return errorAt(
      this.#source,
      start,
      isKnown
        ? `what follows is no value of the tag !!${tag.slice(YAML_TAG.length)}`
        : `unknown tag !<${tag}>`,
    );
  }
}

/** The entries of a mapping, while it is read. */
class Entries {
  /** Its own ones. */
  readonly own: FmfMap = new Map();
  /** Keys that are not text, which are the same where their values are equal. */
  #others: Set<string> | undefined;
  /** Those that it takes in. */
  #merged: FmfMap | undefined;

  /** Whether a key has not been there before. */
  claim(key: FmfKey | typeof MERGE): boolean {
    if (typeof key === "string") return !this.own.has(key);
    this.#others ??= new Set();
    const { size } = this.#others;
    this.#others.add(
      key === MERGE
        ? "<<"
        : isNumeric(key)
        ? `number ${key.valueOf()}`
        : `${typeName(key)} ${key}`,
    );
    return this.#others.size > size;
  }

  /**
   * Takes in a mapping, or a list of them; says whether it is that. The first
   * of a list wins, and stands behind those that it overrides.
   */
  merge(value: FmfValue): boolean {
    const sources = Array.isArray(value) ? value : [value];
    if (!sources.every(isMap)) return false;
    this.#merged = new Map();
    for (const source of sources.toReversed()) {
      override(this.#merged, source);
    }
    return true;
  }

  /** All together: what was taken in comes first, and gives way to its own. */
  map(): FmfMap {
    return this.#merged ? override(this.#merged, this.own) : this.own;
  }
}

/** Sets entries of a mapping, also those whose keys are equal but not the same. */
function override(target: FmfMap, source: FmfMap): FmfMap {
  for (const [key, value] of source) {
    const isNew = typeof key === "string" || target.has(key);
    const found = isNew
      ? key
      : target.keys().find((other) => equal(other, key));
    target.set(found ?? key, value);
  }
  return target;
}

/** What makes a value of text with a tag, if there can be one. */
function tagged(tag: string) {
  const name = tag.startsWith(YAML_TAG) ? tag.slice(YAML_TAG.length) : "";
  return Object.hasOwn(TAGGED, name) ? TAGGED[name] : undefined;
}

/** A token in words for messages. */
function described({ kind, opens, isKey }: Token): string {
  if (opens) return `a ${opens === "mapping" ? "mapping" : "list"}`;
  if (isKey) return "a key";
  switch (kind) {
    case "plain":
    case "quoted":
    case "block":
      return "text";
    case "alias":
    case "anchor":
      return `an ${kind}`;
    case "tag":
    case "directive":
      return `a ${kind}`;
    case "dedent":
      return "the end of what is indented";
    case "end":
      return "the end of the file";
    default:
      return kind;
  }
}
