/** One pass of the YAML parser over a source, and the value made of what it gives. */
import { type ImplicitType, parse } from "@std/yaml/unstable-parse";
import { plainScalar, TAGGED } from "./_scalar.ts";
import { TokenSource, unusedCharacter } from "./_tokens.ts";
import { FmfError, quote } from "./errors.ts";
import {
  Float,
  type FmfKey,
  type FmfMap,
  type FmfScalar,
  type FmfValue,
  isMap,
  typeName,
} from "./value.ts";

/** Collections within collections; deeper ones could overflow the stack elsewhere. */
const MAX_DEPTH = 200;

/** Values that aliases may multiply a file to. */
const MAX_COPIES = 1_000_000;

/** Keys that an object puts before all others. */
const INDEX = /^(?:0|[1-9][0-9]{0,9})$/;

/** The key that takes in another mapping. */
const MERGE = "<<";

/** The tag of plain scalars; no source can hold it. */
const PLAIN = "plain scalar";

/** A scalar that is not text. As a key it becomes a text that no other key has. */
class Typed {
  readonly [Symbol.toStringTag] = "Typed";
  constructor(
    readonly document: Document,
    readonly text: string,
    readonly value: FmfScalar,
  ) {}
  toString(): string {
    return this.document.keyText(this);
  }
}

/** A use of an anchor. */
class Alias {
  readonly [Symbol.toStringTag] = "Alias";
  constructor(readonly document: Document, readonly place: number) {}
  toString(): string {
    return this.document.aliasText(this);
  }
}

/** A scalar as the parser gives it; null is nothing written. */
type RawScalar = null | string | Typed | Alias;

/** What the parser gives. */
type Raw = RawScalar | Raw[] | RawMap;

type RawMap = { [key: string]: Raw };

const isRawMap = (raw: Raw): raw is RawMap =>
  typeof raw === "object" && raw !== null && !Array.isArray(raw) &&
  !(raw instanceof Typed) && !(raw instanceof Alias);

/** A type whose values are what `construct` gives, unless that is undefined. */
function type<T extends Raw>(
  tag: string,
  construct: (data: T) => Raw | undefined,
  kind: "scalar" | "sequence" | "mapping" = "scalar",
): ImplicitType {
  let result: Raw | undefined;
  return {
    tag,
    // the parser finds types of collections, too, only its declaration does not say so
    kind: kind as "scalar",
    resolve: (data) => (result = construct(data)) !== undefined,
    construct: () => result,
  };
}

/** A document, read with or without tokens in its source. */
export class Document {
  /** Whether there are keys whose order or type gets lost unless they are marked. */
  ambiguousKeys = false;
  /** Whether a list has an item that is not written. */
  hasGap = false;
  readonly #source: string;
  readonly #tokens: TokenSource | undefined;
  /** What stands at anchors, by their places. */
  readonly #anchored = new Map<number, Raw>();
  /** Keys that are not text, by the text that stands for them. */
  readonly #keys = new Map<string, FmfKey>();
  #keyMark = "";
  readonly #path: (string | number)[] = [];
  /** Places of the anchors that are being copied. */
  readonly #copying: number[] = [];
  #copies = 0;

  /** Takes the source, and patterns of the places in it that need tokens. */
  constructor(source: string, patterns: readonly string[]) {
    this.#source = source;
    if (patterns.length === 0) return;
    this.#tokens = new TokenSource(
      source,
      new RegExp(patterns.join("|"), "gm"),
      (tokens, place) =>
        /^[&!]/.test(tokens.places[place][0])
          ? tokens.tag(place)
          : tokens.mark(place),
    );
  }

  /** Parses the source. */
  read(): FmfValue {
    let raw: Raw;
    try {
      raw = parse(this.#tokens?.text ?? this.#source, {
        schema: "failsafe",
        extraTypes: this.#types(),
      }) as Raw;
    } catch (error) {
      throw this.#explain(error);
    }
    return this.#convert(raw, 0);
  }

  #types(): ImplicitType[] {
    const types = [type<string>(PLAIN, (text) => this.#plain(text))];
    for (const [name, construct] of Object.entries(TAGGED)) {
      types.push(type<RawScalar>(`tag:yaml.org,2002:${name}`, (data) => {
        const text = this.#textOf(data);
        const value = construct(text);
        return value === undefined ? undefined : new Typed(this, text, value);
      }));
    }
    const tokens = this.#tokens;
    tokens?.places.forEach(({ 0: original }, place) => {
      if (!/^[&!]/.test(original)) return;
      const tag = tokens.tag(place).trimEnd();
      const keep = (data: Raw) => {
        this.#anchored.set(place, data);
        return data;
      };
      types.push(
        type(tag, keep, "sequence"),
        type(tag, keep, "mapping"),
        type<RawScalar>(tag, (data) => keep(this.#scalarAt(place, data))),
      );
    });
    return types;
  }

  #restore(text: string): string {
    return this.#tokens?.restore(text) ?? text;
  }

  #textOf(data: RawScalar): string {
    if (data instanceof Typed) return data.text;
    return typeof data === "string" ? this.#restore(data) : "";
  }

  #plain(text: string): RawScalar {
    const place = this.#tokens?.placeIn(text);
    if (place !== undefined && this.#tokens!.places[place][0] !== "") {
      const mark = this.#tokens!.mark(place);
      if (text === mark) return new Alias(this, place);
      if (text.startsWith(mark)) {
        throw this.#error("text follows an alias", place);
      }
    }
    const original = this.#restore(text);
    const value = plainScalar(original);
    return value === original && value !== MERGE
      ? value
      : new Typed(this, original, value);
  }

  /** A scalar behind a tag that stands for an anchor, a lone `!` or `!!str`. */
  #scalarAt(place: number, data: RawScalar): RawScalar {
    const { index, 0: original } = this.#tokens!.places[place];
    if (original === "!!str") return this.#textOf(data);
    const rest = /(?:\s|#.*)*/y;
    rest.lastIndex = index + original.length;
    rest.exec(this.#source);
    const isPlain = !/['"|>]/.test(this.#source.charAt(rest.lastIndex));
    return typeof data === "string" && isPlain ? this.#plain(data) : data;
  }

  /** The text that stands for a key that is not text. */
  keyText({ text, value }: Typed): string {
    if (value instanceof Uint8Array) {
      throw new FmfError("file", "binary data may not be a key", { text });
    }
    const identity = value instanceof Float ? value.valueOf() : value;
    const kind = value === MERGE ? "" : typeof identity;
    const key = this.#markedKey(`${kind}${identity}`);
    this.#keys.set(key, value);
    return key;
  }

  /** The text that stands for a key that is an alias. */
  aliasText(alias: Alias): string {
    const raw = this.#anchored.get(this.#anchorOf(alias)) ?? null;
    if (Array.isArray(raw) || isRawMap(raw)) {
      throw this.#error("a list or mapping may not be a key", alias.place);
    }
    return raw === null ? this.keyText(new Typed(this, "", null)) : `${raw}`;
  }

  #markedKey(key: string): string {
    this.#keyMark ||= unusedCharacter(this.#source)[0].repeat(2);
    return this.#keyMark + key;
  }

  /** The place of the anchor that an alias means: the last one before it. */
  #anchorOf({ place }: Alias): number {
    const { places } = this.#tokens!;
    const name = places[place][0].slice(1);
    for (let anchor = place; anchor-- > 0;) {
      const isAnchor = places[anchor][0] === `&${name}`;
      if (isAnchor && this.#anchored.has(anchor)) return anchor;
    }
    throw this.#error(`there is no anchor ${quote(name)} before it`, place);
  }

  #convert(raw: Raw, depth: number): FmfValue {
    if (this.#copying.length > 0 && ++this.#copies > MAX_COPIES) {
      throw this.#problem(`aliases multiply it to over ${MAX_COPIES} values`);
    }
    if (typeof raw === "string") return this.#text(raw);
    if (raw === null || raw instanceof Typed) return raw && raw.value;
    if (raw instanceof Alias) return this.#copy(raw, depth);
    if (depth === MAX_DEPTH) {
      throw this.#problem(`it is nested deeper than ${MAX_DEPTH} levels`);
    }
    return Array.isArray(raw) ? this.#list(raw, depth) : this.#map(raw, depth);
  }

  #text(raw: string): string {
    if (!this.#tokens) return raw;
    // the parser ends a last line that has no line break
    const end = this.#tokens.mark(this.#tokens.places.length - 1) + "\n";
    return this.#restore(
      this.#tokens.places.at(-1)?.[0] === "" && raw.endsWith(end)
        ? raw.slice(0, -end.length)
        : raw,
    );
  }

  #copy(alias: Alias, depth: number): FmfValue {
    const anchor = this.#anchorOf(alias);
    if (this.#copying.includes(anchor)) {
      throw this.#error("it stands inside what it means", alias.place);
    }
    this.#copying.push(anchor);
    const value = this.#convert(this.#anchored.get(anchor)!, depth);
    this.#copying.pop();
    return value;
  }

  #list(raw: Raw[], depth: number): FmfValue[] {
    return raw.map((item, index) => {
      if (item === null) this.hasGap = true;
      this.#path.push(index);
      const value = this.#convert(item, depth + 1);
      this.#path.pop();
      return value;
    });
  }

  #map(raw: RawMap, depth: number): FmfMap {
    const keys = Object.keys(raw);
    if (keys.length > 1 && INDEX.test(keys[0])) this.ambiguousKeys = true;
    const merge = this.#keyMark && this.#markedKey(MERGE);
    const map = merge && Object.hasOwn(raw, merge)
      ? this.#merged(raw[merge], depth)
      : new Map();
    const own = new Set<FmfKey>();
    for (const key of keys) {
      if (key === merge) continue;
      if (key === "null") this.ambiguousKeys = true;
      if (key === "[object Object]") {
        throw this.#problem("a mapping may not be a key");
      }
      const typed = this.#keys.get(key);
      const name = typed === undefined ? this.#text(key) : typed;
      this.#path.push(`${name}`);
      if (this.#tokens) {
        if (own.has(name)) throw this.#problem("duplicate key");
        own.add(name);
      }
      map.set(name, this.#convert(raw[key], depth + 1));
      this.#path.pop();
    }
    return map;
  }

  #merged(raw: Raw, depth: number): FmfMap {
    this.#path.push(MERGE);
    const value = this.#convert(raw, depth + 1);
    const result: FmfMap = new Map();
    for (const source of Array.isArray(value) ? value : [value]) {
      if (!isMap(source)) {
        throw this.#problem(
          `wants a mapping or a list of mappings, not ${typeName(source)}`,
        );
      }
      for (const [key, item] of source) {
        if (!result.has(key)) result.set(key, item);
      }
    }
    this.#path.pop();
    return result;
  }

  /** An error at what is being converted. */
  #problem(reason: string): FmfError {
    return new FmfError("file", reason, { key: this.#path.join(".") });
  }

  /** An error at a place. */
  #error(reason: string, place: number): FmfError {
    const { 0: text, index } = this.#tokens!.places[place];
    return new FmfError("file", reason, {
      text,
      ...position(this.#source, index),
    });
  }

  /** What the parser says about the source, as an error of metadata. */
  #explain(error: unknown): FmfError {
    if (error instanceof FmfError) return error;
    if (error instanceof RangeError) {
      return new FmfError("file", "it is nested too deeply", { cause: error });
    }
    if (!(error instanceof SyntaxError)) throw error;
    const tokens = this.#tokens;
    const found = errorOffset(error, tokens?.text ?? this.#source);
    const reason = this.#restore(error.message.replace(WHERE, ""));
    if (found === undefined) {
      return new FmfError("file", reason, { cause: error });
    }
    const offset = tokens?.originalOffset(found) ?? found;
    const place = { ...position(this.#source, offset), cause: error };
    return reason.includes("duplicate")
      ? new FmfError("file", "duplicate key", {
        ...place,
        key: keyAt(this.#source, offset),
      })
      : new FmfError("file", reason, place);
  }
}

/** The key that a parser's error is about: in a block it starts there, in a flow its value ends there. */
function keyAt(source: string, offset: number): string | undefined {
  const match =
    /[{,]\s*("[^"]*"|'[^']*'|[^\s,:{}[\]][^\n,:{}[\]]*)\s*:[^,{}[\]]*$/.exec(
      /^[,}]/.test(source.slice(offset)) ? source.slice(0, offset) : "",
    ) ?? /^("[^"]*"|'[^']*'|[^\n,:}\]]+)/.exec(source.slice(offset));
  return match?.[1].replace(/^(["'])(.*)\1$/, "$2").trim();
}

/** Parses for the sake of the plain scalars; keys may be doubled. */
export function scan(source: string, look?: (plain: string) => void): void {
  const types = [type<string>(PLAIN, (text) => {
    look?.(text);
    return text;
  })];
  for (const name of Object.keys(TAGGED)) {
    types.push(type<RawScalar>(`tag:yaml.org,2002:${name}`, (data) => data));
  }
  parse(source, {
    schema: "failsafe",
    allowDuplicateKeys: true,
    extraTypes: types,
  });
}

/** Where the parser's message says that its error is. */
const WHERE = / at line (\d+), column (\d+)[^]*$/;

/** The offset of a parser's error. */
export function errorOffset(
  error: unknown,
  source: string,
): number | undefined {
  const where = error instanceof SyntaxError && WHERE.exec(error.message);
  if (!where) return undefined;
  const [line, column] = where.slice(1).map(Number);
  const before = source.split("\n", line - 1).join("\n").length;
  return before + (line > 1 ? 1 : 0) + column - 1;
}

/** Line and column of an offset, both from 1. */
export function position(
  source: string,
  offset: number,
): { line: number; column: number } {
  const before = source.slice(0, offset).split("\n");
  return { line: before.length, column: before.at(-1)!.length + 1 };
}
