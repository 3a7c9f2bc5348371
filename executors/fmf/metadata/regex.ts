/**
 * Regular expressions of metadata. They are written in the dialect of Python's
 * `re`, where `$` comes before a last line break, `\w` knows all alphabets and
 * groups are named `(?P<name>…)`.
 */
import {
  CONTROLS,
  isGroupName,
  PatternError,
  type PythonPattern,
  readPattern,
} from "./_python_regex.ts";
import { type ExecOptions, LinearMatcher, type Offsets } from "./_linear.ts";
import { anchor, sequence, toSource, weigh } from "./_pattern.ts";
import { FmfError } from "./errors.ts";

/** Options of {@linkcode compilePattern}. */
export interface PatternOptions {
  /**
   * Match upper and lower case alike.
   *
   * @default {false}
   */
  ignoreCase?: boolean;
}

/** A compiled pattern. */
export interface Pattern {
  /** The pattern as it was written. */
  readonly text: string;
  /** Tells whether the pattern is found anywhere in a text. */
  found(text: string): boolean;
  /** Tells whether the pattern matches a whole text; one line break at the end does not count. */
  matchesWhole(text: string): boolean;
  /**
   * Replaces all matches in a text by a template in which `\1` and `\g<name>`
   * stand for groups.
   */
  replaceAll(text: string, template: string): string;
}

/** Patterns come from metadata that may be foreign: no text may keep them busy for long. */
const MAX_TEXT = 65_536;

/** Steps that the engine of the platform, which backtracks, may need at worst. */
const MAX_STEPS = 1e8;

/** Steps that may be made otherwise; each takes longer. */
const MAX_LINEAR_STEPS = 3e7;

const MAX_CACHED = 1000;

const cache = new Map<string, CompiledPattern>();

/**
 * Compiles a pattern of Python's `re`. Each is compiled once.
 *
 * Not supported, and an error: conditionals (`(?(1)…)`), named characters
 * (`\N{…}`), and references to groups that need not have taken part.
 *
 * Whatever the pattern, matching ends in time: texts longer than 65 536
 * characters are refused; where an engine that backtracks could need too many
 * steps, as with `(a+)+$`, the pattern is matched in another, linear way, which
 * knows no references, no atomic groups and no groups in look-arounds.
 *
 * @throws {FmfError} of kind `filter` when the pattern is invalid or not
 * supported; the methods of the result throw it for texts that are too long,
 * and for invalid templates
 */
export function compilePattern(
  pattern: string,
  options: PatternOptions = {},
): Pattern {
  const { ignoreCase = false } = options;
  const id = (ignoreCase ? "i" : "-") + pattern;
  let compiled = cache.get(id);
  if (!compiled) {
    compiled = new CompiledPattern(pattern, ignoreCase);
    if (cache.size >= MAX_CACHED) cache.clear();
    cache.set(id, compiled);
  }
  return compiled;
}

function invalid(what: string, text: string, error: unknown): FmfError {
  const where = error instanceof PatternError
    ? ` at character ${error.index + 1}`
    : "";
  const reason = error instanceof Error ? error.message : String(error);
  return new FmfError("filter", `invalid ${what}${where}: ${reason}`, {
    text,
    cause: error,
  });
}

/** Finds matches in texts, in one of two ways. */
interface Matcher {
  /** Whether there is a match. */
  found(text: string): boolean;
  /** The first match from an offset on. */
  first(text: string, at: number): Offsets | undefined;
  /** A match that begins at an offset and does not end there. */
  notEmpty(text: string, at: number): Offsets | undefined;
}

class CompiledPattern implements Pattern {
  readonly text: string;
  readonly #pattern: PythonPattern;
  readonly #search: SafeMatcher;
  #whole: SafeMatcher | undefined;
  readonly #templates = new Map<string, Part[]>();

  constructor(text: string, ignoreCase: boolean) {
    this.text = text;
    try {
      this.#pattern = readPattern(text, ignoreCase);
      this.#search = new SafeMatcher(text, this.#pattern);
    } catch (error) {
      throw invalid("pattern", text, error);
    }
  }

  found(text: string): boolean {
    return this.#search.for(text).found(text);
  }

  matchesWhole(text: string): boolean {
    this.#whole ??= new SafeMatcher(this.text, {
      ...this.#pattern,
      root: sequence([anchor("^"), this.#pattern.root, anchor("(?=\\n?$)")]),
    });
    return this.#whole.for(text).found(text);
  }

  replaceAll(text: string, template: string): string {
    const parts = this.#template(template);
    const matcher = this.#search.for(text);
    let result = "";
    let end = 0;
    for (const offsets of matchesOf(matcher, text)) {
      result += text.slice(end, offsets[0]);
      for (const part of parts) {
        if (typeof part === "string") result += part;
        else result += text.slice(offsets[2 * part], offsets[2 * part + 1]);
      }
      end = offsets[1];
    }
    return result + text.slice(end);
  }

  #template(template: string): Part[] {
    let parts = this.#templates.get(template);
    if (!parts) {
      try {
        parts = parseTemplate(template, this.#pattern);
      } catch (error) {
        throw invalid("replacement", template, error);
      }
      if (this.#templates.size < MAX_CACHED) {
        this.#templates.set(template, parts);
      }
    }
    return parts;
  }
}

/** All matches as Python counts them: where an empty one was found, one that is not empty may follow. */
function* matchesOf(matcher: Matcher, text: string): Generator<Offsets> {
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
class SafeMatcher {
  readonly #text: string;
  readonly #pattern: PythonPattern;
  readonly #engine: EngineMatcher;
  readonly #choices: number;
  readonly #unbounded: number;
  #linear: LinearMatcher | undefined;

  constructor(text: string, pattern: PythonPattern) {
    this.#text = text;
    this.#pattern = pattern;
    this.#engine = new EngineMatcher(pattern);
    const { choices, unbounded } = weigh(pattern.root);
    this.#choices = choices;
    this.#unbounded = unbounded;
  }

  for(text: string): Matcher {
    const { length } = text;
    if (length > MAX_TEXT) {
      throw this.#error(
        `a text of ${length} characters is too long to match, at most ${MAX_TEXT} are allowed`,
      );
    }
    const steps = 2 ** this.#choices * (length + 1) ** (this.#unbounded + 1);
    return steps <= MAX_STEPS ? this.#engine : this.#linearMatcher();
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

/** Text, or the number of a group; 0 is the whole match. */
type Part = string | number;

function parseTemplate(template: string, pattern: PythonPattern): Part[] {
  const escapes =
    /\\(?:g(?:<([^>]*)>)?|([0-3][0-7]{2}|0[0-7]?|[4-7][0-7]{2}|[1-9][0-9]?)|([^]?))/gu;
  const parts: Part[] = [];
  let end = 0;
  for (const match of template.matchAll(escapes)) {
    const [whole, name, digits, char] = match;
    const { index } = match;
    parts.push(template.slice(end, index));
    end = index + whole.length;
    const fail = (message: string) => new PatternError(message, index);
    if (whole.startsWith("\\g")) {
      if (name === undefined) {
        throw fail("missing <, or unterminated group name");
      }
      parts.push(groupOf(name, pattern, fail));
    } else if (digits === undefined) {
      if (char === "") throw fail("bad escape (end of template)");
      if (/[a-zA-Z]/.test(char) && !(char in TEMPLATE_CONTROLS)) {
        throw fail(`bad escape \\${char}`);
      }
      parts.push(TEMPLATE_CONTROLS[char] ?? whole);
    } else if (digits.startsWith("0") || digits.length === 3) {
      const point = parseInt(digits, 8);
      if (point > 0o377) throw fail("octal escape out of range");
      parts.push(String.fromCodePoint(point));
    } else {
      parts.push(groupOf(digits, pattern, fail));
    }
  }
  parts.push(template.slice(end));
  return parts;
}

const TEMPLATE_CONTROLS: Readonly<Record<string, string>> = {
  ...CONTROLS,
  b: "\b",
};

function groupOf(
  name: string,
  { groups, names, unclear }: PythonPattern,
  fail: (message: string) => PatternError,
): number {
  const isNumber = /^[0-9]+$/.test(name);
  if (!isNumber && !isGroupName(name)) {
    throw fail("bad character in group name");
  }
  const group = isNumber ? Number(name) : names.get(name);
  if (group === undefined) throw fail(`unknown group name ${name}`);
  if (group > groups) throw fail(`invalid group reference ${group}`);
  if (unclear.has(group)) {
    throw fail(
      `group ${name} is not supported here, since it stands in a repetition that may skip it`,
    );
  }
  return group;
}
