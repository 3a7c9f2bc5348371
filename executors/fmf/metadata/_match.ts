/** Matches patterns, whatever they are, in bounded time. */
import { type ExecOptions, LinearMatcher, type Offsets } from "./_linear.ts";
import { toSource, weigh } from "./_pattern.ts";
import type { PythonPattern } from "./_python_regex.ts";
import { FmfError } from "./errors.ts";

/** Patterns come from metadata that may be foreign: no text may keep them busy for long. */
const MAX_TEXT = 65_536;

/** Steps that the engine of the platform, which backtracks, may need at worst. */
const MAX_STEPS = 1e8;

/** Steps that may be made otherwise; each takes longer. */
const MAX_LINEAR_STEPS = 3e7;

/** Finds matches in texts, in one of two ways. */
export interface Matcher {
  /** Whether there is a match. */
  found(text: string): boolean;
  /** The first match from an offset on. */
  first(text: string, at: number): Offsets | undefined;
  /** A match that begins at an offset and does not end there. */
  notEmpty(text: string, at: number): Offsets | undefined;
}

/** All matches as Python counts them: where an empty one was found, one that is not empty may follow. */
export function* matchesOf(matcher: Matcher, text: string): Generator<Offsets> {
  let wasEmpty = false;
  for (let at = 0; at <= text.length;) {
    let match: Offsets | undefined;
    if (wasEmpty) {
      match = matcher.notEmpty(text, at);
      at += text.codePointAt(at)! > 0xffff ? 2 : 1;
    }
    if (!match && at <= text.length) match = matcher.first(text, at);
    if (!match) return;
    yield match;
    at = match[1];
    wasEmpty = match[0] === match[1];
  }
}

/** Chooses how to match a text. */
export class SafeMatcher {
  readonly #text: string;
  readonly #pattern: PythonPattern;
  /** Absent where it is never the right one. */
  readonly #engine: EngineMatcher | undefined;
  readonly #choices: number;
  readonly #unbounded: number;
  #linear: LinearMatcher | undefined;

  /** Takes a pattern, and its text for errors. */
  constructor(text: string, pattern: PythonPattern) {
    this.#text = text;
    this.#pattern = pattern;
    const { choices, unbounded } = weigh(pattern.root);
    if (2 ** choices <= MAX_STEPS) this.#engine = new EngineMatcher(pattern);
    this.#choices = choices;
    this.#unbounded = unbounded;
  }

  /** The way to find a match that is right for a text, or all matches. */
  for(text: string, which: "one" | "all" = "one"): Matcher {
    const { length } = text;
    if (length > MAX_TEXT) {
      throw this.#error(
        `a text of ${length} characters is too long to match, at most ${MAX_TEXT} are allowed`,
      );
    }
    // to look again where an empty match was found takes the engine all of the text
    const again = which === "all" && this.#pattern.root.nullable ? 1 : 0;
    const steps = 2 ** this.#choices *
      (length + 1) ** (this.#unbounded + again + 1);
    return this.#engine && steps <= MAX_STEPS
      ? this.#engine
      : this.#linearMatcher();
  }

  #linearMatcher(): Matcher {
    const { root, ignoreCase, groups } = this.#pattern;
    const matcher = this.#linear ??= LinearMatcher.of(root, ignoreCase, groups);
    if (!matcher) {
      throw this.#error(
        "the pattern could take too long: it repeats what repeats, many times or beside references, atomic groups or groups in look-arounds",
      );
    }
    matcher.budget = MAX_LINEAR_STEPS;
    const exec = (text: string, at: number, options?: ExecOptions) => {
      try {
        return matcher.exec(text, at, options);
      } catch (cause) {
        if (!(cause instanceof RangeError)) throw cause;
        throw this.#error("the pattern takes too long on this text");
      }
    };
    return {
      found: (text) => exec(text, 0) !== undefined,
      first: exec,
      notEmpty: (text, at) => exec(text, at, { sticky: true, notEmpty: true }),
    };
  }

  #error(reason: string): FmfError {
    return new FmfError("filter", reason, { text: this.#text });
  }
}

/** Matches by the engine of the platform. */
class EngineMatcher implements Matcher {
  readonly #source: string;
  readonly #flags: string;
  readonly #groups: number;
  readonly #test: RegExp;
  #search: RegExp | undefined;
  #notEmpty: RegExp | undefined;

  constructor({ root, ignoreCase, groups }: PythonPattern) {
    this.#source = toSource(root);
    this.#flags = ignoreCase ? "iu" : "u";
    this.#groups = groups;
    this.#test = new RegExp(this.#source, this.#flags);
    this.#test.test(""); // what is too large shows when it is first used
  }

  found(text: string): boolean {
    return /[\ud800-\udbff]/.test(text)
      ? this.first(text, 0) !== undefined
      : this.#test.test(text);
  }

  first(text: string, at: number): Offsets | undefined {
    this.#search ??= new RegExp(this.#source, this.#flags + "dg");
    for (; at <= text.length; at++) {
      this.#search.lastIndex = at;
      const match = this.#search.exec(text);
      if (!match) return undefined;
      const { index } = match;
      // V8 finds assertions to hold also within a character beyond U+FFFF
      const isWithin = index > 0 && text.codePointAt(index - 1)! > 0xffff;
      if (!isWithin) return this.#offsets(match);
      at = index;
    }
  }

  notEmpty(text: string, at: number): Offsets | undefined {
    this.#notEmpty ??= new RegExp(
      `(?=(?<rest>[^]*))(?:${this.#source})(?!\\k<rest>$)`,
      this.#flags + "dy",
    );
    this.#notEmpty.lastIndex = at;
    const match = this.#notEmpty.exec(text);
    return match ? this.#offsets(match) : undefined;
  }

  #offsets({ index, 0: { length }, indices }: RegExpExecArray): Offsets {
    const offsets = [index, index + length];
    for (let group = 1; group <= this.#groups; group++) {
      offsets.push(...indices?.groups?.[`g${group}`] ?? [0, 0]);
    }
    return offsets;
  }
}
