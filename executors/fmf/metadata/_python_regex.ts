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
  oneOf,
  reference,
  repeat,
  sequence,
} from "./_pattern.ts";
import {
  CharacterReader,
  type Flags,
  isGroupName,
  isOctal,
  PatternInput,
  pointOf,
} from "./_python_chars.ts";

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

const MAX_DEPTH = 200;

const MAX_LENGTH = 10_000;

class Reader {
  readonly #input: PatternInput;
  readonly #characters: CharacterReader;
  readonly #hasScopes: boolean;
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

  constructor(text: string, ignoreCase: boolean) {
    this.#input = new PatternInput(text);
    this.#hasScopes = /\(\?[a-z]*(?:-[a-z]+)?:/.test(text);
    this.#characters = new CharacterReader(
      this.#input,
      {
        ignoreCase,
        multiline: false,
        dotAll: false,
        verbose: false,
        ascii: false,
      },
      this.#hasScopes,
    );
  }

  read(): PythonPattern {
    if (this.#input.chars.length > MAX_LENGTH) {
      throw this.#input.error("the pattern is too long", MAX_LENGTH);
    }
    const root = this.#alternatives(true);
    if (this.#input.peek() === ")") {
      throw this.#input.error("unbalanced parenthesis");
    }
    return {
      root,
      ignoreCase: this.#characters.ignoresCase && !this.#hasScopes,
      groups: this.#groups,
      names: this.#names,
      unclear: this.#unclear,
    };
  }

  #alternatives(isStart = false): Node {
    const before = this.#sure;
    const branches: Node[] = [];
    const sure: Set<number>[] = [];
    do {
      this.#sure = new Set(before);
      branches.push(this.#sequence(isStart && branches.length === 0));
      sure.push(this.#sure);
    } while (this.#input.take("|"));
    this.#sure = sure.reduce((all, some) => all.intersection(some));
    return branches.length === 1 ? branches[0] : choice(branches);
  }

  #sequence(isStart: boolean): Node {
    const parts: Node[] = [];
    let sureBefore = this.#sure;
    for (;;) {
      if (this.#characters.flags.verbose) this.#input.skipBlank();
      const char = this.#input.peek();
      if (char === undefined || char === "|" || char === ")") break;
      const start = this.#input.at;
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

  /** Reads how often what stands before is meant; nothing if a brace is just a brace. */
  #repetition(): [min: number, max: number] | undefined {
    if (this.#input.take("*")) return [0, Infinity];
    if (this.#input.take("+")) return [1, Infinity];
    if (this.#input.take("?")) return [0, 1];
    if (this.#input.peek() !== "{") return undefined;
    const text = this.#input.ahead(30);
    const match = /^\{(?:([0-9]+)|([0-9]*),([0-9]*))\}/.exec(text);
    if (!match) return undefined;
    const [whole, exactly, low, high] = match;
    const min = Number(exactly ?? low);
    const max = Number((exactly ?? high) || Infinity);
    if (min > 65_535 || (max > 65_535 && max < Infinity)) {
      throw this.#input.error("the repetition number is too large");
    }
    if (min > max) {
      throw this.#input.error("min repeat greater than max repeat");
    }
    this.#input.at += whole.length;
    return [min, max];
  }

  #repeat(
    body: Node | undefined,
    [min, max]: [number, number],
    sureBefore: Set<number>,
    at: number,
  ): Node {
    if (!body || body.type === "anchor") {
      throw this.#input.error("nothing to repeat", at);
    }
    if (this.#repetitions.has(body)) {
      throw this.#input.error("multiple repeat", at);
    }
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
    const isLazy = this.#input.take("?");
    let node = repeat(body, min, max, isLazy);
    if (!isLazy && this.#input.take("+")) node = this.#atomic(node, at);
    this.#repetitions.add(node);
    return node;
  }

  #atomic(body: Node, at: number): Node {
    if (this.#lookBehind !== undefined) {
      throw this.#input.error("not supported in a look-behind", at);
    }
    return atomic(body);
  }

  #element(isStart: boolean): Node | undefined {
    const { dotAll, multiline } = this.#characters.flags;
    const first = this.#input.next("unexpected end of pattern");
    switch (first) {
      case "(":
        return this.#group(isStart);
      case "[":
        return this.#characters.set();
      case "\\":
        return this.#escape();
      case ".":
        return char(dotAll ? "[^]" : "[^\\n]");
      case "^":
        return anchor(multiline ? "(?<![^\\n])" : "^");
      case "$":
        return anchor(multiline ? "(?![^\\n])" : "(?=\\n?$)");
      default:
        return this.#characters.literal(pointOf(first));
    }
  }

  #escape(): Node {
    const start = this.#input.at - 1;
    const letter = this.#input.next("bad escape (end of pattern)");
    if (/[dsw]/.test(letter)) {
      return char(`[${this.#characters.category(letter)}]`);
    }
    if (/[DSW]/.test(letter)) {
      return char(`[^${this.#characters.category(letter)}]`);
    }
    if (letter === "b" || letter === "B") {
      const word = `[${this.#characters.category("w")}]`;
      const [one, other] = letter === "b" ? ["!", "="] : ["=", "!"];
      return anchor(
        oneOf([
          `(?<=${word})(?${one}${word})`,
          `(?<!${word})(?${other}${word})`,
        ]),
      );
    }
    if (letter === "A") return anchor("^");
    if (letter === "Z") return anchor("$");
    if (/[1-9]/.test(letter)) {
      const number = this.#groupNumber(letter, start);
      if (number !== undefined) return this.#reference(number, start);
    }
    return this.#characters.literal(
      this.#characters.escapedPoint(letter, start),
    );
  }

  /** The number in a back reference; nothing if it is an octal code. */
  #groupNumber(first: string, start: number): number | undefined {
    const [second, third] = this.#input.ahead(2);
    if (isOctal(first) && isOctal(second) && isOctal(third)) return undefined;
    if (!/[0-9]/.test(second ?? "")) return Number(first);
    this.#input.at = start + 3;
    return Number(first + second);
  }

  #group(isStart: boolean): Node | undefined {
    const start = this.#input.at - 1;
    if (!this.#input.take("?")) return this.#capture(start);
    const char = this.#input.next("unexpected end of pattern");
    switch (char) {
      case ":":
        return sequence([this.#body(start)]);
      case "#":
        this.#input.until(")", "missing ), unterminated comment");
        return undefined;
      case "=":
      case "!":
        return this.#look(char, start);
      case "<":
        if (this.#input.take("=")) return this.#lookBehindOf("<=", start);
        if (this.#input.take("!")) return this.#lookBehindOf("<!", start);
        throw this.#input.error(
          "unknown extension ?<, a named group is (?P<name>…)",
          start,
        );
      case ">":
        return this.#atomic(this.#body(start), start);
      case "(":
        throw this.#input.error(
          "conditional patterns are not supported",
          start,
        );
      case "P":
        return this.#named(start);
      default:
        return this.#flagged(start, isStart);
    }
  }

  /** What stands in parentheses, to the closing one. */
  #body(start: number): Node {
    if (++this.#depth > MAX_DEPTH) {
      throw this.#input.error("nested too deeply", start);
    }
    const flags = this.#characters.flags;
    const body = this.#alternatives();
    this.#characters.flags = flags;
    if (!this.#input.take(")")) {
      throw this.#input.error("missing ), unterminated subpattern", start);
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
    if (this.#input.take("<")) {
      const name = this.#input.until(">", "missing >, unterminated name");
      if (!isGroupName(name)) {
        throw this.#input.error("bad character in group name", start);
      }
      if (this.#names.has(name)) {
        throw this.#input.error(`redefinition of group name ${name}`, start);
      }
      return this.#capture(start, name);
    }
    if (this.#input.take("=")) {
      const name = this.#input.until(")", "missing ), unterminated name");
      const group = this.#names.get(name);
      if (group === undefined) {
        throw this.#input.error(`unknown group name ${name}`, start);
      }
      return this.#reference(group, start);
    }
    throw this.#input.error("unknown extension ?P", start);
  }

  #reference(group: number, start: number): Node {
    if (group > this.#groups) {
      throw this.#input.error("invalid group reference", start);
    }
    if (this.#open.has(group)) {
      throw this.#input.error("cannot refer to an open group", start);
    }
    if (group > (this.#lookBehind ?? Infinity)) {
      throw this.#input.error(
        "cannot refer to a group of the same look-behind",
        start,
      );
    }
    // JavaScript takes a group without part for the empty text, Python fails
    if (!this.#sure.has(group) || this.#unclear.has(group)) {
      throw this.#input.error(
        "a reference to a group that need not take part is not supported",
        start,
      );
    }
    if (this.#characters.flags.ascii && this.#characters.flags.ignoreCase) {
      throw this.#input.error("a reference is not supported with (?ai)", start);
    }
    return reference(this.#characters.cased(`\\k<g${group}>`));
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
    const text = this.#input.ahead(30, start);
    const match = /^\(\?([aimsux]*)(?:-([imsx]+))?([:)])/.exec(text);
    if (!match) throw this.#input.error("unknown extension or flag", start);
    const [whole, on, off = "", end] = match;
    if (
      /a.*u|u.*a/.test(on) || Array.from(on).some((flag) => off.includes(flag))
    ) {
      throw this.#input.error("incompatible flags", start);
    }
    if (end === ")" && off) throw this.#input.error("missing :", start);
    if (end === ")" && !isStart) {
      throw this.#input.error(
        "global flags not at the start of the pattern",
        start,
      );
    }
    this.#input.at = start + whole.length;
    const outer = this.#characters.flags;
    this.#characters.flags = withFlags(outer, on, off);
    if (end === ")") return undefined;
    const body = this.#body(start);
    this.#characters.flags = outer;
    return sequence([body]);
  }
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
