/** One pass of the YAML parser over a source, and the value made of what it gives. */
import { type ImplicitType, parse } from "@std/yaml/unstable-parse";
import { errorOffset, keyAt, position } from "./_position.ts";
import { plainScalar, TAGGED } from "./_scalar.ts";
import { MISSING_KEY, NO_KEY } from "./_refuse.ts";
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
export const PLAIN = "plain scalar";

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
  /** The one that is being parsed; new types for each would cost as much as a small file. */
  static #current: Document;
  static readonly #plainTypes = [
    type<string>(PLAIN, (text) => Document.#current.#plain(text)),
  ];
  static readonly #taggedTypes = Object.entries(TAGGED).map((
    [name, construct],
  ) =>
    type<RawScalar>(
      `tag:yaml.org,2002:${name}`,
      (data) => Document.#current.#tagged(data, construct),
    )
  );

  /** Whether there are keys whose order or type gets lost unless they are marked. */
  ambiguousKeys = false;
  /** Whether a list has an item that is not written. */
  hasGap = false;
  /** Whether the source ends within a block of text. */
  endsInBlock = false;
  readonly #source: string;
  readonly #areKeysMarked: boolean;
  readonly #tokens: TokenSource | undefined;
  /** What stands at anchors, by their places. */
  readonly #anchored = new Map<number, Raw>();
  /** Their places by their names, in order. */
  #anchors: Map<string, number[]> | undefined;
  /** Keys that are not text, by the text that stands for them. */
  readonly #keys = new Map<string, FmfKey>();
  #keyMark = "";
  readonly #path: (string | number)[] = [];
  /** Places of the anchors that are being copied. */
  readonly #copying: number[] = [];
  #copies = 0;

  /**
   * Takes the source, and patterns of the places in it that need tokens;
   * `areKeysMarked` if these include all keys that would get ambiguous.
   */
  constructor(
    source: string,
    patterns: readonly string[],
    areKeysMarked = false,
  ) {
    this.#source = source;
    this.#areKeysMarked = areKeysMarked;
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
    Document.#current = this;
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

  /** Types of plain scalars, of the tags in the source and of those that stand for places. */
  #types(): ImplicitType[] {
    if (!this.#tokens && !this.#source.includes("!")) {
      return Document.#plainTypes;
    }
    const types = [...Document.#plainTypes, ...Document.#taggedTypes];
    const tokens = this.#tokens;
    tokens?.places.forEach(({ 0: original }, place) => {
      if (!/^[&!]/.test(original)) return;
      const tag = tokens.tag(place).trimEnd();
      const keep = (data: Raw) => {
        if (original[0] === "&") this.#anchored.set(place, data);
        this.#anchors = undefined;
        return data;
      };
      types.push(
        type<RawScalar>(tag, (data) => keep(this.#scalarAt(place, data))),
      );
      if (original === "!!str") return;
      types.push(type(tag, keep, "sequence"), type(tag, keep, "mapping"));
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

  #tagged(
    data: RawScalar,
    construct: (text: string) => FmfScalar | undefined,
  ): RawScalar | undefined {
    const text = this.#textOf(data);
    const value = construct(text);
    return value === undefined ? undefined : new Typed(this, text, value);
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
      throw this.#error(NO_KEY, alias.place);
    }
    return raw === null ? this.keyText(new Typed(this, "", null)) : `${raw}`;
  }

  #markedKey(key: string): string {
    this.#keyMark ||= unusedCharacter(this.#source)[0].repeat(2);
    return this.#keyMark + key;
  }

  /** The place of the anchor that an alias means: the last one before it. */
  #anchorOf({ place }: Alias): number {
    const name = this.#tokens!.places[place][0].slice(1);
    this.#anchors ??= Map.groupBy(
      [...this.#anchored.keys()].sort((a, b) => a - b),
      (anchor) => this.#tokens!.places[anchor][0].slice(1),
    );
    const anchor = this.#anchors.get(name)?.findLast((anchor) =>
      anchor < place
    );
    if (anchor !== undefined) return anchor;
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
    const tokens = this.#tokens;
    if (!tokens) return raw;
    // the parser ends a last line that has no line break
    const last = tokens.places.length - 1;
    const end = tokens.mark(last) + "\n";
    if (raw.endsWith(end) && tokens.places[last][0] === "") {
      this.endsInBlock = true;
      return tokens.restore(raw.slice(0, -end.length));
    }
    return tokens.restore(raw);
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
    if (keys.length > 1 && INDEX.test(keys[0])) this.#foundAmbiguous(keys[0]);
    const merge = this.#keyMark ? this.#markedKey(MERGE) : undefined;
    const map = merge !== undefined && Object.hasOwn(raw, merge)
      ? this.#merged(raw[merge], depth)
      : new Map();
    const own = new Set<FmfKey>();
    for (const key of keys) {
      if (key === merge) continue;
      if (key === "null") this.#foundAmbiguous(key);
      if (key === "[object Object]") throw this.#problem(NO_KEY);
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

  #foundAmbiguous(key: string): void {
    if (this.#areKeysMarked) {
      throw this.#problem(
        key === "null"
          ? MISSING_KEY
          : `the text ${key} as a key must be written as '${key}'`,
      );
    }
    this.ambiguousKeys = true;
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
    const reason = this.#restore(
      error.message.replace(/ at line -?\d+, column -?\d+[^]*$/, ""),
    );
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
