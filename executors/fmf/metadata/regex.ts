/**
 * Regular expressions of metadata. They are written in the dialect of Python's
 * `re`, where `$` comes before a last line break, `\w` knows all alphabets and
 * groups are named `(?P<name>…)`.
 */
import { matchesOf, SafeMatcher } from "./_match.ts";
import { CONTROLS, isGroupName, PatternError } from "./_python_chars.ts";
import { type PythonPattern, readPattern } from "./_python_regex.ts";
import { anchor, sequence } from "./_pattern.ts";
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
    const matcher = this.#search.for(text, "all");
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
