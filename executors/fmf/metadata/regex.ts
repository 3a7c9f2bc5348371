/**
 * Regular expressions of metadata. They are written in the dialect of Python's
 * `re`, where `$` comes before a last line break, `\w` knows all alphabets and
 * groups are named `(?P<name>…)`.
 */
import {
  CONTROLS,
  isGroupName,
  PatternError,
  translate,
  type Translation,
} from "./_python_regex.ts";
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

/** Patterns come from metadata, and an engine that backtracks takes its time for long texts. */
const MAX_TEXT = 65_536;

const MAX_CACHED = 1000;

const cache = new Map<string, CompiledPattern>();

/**
 * Compiles a pattern of Python's `re`. Each is compiled once.
 *
 * Not supported, and an error: conditionals (`(?(1)…)`), named characters
 * (`\N{…}`), and references to groups that need not have taken part.
 * Texts longer than 65 536 characters are refused when it comes to matching.
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
  readonly #translation: Translation;
  readonly #search: RegExp;
  #whole: RegExp | undefined;
  #notEmpty: RegExp | undefined;
  readonly #templates = new Map<string, Part[]>();

  constructor(text: string, ignoreCase: boolean) {
    this.text = text;
    try {
      this.#translation = translate(text, ignoreCase);
      this.#search = this.#compile(this.#translation.source, "g");
      this.#search.test(""); // the engine looks at the size when it is first used
    } catch (error) {
      throw invalid("pattern", text, error);
    }
  }

  #compile(source: string, flags = ""): RegExp {
    return new RegExp(
      source,
      `u${this.#translation.ignoreCase ? "i" : ""}${flags}`,
    );
  }

  #checkLength(text: string): void {
    if (text.length > MAX_TEXT) {
      throw new FmfError(
        "filter",
        `a text of ${text.length} characters is too long to match, at most ${MAX_TEXT} are allowed`,
        { text: this.text },
      );
    }
  }

  found(text: string): boolean {
    this.#checkLength(text);
    return this.#exec(text, 0) !== null;
  }

  matchesWhole(text: string): boolean {
    this.#checkLength(text);
    this.#whole ??= this.#compile(
      `^(?:${this.#translation.source})(?=\\n?$)`,
    );
    return this.#whole.test(text);
  }

  replaceAll(text: string, template: string): string {
    const parts = this.#template(template);
    this.#checkLength(text);
    let result = "";
    let end = 0;
    for (const { 0: match, index, groups } of this.#matches(text)) {
      result += text.slice(end, index);
      for (const part of parts) {
        result += typeof part === "string"
          ? part
          : part === 0
          ? match
          : groups?.[`g${part}`] ?? "";
      }
      end = index + match.length;
    }
    return result + text.slice(end);
  }

  /** The first match from an offset on. */
  #exec(text: string, at: number): RegExpExecArray | null {
    for (; at <= text.length; at++) {
      this.#search.lastIndex = at;
      const match = this.#search.exec(text);
      // V8 finds assertions to hold also within a character beyond U+FFFF
      if (!match || !isWithinCharacter(text, match.index)) return match;
      at = match.index;
    }
    return null;
  }

  /** All matches as Python counts them: where an empty one was found, one that is not empty may follow. */
  *#matches(text: string): Generator<RegExpExecArray> {
    const { source } = this.#translation;
    const notEmpty = this.#notEmpty ??= this.#compile(
      `(?=(?<rest>[^]*))(?:${source})(?!\\k<rest>$)`,
      "y",
    );
    let wasEmpty = false;
    for (let at = 0; at <= text.length;) {
      let match: RegExpExecArray | null = null;
      if (wasEmpty) {
        notEmpty.lastIndex = at;
        match = notEmpty.exec(text);
        at += text.codePointAt(at)! > 0xffff ? 2 : 1;
      }
      match ??= this.#exec(text, at);
      if (!match) return;
      yield match;
      at = match.index + match[0].length;
      wasEmpty = match[0] === "";
    }
  }

  #template(template: string): Part[] {
    let parts = this.#templates.get(template);
    if (!parts) {
      try {
        parts = parseTemplate(template, this.#translation);
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

function isWithinCharacter(text: string, index: number): boolean {
  return index > 0 && text.codePointAt(index - 1)! > 0xffff;
}

/** Text, or the number of a group; 0 is the whole match. */
type Part = string | number;

function parseTemplate(template: string, pattern: Translation): Part[] {
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
  { groups, names, unclear }: Translation,
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
