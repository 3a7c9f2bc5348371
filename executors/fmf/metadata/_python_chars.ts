/** Reads the characters and sets of a pattern of Python's `re`. */
import { char, type Node } from "./_pattern.ts";

/** What is wrong with a pattern. */
export class PatternError extends Error {
  /** Takes what is wrong, and the index of the character where it is. */
  constructor(message: string, readonly index: number) {
    super(message);
  }
}

/** The text of a pattern, and how far it has been read. */
export class PatternInput {
  /** How many characters have been read. */
  at = 0;
  /** All characters. */
  readonly chars: readonly string[];

  /** Starts at the beginning. */
  constructor(text: string) {
    this.chars = Array.from(text);
  }

  /** An error here or elsewhere. */
  error(message: string, index = this.at): PatternError {
    return new PatternError(message, index);
  }

  /** The next character, if there is one. */
  peek(): string | undefined {
    return this.chars[this.at];
  }

  /** Reads a character if it is this one. */
  take(char: string): boolean {
    if (this.peek() !== char) return false;
    this.at++;
    return true;
  }

  /** Reads a character; `missing` says what is wrong at the end. */
  next(missing: string, start?: number): string {
    const char = this.chars[this.at];
    if (char === undefined) throw this.error(missing, start);
    this.at++;
    return char;
  }

  /** Reads up to a character and over it. */
  until(end: string, missing: string): string {
    const start = this.at;
    const stop = this.chars.indexOf(end, start);
    if (stop < 0) throw this.error(missing);
    this.at = stop + 1;
    return this.chars.slice(start, stop).join("");
  }

  /** The characters that come next, for a look ahead. */
  ahead(count: number, from = this.at): string {
    return this.chars.slice(from, from + count).join("");
  }

  /** Skips white space and comments. */
  skipBlank(): void {
    for (let char = this.peek(); char !== undefined; char = this.peek()) {
      if (char === "#") {
        while (![undefined, "\n"].includes(this.peek())) this.at++;
      } else if (/[ \t\n\r\v\f]/.test(char)) {
        this.at++;
      } else {
        return;
      }
    }
  }
}

/** What the letters of `(?imsxa)` say. */
export interface Flags {
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

/** The code of a character. */
export const pointOf = (char: string) => char.codePointAt(0)!;

/** Whether a character is an octal digit. */
export const isOctal = (char: string | undefined) =>
  char !== undefined && /[0-7]/.test(char);

/** Whether a text can name a group. */
export const isGroupName = (name: string): boolean =>
  /^[\p{ID_Start}_]\p{ID_Continue}*$/u.test(name);

const escape = (point: number) =>
  /[a-zA-Z0-9_ ]/.test(String.fromCodePoint(point))
    ? String.fromCodePoint(point)
    : `\\u{${point.toString(16)}}`;

/** Reads characters and sets, according to flags that change on the way. */
export class CharacterReader {
  /** The flags at the current place. */
  flags: Flags;
  readonly #input: PatternInput;
  /** Whether flags differ between parts: then each part that ignores case says so itself, since V8 errs when it has to heed case again. */
  readonly #hasScopes: boolean;

  /** Reads from an input. */
  constructor(input: PatternInput, flags: Flags, hasScopes: boolean) {
    this.#input = input;
    this.flags = flags;
    this.#hasScopes = hasScopes;
  }

  /** Whether JavaScript's own flag has to be on; ASCII letters are spelled out. */
  get ignoresCase(): boolean {
    return this.flags.ignoreCase && !this.flags.ascii;
  }

  /** Makes a part of the pattern ignore case by itself if it has to. */
  cased(js: string): string {
    return this.ignoresCase && this.#hasScopes ? `(?i:${js})` : js;
  }

  /** A character. */
  literal(point: number): Node {
    const ranges = this.#withCases([[point, point]]);
    const isPlain = ranges.length === 1;
    return char(this.cased(
      isPlain ? escape(point) : `[${ranges.map(rangeText).join("")}]`,
    ));
  }

  /** Adds the other cases that JavaScript's flag does not. */
  #withCases(ranges: Range[]): Range[] {
    if (!this.flags.ignoreCase) return ranges;
    const result = [...ranges];
    for (const [low, high] of ranges) {
      if (this.flags.ascii) {
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
  category(letter: string): string {
    const sets = CATEGORIES[letter.toLowerCase()];
    return this.flags.ascii ? sets.ascii : sets.unicode;
  }

  /** The character that an escape stands for; what stands for more is dealt with before. */
  escapedPoint(char: string, start: number, inClass = false): number {
    if (char in CONTROLS) return pointOf(CONTROLS[char]);
    if (char in HEX_LENGTHS) {
      const digits = this.#input.ahead(HEX_LENGTHS[char]);
      const point = parseInt(digits, 16);
      if (
        !RegExp(`^[0-9a-fA-F]{${HEX_LENGTHS[char]}}$`).test(digits) ||
        point > 0x10ffff
      ) {
        throw this.#input.error(`incomplete or bad escape \\${char}`, start);
      }
      this.#input.at += digits.length;
      return point;
    }
    if (isOctal(char)) {
      let digits = char;
      while (digits.length < 3 && isOctal(this.#input.peek())) {
        digits += this.#input.next("");
      }
      const point = parseInt(digits, 8);
      if (point > 0o377) {
        throw this.#input.error("octal escape out of range", start);
      }
      return point;
    }
    if (inClass && char === "b") return 8;
    if (char === "N") {
      throw this.#input.error("named characters are not supported", start);
    }
    if (/[a-zA-Z0-9]/.test(char)) {
      throw this.#input.error(`bad escape \\${char}`, start);
    }
    return pointOf(char);
  }

  /** A set, whose `[` has been read. */
  set(): Node {
    const start = this.#input.at - 1;
    const unfinished = "unterminated character set";
    const negated = this.#input.take("^");
    const ranges: Range[] = [];
    let categories = "";
    const negations: string[] = [];
    const member = (): number | undefined => {
      const at = this.#input.at;
      const first = this.#input.next(unfinished, start);
      if (first !== "\\") return pointOf(first);
      const escaped = this.#input.next(unfinished, start);
      if (!/[dswDSW]/.test(escaped)) {
        return this.escapedPoint(escaped, at, true);
      }
      const category = this.category(escaped);
      if (/[dsw]/.test(escaped)) categories += category;
      else negations.push(`[^${category}]`);
      return undefined;
    };
    do {
      const at = this.#input.at;
      const low = member();
      if (
        this.#input.peek() === "-" &&
        this.#input.chars[this.#input.at + 1] !== "]"
      ) {
        this.#input.at++;
        const high = member();
        if (low === undefined || high === undefined || low > high) {
          throw this.#input.error("bad character range", at);
        }
        ranges.push([low, high]);
      } else if (low !== undefined) {
        ranges.push([low, low]);
      }
    } while (this.#input.peek() !== "]");
    this.#input.at++;
    const inner = this.#withCases(ranges).map(rangeText).join("") + categories;
    if (negations.length === 0) {
      return char(this.cased(`[${negated ? "^" : ""}${inner}]`));
    }
    const any = (inner ? [`[${inner}]`, ...negations] : negations).join("|");
    return char(this.cased(negated ? `(?:(?!${any})[^])` : `(?:${any})`));
  }
}

function rangeText([low, high]: Range): string {
  return low === high ? escape(low) : `${escape(low)}-${escape(high)}`;
}
