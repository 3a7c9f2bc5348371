/**
 * Reads patterns of Python's `re`: to a pattern that means the same in
 * JavaScript, or to an error; never to one that means something else.
 */
import {
  anchor,
  atomic,
  char,
  choice,
  group,
  look,
  type Node,
  reference,
  repeat,
  sequence,
} from "./_pattern.ts";

/** What is wrong with a pattern. */
export class PatternError extends Error {
  /** Takes what is wrong, and the index of the character where it is. */
  constructor(message: string, readonly index: number) {
    super(message);
  }
}

/** A pattern that was read. */
export interface PythonPattern {
  /** The pattern itself. */
  root: Node;
  /** Whether it needs the flag `i`. */
  ignoreCase: boolean;
  /** How many groups there are. */
  groups: number;
  /** Numbers of named groups. */
  names: ReadonlyMap<string, number>;
  /** Groups that may hold something else in JavaScript after a match. */
  unclear: ReadonlySet<number>;
}

/** Reads a pattern; throws a {@linkcode PatternError} for one that is invalid or has no equivalent. */
export function readPattern(text: string, ignoreCase = false): PythonPattern {
  return new Reader(text, ignoreCase).read();
}

interface Flags {
  ignoreCase: boolean;
  multiline: boolean;
  dotAll: boolean;
  verbose: boolean;
  ascii: boolean;
}

type Range = readonly [low: number, high: number];

const SPACE = {
  unicode:
    "\\t-\\r\\u{1c}-\\u{20}\\u{85}\\u{a0}\\u{1680}\\u{2000}-\\u{200a}\\u{2028}\\u{2029}\\u{202f}\\u{205f}\\u{3000}",
  ascii: "\\t-\\r\\u{20}",
};
const CATEGORIES: Record<string, typeof SPACE> = {
  d: { unicode: "\\p{Nd}", ascii: "0-9" },
  s: SPACE,
  w: { unicode: "\\p{L}\\p{N}_", ascii: "a-zA-Z0-9_" },
};

/** Escapes of control characters, and of the backslash. */
export const CONTROLS: Readonly<Record<string, string>> = {
  a: "\x07",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
  "\\": "\\",
};

const HEX_LENGTHS: Record<string, number> = { x: 2, u: 4, U: 8 };

/** Letters that Python takes for each other when it ignores case, and JavaScript does not. */
const DOTTED = [0x49, 0x69, 0x130, 0x131];

const MAX_DEPTH = 200;

const MAX_LENGTH = 10_000;

const pointOf = (char: string) => char.codePointAt(0)!;

const isOctal = (char: string | undefined) =>
  char !== undefined && /[0-7]/.test(char);

const isDigit = (char: string | undefined) =>
  char !== undefined && /[0-9]/.test(char);

/** Whether a text can name a group. */
export const isGroupName = (name: string): boolean =>
  /^[\p{ID_Start}_]\p{ID_Continue}*$/u.test(name);

const escape = (point: number) =>
  /[a-zA-Z0-9_ ]/.test(String.fromCodePoint(point))
    ? String.fromCodePoint(point)
    : `\\u{${point.toString(16)}}`;

class Reader {
  readonly #chars: string[];
  /** Whether flags differ between parts: then each part that ignores case says so itself, since V8 errs when it has to heed case again. */
  readonly #hasScopes: boolean;
  #at = 0;
  #flags: Flags;
  #groups = 0;
  readonly #names = new Map<string, number>();
  readonly #open = new Set<number>();
  /** Groups that have surely taken part when the current place is reached. */
  #sure = new Set<number>();
  readonly #unclear = new Set<number>();
  /** What must not be repeated again. */
  readonly #repetitions = new Set<Node>();
  /** How many groups there were when the outermost look-behind began. */
  #lookBehind: number | undefined;
  #depth = 0;

  constructor(pattern: string, ignoreCase: boolean) {
    this.#chars = Array.from(pattern);
    this.#hasScopes = /\(\?[a-z]*(?:-[a-z]+)?:/.test(pattern);
    this.#flags = {
      ignoreCase,
      multiline: false,
      dotAll: false,
      verbose: false,
      ascii: false,
    };
  }

  read(): PythonPattern {
    if (this.#chars.length > MAX_LENGTH) {
      throw this.#error("the pattern is too long", MAX_LENGTH);
    }
    const root = this.#alternatives(true);
    if (this.#peek() === ")") throw this.#error("unbalanced parenthesis");
    return {
      root,
      ignoreCase: this.#ignoresCase && !this.#hasScopes,
      groups: this.#groups,
      names: this.#names,
      unclear: this.#unclear,
    };
  }

  #error(message: string, index = this.#at): PatternError {
    return new PatternError(message, index);
  }

  #peek(): string | undefined {
    return this.#chars[this.#at];
  }

  #take(char: string): boolean {
    if (this.#peek() !== char) return false;
    this.#at++;
    return true;
  }

  #next(missing: string, start?: number): string {
    const char = this.#chars[this.#at];
    if (char === undefined) throw this.#error(missing, start);
    this.#at++;
    return char;
  }

  #until(end: string, missing: string): string {
    const start = this.#at;
    const stop = this.#chars.indexOf(end, start);
    if (stop < 0) throw this.#error(missing);
    this.#at = stop + 1;
    return this.#chars.slice(start, stop).join("");
  }

  /** Whether JavaScript's own flag is on; ASCII letters are spelled out. */
  get #ignoresCase(): boolean {
    return this.#flags.ignoreCase && !this.#flags.ascii;
  }

  #cased(js: string): string {
    return this.#ignoresCase && this.#hasScopes ? `(?i:${js})` : js;
  }

  #alternatives(isStart = false): Node {
    const before = this.#sure;
    const branches: Node[] = [];
    const sure: Set<number>[] = [];
    do {
      this.#sure = new Set(before);
      branches.push(this.#sequence(isStart && branches.length === 0));
      sure.push(this.#sure);
    } while (this.#take("|"));
    this.#sure = sure.reduce((all, some) => all.intersection(some));
    return branches.length === 1 ? branches[0] : choice(branches);
  }

  #sequence(isStart: boolean): Node {
    const parts: Node[] = [];
    let sureBefore = this.#sure;
    for (;;) {
      if (this.#flags.verbose) this.#skipBlank();
      const char = this.#peek();
      if (char === undefined || char === "|" || char === ")") break;
      const start = this.#at;
      const often = this.#repetition();
      if (often) {
        parts.push(this.#repeat(parts.pop(), often, sureBefore, start));
        continue;
      }
      sureBefore = new Set(this.#sure);
      const part = this.#element(isStart && parts.length === 0);
      if (part) parts.push(part);
    }
    return sequence(parts);
  }

  #skipBlank(): void {
    for (let char = this.#peek(); char !== undefined; char = this.#peek()) {
      if (char === "#") {
        while (![undefined, "\n"].includes(this.#peek())) this.#at++;
      } else if (/[ \t\n\r\v\f]/.test(char)) {
        this.#at++;
      } else {
        return;
      }
    }
  }

  /** Reads how often what stands before is meant; nothing if a brace is just a brace. */
  #repetition(): [min: number, max: number] | undefined {
    if (this.#take("*")) return [0, Infinity];
    if (this.#take("+")) return [1, Infinity];
    if (this.#take("?")) return [0, 1];
    if (this.#peek() !== "{") return undefined;
    const text = this.#chars.slice(this.#at, this.#at + 30).join("");
    const match = /^\{(?:([0-9]+)|([0-9]*),([0-9]*))\}/.exec(text);
    if (!match) return undefined;
    const [whole, exactly, low, high] = match;
    const min = Number(exactly ?? low);
    const max = Number((exactly ?? high) || Infinity);
    if (min > 65_535 || (max > 65_535 && max < Infinity)) {
      throw this.#error("the repetition number is too large");
    }
    if (min > max) throw this.#error("min repeat greater than max repeat");
    this.#at += whole.length;
    return [min, max];
  }

  #repeat(
    body: Node | undefined,
    [min, max]: [number, number],
    sureBefore: Set<number>,
    at: number,
  ): Node {
    if (!body || body.type === "anchor") {
      throw this.#error("nothing to repeat", at);
    }
    if (this.#repetitions.has(body)) throw this.#error("multiple repeat", at);
    if (max > 1) {
      // JavaScript forgets groups at each turn and allows no empty turns
      for (const group of body.groups) {
        if (
          body.nullable || this.#lookBehind !== undefined ||
          !this.#sure.has(group)
        ) this.#unclear.add(group);
      }
    }
    if (min === 0) this.#sure = sureBefore;
    const isLazy = this.#take("?");
    let node = repeat(body, min, max, isLazy);
    if (!isLazy && this.#take("+")) node = this.#atomic(node, at);
    this.#repetitions.add(node);
    return node;
  }

  #atomic(body: Node, at: number): Node {
    if (this.#lookBehind !== undefined) {
      throw this.#error("not supported in a look-behind", at);
    }
    return atomic(body);
  }

  #element(isStart: boolean): Node | undefined {
    const { dotAll, multiline } = this.#flags;
    const first = this.#next("unexpected end of pattern");
    switch (first) {
      case "(":
        return this.#group(isStart);
      case "[":
        return this.#class();
      case "\\":
        return this.#escape();
      case ".":
        return char(dotAll ? "[^]" : "[^\\n]");
      case "^":
        return anchor(multiline ? "(?<![^\\n])" : "^");
      case "$":
        return anchor(multiline ? "(?![^\\n])" : "(?=\\n?$)");
      default:
        return this.#literal(pointOf(first));
    }
  }

  #literal(point: number): Node {
    const ranges = this.#withCases([[point, point]]);
    const isPlain = ranges.length === 1;
    return char(this.#cased(
      isPlain ? escape(point) : `[${ranges.map(rangeText).join("")}]`,
    ));
  }

  /** Adds the other cases that JavaScript's flag does not. */
  #withCases(ranges: Range[]): Range[] {
    if (!this.#flags.ignoreCase) return ranges;
    const result = [...ranges];
    for (const [low, high] of ranges) {
      if (this.#flags.ascii) {
        for (const [first, shift] of [[0x41, 0x20], [0x61, -0x20]]) {
          const from = Math.max(low, first);
          const to = Math.min(high, first + 25);
          if (from <= to) result.push([from + shift, to + shift]);
        }
      } else if (DOTTED.some((point) => low <= point && point <= high)) {
        result.push(...DOTTED.map((point): Range => [point, point]));
      }
    }
    return result;
  }

  /** What is between the brackets of a class for a category, whether it is negated or not. */
  #category(letter: string): string {
    const sets = CATEGORIES[letter.toLowerCase()];
    return this.#flags.ascii ? sets.ascii : sets.unicode;
  }

  #escape(): Node {
    const start = this.#at - 1;
    const letter = this.#next("bad escape (end of pattern)");
    if (/[dsw]/.test(letter)) return char(`[${this.#category(letter)}]`);
    if (/[DSW]/.test(letter)) return char(`[^${this.#category(letter)}]`);
    if (letter === "b" || letter === "B") {
      const word = `[${this.#category("w")}]`;
      const [one, other] = letter === "b" ? ["!", "="] : ["=", "!"];
      return anchor(
        `(?:(?<=${word})(?${one}${word})|(?<!${word})(?${other}${word}))`,
      );
    }
    if (letter === "A") return anchor("^");
    if (letter === "Z") return anchor("$");
    if (/[1-9]/.test(letter)) {
      const number = this.#groupNumber(letter, start);
      if (number !== undefined) return this.#reference(number, start);
    }
    return this.#literal(this.#escapedPoint(letter, start));
  }

  /** The number in a back reference; nothing if it is an octal code. */
  #groupNumber(first: string, start: number): number | undefined {
    const [second, third] = this.#chars.slice(this.#at, this.#at + 2);
    if (isOctal(first) && isOctal(second) && isOctal(third)) return undefined;
    if (!isDigit(second)) return Number(first);
    this.#at = start + 3;
    return Number(first + second);
  }

  /** The character that an escape stands for; what stands for more is dealt with before. */
  #escapedPoint(char: string, start: number, inClass = false): number {
    if (char in CONTROLS) return pointOf(CONTROLS[char]);
    if (char in HEX_LENGTHS) {
      const digits = this.#chars.slice(this.#at, this.#at + HEX_LENGTHS[char]);
      const text = digits.join("");
      const point = parseInt(text, 16);
      if (
        !RegExp(`^[0-9a-fA-F]{${HEX_LENGTHS[char]}}$`).test(text) ||
        point > 0x10ffff
      ) {
        throw this.#error(`incomplete or bad escape \\${char}`, start);
      }
      this.#at += digits.length;
      return point;
    }
    if (isOctal(char)) {
      let digits = char;
      while (digits.length < 3 && isOctal(this.#peek())) {
        digits += this.#next("");
      }
      const point = parseInt(digits, 8);
      if (point > 0o377) throw this.#error("octal escape out of range", start);
      return point;
    }
    if (inClass && char === "b") return 8;
    if (char === "N") {
      throw this.#error("named characters are not supported", start);
    }
    if (/[a-zA-Z0-9]/.test(char)) {
      throw this.#error(`bad escape \\${char}`, start);
    }
    return pointOf(char);
  }

  #class(): Node {
    const start = this.#at - 1;
    const unfinished = "unterminated character set";
    const negated = this.#take("^");
    const ranges: Range[] = [];
    let categories = "";
    const negations: string[] = [];
    const member = (): number | undefined => {
      const at = this.#at;
      const first = this.#next(unfinished, start);
      if (first !== "\\") return pointOf(first);
      const escaped = this.#next(unfinished, start);
      if (!/[dswDSW]/.test(escaped)) {
        return this.#escapedPoint(escaped, at, true);
      }
      const category = this.#category(escaped);
      if (/[dsw]/.test(escaped)) categories += category;
      else negations.push(`[^${category}]`);
      return undefined;
    };
    do {
      const at = this.#at;
      const low = member();
      if (this.#peek() === "-" && this.#chars[this.#at + 1] !== "]") {
        this.#at++;
        const high = member();
        if (low === undefined || high === undefined || low > high) {
          throw this.#error("bad character range", at);
        }
        ranges.push([low, high]);
      } else if (low !== undefined) {
        ranges.push([low, low]);
      }
    } while (this.#peek() !== "]" && this.#expectMore(unfinished, start));
    this.#at++;
    const inner = this.#withCases(ranges).map(rangeText).join("") + categories;
    if (negations.length === 0) {
      return char(this.#cased(`[${negated ? "^" : ""}${inner}]`));
    }
    const any = (inner ? [`[${inner}]`, ...negations] : negations).join("|");
    return char(this.#cased(negated ? `(?:(?!${any})[^])` : `(?:${any})`));
  }

  #expectMore(missing: string, start: number): true {
    if (this.#peek() === undefined) throw this.#error(missing, start);
    return true;
  }

  #group(isStart: boolean): Node | undefined {
    const start = this.#at - 1;
    if (!this.#take("?")) return this.#capture(start);
    const char = this.#next("unexpected end of pattern");
    switch (char) {
      case ":":
        return sequence([this.#body(start)]);
      case "#":
        this.#until(")", "missing ), unterminated comment");
        return undefined;
      case "=":
      case "!":
        return this.#look(char, start);
      case "<":
        if (this.#take("=")) return this.#lookBehindOf("<=", start);
        if (this.#take("!")) return this.#lookBehindOf("<!", start);
        throw this.#error(
          "unknown extension ?<, a named group is (?P<name>…)",
          start,
        );
      case ">":
        return this.#atomic(this.#body(start), start);
      case "(":
        throw this.#error("conditional patterns are not supported", start);
      case "P":
        return this.#named(start);
      default:
        return this.#flagged(start, isStart);
    }
  }

  /** What stands in parentheses, to the closing one. */
  #body(start: number): Node {
    if (++this.#depth > MAX_DEPTH) {
      throw this.#error("nested too deeply", start);
    }
    const flags = this.#flags;
    const body = this.#alternatives();
    this.#flags = flags;
    if (!this.#take(")")) {
      throw this.#error("missing ), unterminated subpattern", start);
    }
    this.#depth--;
    return body;
  }

  #capture(start: number, name?: string): Node {
    const number = ++this.#groups;
    if (name !== undefined) this.#names.set(name, number);
    this.#open.add(number);
    const body = this.#body(start);
    this.#open.delete(number);
    this.#sure.add(number);
    return group(number, body);
  }

  #named(start: number): Node {
    if (this.#take("<")) {
      const name = this.#until(">", "missing >, unterminated name");
      if (!isGroupName(name)) {
        throw this.#error("bad character in group name", start);
      }
      if (this.#names.has(name)) {
        throw this.#error(`redefinition of group name ${name}`, start);
      }
      return this.#capture(start, name);
    }
    if (this.#take("=")) {
      const name = this.#until(")", "missing ), unterminated name");
      const group = this.#names.get(name);
      if (group === undefined) {
        throw this.#error(`unknown group name ${name}`, start);
      }
      return this.#reference(group, start);
    }
    throw this.#error("unknown extension ?P", start);
  }

  #reference(group: number, start: number): Node {
    if (group > this.#groups) {
      throw this.#error("invalid group reference", start);
    }
    if (this.#open.has(group)) {
      throw this.#error("cannot refer to an open group", start);
    }
    if (group > (this.#lookBehind ?? Infinity)) {
      throw this.#error(
        "cannot refer to a group of the same look-behind",
        start,
      );
    }
    // JavaScript takes a group without part for the empty text, Python fails
    if (!this.#sure.has(group) || this.#unclear.has(group)) {
      throw this.#error(
        "a reference to a group that need not take part is not supported",
        start,
      );
    }
    if (this.#flags.ascii && this.#flags.ignoreCase) {
      throw this.#error("a reference is not supported with (?ai)", start);
    }
    return reference(this.#cased(`\\k<g${group}>`));
  }

  #look(sign: "=" | "!" | "<=" | "<!", start: number): Node {
    const before = new Set(this.#sure);
    const body = this.#body(start);
    if (sign.endsWith("!")) {
      this.#sure = before;
      body.groups.forEach((group) => this.#unclear.add(group));
    }
    return look(sign, body);
  }

  #lookBehindOf(sign: "<=" | "<!", start: number): Node {
    const outer = this.#lookBehind;
    this.#lookBehind ??= this.#groups;
    const node = this.#look(sign, start);
    this.#lookBehind = outer;
    return node;
  }

  /** `(?i)` for all, `(?i:…)` for what is inside. */
  #flagged(start: number, isStart: boolean): Node | undefined {
    const text = this.#chars.slice(start, start + 30).join("");
    const match = /^\(\?([aimsux]*)(?:-([imsx]+))?([:)])/.exec(text);
    if (!match) throw this.#error("unknown extension or flag", start);
    const [whole, on, off = "", end] = match;
    if (
      /a.*u|u.*a/.test(on) || Array.from(on).some((flag) => off.includes(flag))
    ) {
      throw this.#error("incompatible flags", start);
    }
    if (end === ")" && off) throw this.#error("missing :", start);
    if (end === ")" && !isStart) {
      throw this.#error("global flags not at the start of the pattern", start);
    }
    this.#at = start + whole.length;
    const outer = this.#flags;
    this.#flags = withFlags(outer, on, off);
    if (end === ")") return undefined;
    const body = this.#body(start);
    this.#flags = outer;
    return sequence([body]);
  }
}

function rangeText([low, high]: Range): string {
  return low === high ? escape(low) : `${escape(low)}-${escape(high)}`;
}

function withFlags(flags: Flags, on: string, off: string): Flags {
  const has = (flag: string, before: boolean) =>
    on.includes(flag) || (before && !off.includes(flag));
  return {
    ignoreCase: has("i", flags.ignoreCase),
    multiline: has("m", flags.multiline),
    dotAll: has("s", flags.dotAll),
    verbose: has("x", flags.verbose),
    ascii: on.includes("a") || (flags.ascii && !on.includes("u")),
  };
}
