/**
 * Context expressions: conditions such as `distro >= fedora-42 and arch !=
 * s390x`, and the context in which they are true, false or undecided.
 */
import { FmfError, quote } from "./errors.ts";
import { compilePattern, type Pattern } from "./regex.ts";
import { compareText, fromPlain, textOf } from "./value.ts";

/** What a dimension of a context may be: a value or several, of which each counts. */
export type ContextValue = unknown;

/**
 * What is known of the surroundings, by dimension, such as `{ distro:
 * "fedora-42", arch: ["x86_64"] }`; or an expression of `==` terms that are
 * joined by `and`. Values are taken by their text.
 */
export type ContextValues =
  | Readonly<Record<string, ContextValue>>
  | ReadonlyMap<string, ContextValue>
  | string;

/** Options of {@linkcode Context}. */
export interface ContextOptions {
  /**
   * Tell upper from lower case in values. Names of dimensions and patterns always do.
   *
   * @default {true}
   */
  caseSensitive?: boolean | undefined;
}

/**
 * The surroundings in which conditions are decided.
 *
 * @example
 * ```ts
 * import { Context, openTree } from "jsr:@atex/atex/fmf";
 *
 * const context = new Context({ distro: "fedora-42", arch: ["x86_64"] });
 * console.log(openTree("./suite").adjust(context).find("/smoke")?.name);
 * ```
 */
export class Context {
  readonly #dimensions = new Map<string, readonly Version[]>();
  readonly #caseSensitive: boolean;

  /**
   * Takes what is known.
   *
   * @throws {FmfError} of kind `usage` for an expression that is more than
   * `==` terms joined by `and`, `rule` for a malformed one
   */
  constructor(values: ContextValues = {}, options: ContextOptions = {}) {
    this.#caseSensitive = options.caseSensitive ?? true;
    for (const [dimension, value] of entriesOf(values)) {
      const texts = (Array.isArray(value) ? value : [value])
        .map((item) => textOf(fromPlain(item)));
      this.#dimensions.set(dimension, texts.map((text) => this.#version(text)));
    }
  }

  /**
   * Decides a condition: undefined if the context does not know enough.
   *
   * @throws {FmfError} of kind `rule` if it is malformed, even in a part that
   * would not matter
   */
  matches(expression: string | boolean): boolean | undefined {
    if (typeof expression === "boolean") return expression;
    return decide(
      parse(expression),
      false,
      (group) => decide(group, true, (term) => this.#decide(term)),
    );
  }

  /** The dimensions of an expression that the context does not know. */
  missing(expression: string | boolean): string[] {
    if (typeof expression === "boolean") return [];
    const names = parse(expression).flat().flatMap((term) =>
      typeof term === "object" ? [term.dimension] : []
    );
    return [...new Set(names)].filter((name) => !this.#dimensions.has(name));
  }

  #decide(term: Term): boolean | undefined {
    if (typeof term === "boolean") return term;
    const { operator } = term;
    const values = this.#dimensions.get(term.dimension);
    if (operator === "is defined") return values !== undefined;
    if (operator === "is not defined") return values === undefined;
    let isDecided = false;
    for (const value of values ?? []) {
      for (const other of term.values) {
        const outcome = typeof other === "string"
          ? compare(value, this.#version(other), operator)
          : other.found(value.text) === (operator === "~");
        if (outcome) return true;
        isDecided ||= outcome !== undefined;
      }
    }
    return isDecided ? false : undefined;
  }

  #version(text: string): Version {
    const parts = (this.#caseSensitive ? text : fold(text)).split(/[-:.]/);
    return { text, parts };
  }
}

interface Version {
  /** As it is. */
  text: string;
  /** The name and the version parts, folded if case does not matter. */
  parts: readonly string[];
}

type Operator =
  | "=="
  | "!="
  | "<"
  | "<="
  | ">"
  | ">="
  | "~="
  | "~!="
  | "~<"
  | "~<="
  | "~>"
  | "~>="
  | "~"
  | "!~"
  | "is defined"
  | "is not defined";

type Term = boolean | {
  dimension: string;
  operator: Operator;
  /** Patterns for `~` and `!~`. */
  values: readonly (string | Pattern)[];
};

/** Alternatives, each of terms that must all hold. */
type Expression = readonly (readonly Term[])[];

function entriesOf(
  values: ContextValues,
): Iterable<readonly [string, ContextValue]> {
  if (values instanceof Map) return values.entries();
  if (typeof values !== "string") return Object.entries(values);
  const groups = parse(values);
  return groups.flat().map((term) => {
    if (
      typeof term === "boolean" || term.operator !== "==" || groups.length > 1
    ) {
      throw new FmfError(
        "usage",
        "a context may only be of == terms, joined by and",
        { text: values },
      );
    }
    return [term.dimension, term.values];
  });
}

/** Folds case as far as it matters for comparing: ẞ is ss, and ı is no i. */
function fold(text: string): string {
  return text.replace(
    /[^ı]+/gu,
    (part) =>
      part.toLowerCase().toUpperCase().toLowerCase().replaceAll("ς", "σ"),
  );
}

/** `or` (`decisive` true) or `and` (false) of three-valued outcomes. */
function decide<T>(
  items: readonly T[],
  isAnd: boolean,
  outcomeOf: (item: T) => boolean | undefined,
): boolean | undefined {
  let result: boolean | undefined = isAnd;
  for (const item of items) {
    const outcome = outcomeOf(item);
    if (outcome === !isAnd) return outcome;
    if (outcome === undefined) result = undefined;
  }
  return result;
}

const MAX_CACHED = 1000;

const cache = new Map<string, Expression>();

function parse(text: string): Expression {
  let expression = cache.get(text);
  if (!expression) {
    expression = text.split(/(?<!\S)or(?!\S)/).map((group) =>
      group.split(/(?<!\S)and(?!\S)/).map((term) =>
        parseTerm(term.trim(), text)
      )
    );
    if (cache.size >= MAX_CACHED) cache.clear();
    cache.set(text, expression);
  }
  return expression;
}

function parseTerm(term: string, text: string): Term {
  const fail = (reason: string, cause?: unknown) =>
    new FmfError("rule", `malformed condition: ${reason}`, { text, cause });
  if (term === "true" || term === "false") return term === "true";
  if (term === "") throw fail("something is missing, also beside and/or");
  // not made before there is a condition, since such classes take their time
  const unary = /^([\p{L}\p{N}_-]+)\s+(is defined|is not defined)$/u.exec(term);
  if (unary) {
    const [, dimension, operator] = unary;
    return { dimension, operator: operator as Operator, values: [] };
  }
  const binary =
    /^([\p{L}\p{N}_-]+)\s*(~!=|~<=|~>=|~=|~<|~>|!~|!=|==|<=|>=|=|<|>|~)\s*([^=\s][^]*)$/u
      .exec(term);
  if (!binary) {
    throw fail(
      `${
        quote(term)
      } is no comparison such as "distro == fedora" or "arch is defined"`,
    );
  }
  const [, dimension, sign, rest] = binary;
  const values = rest.split(",").map((value) => value.trim());
  if (sign === "~" || sign === "!~") {
    const patterns = values.map((value) => {
      if (value.includes("\n")) {
        throw fail(`the pattern ${quote(value)} goes over several lines`);
      }
      try {
        return compilePattern(value);
      } catch (error) {
        const { reason } = error as FmfError;
        throw fail(`${reason} in ${quote(value)}`, error);
      }
    });
    return { dimension, operator: sign, values: patterns };
  }
  if (/^[!~<>]/.test(rest)) {
    throw fail(`${quote(sign + rest[0])} is no operator, in ${quote(term)}`);
  }
  const odd = values.find((value) => /\s/.test(value));
  if (odd !== undefined) {
    throw fail(`the value ${quote(odd)} has white space in it`);
  }
  const operator = sign === "=" ? "==" : sign as Operator;
  return { dimension, operator, values };
}

/** Which outcomes of a comparison an operator holds for. */
const HOLDS: Record<string, (order: number) => boolean> = {
  "==": (order) => order === 0,
  "!=": (order) => order !== 0,
  "<": (order) => order < 0,
  "<=": (order) => order <= 0,
  ">": (order) => order > 0,
  ">=": (order) => order >= 0,
};

function compare(
  { parts: left }: Version,
  { parts: right }: Version,
  operator: Operator,
): boolean | undefined {
  const isMinor = operator.startsWith("~");
  const sign = isMinor ? operator.slice(1) : operator;
  const simple = sign === "=" ? "==" : sign;
  const isOrdered = simple !== "==" && simple !== "!=";
  const order = orderOf(left, right, isMinor, isOrdered);
  return order === undefined ? undefined : HOLDS[simple](order);
}

/** Negative, 0 or positive, as left is to right, which says how exactly they are compared; undefined if they cannot be. */
function orderOf(
  left: readonly string[],
  right: readonly string[],
  isMinor: boolean,
  isOrdered: boolean,
): number | undefined {
  const different = isOrdered ? undefined : -1;
  if (left[0] !== right[0]) return different;
  if (isMinor && right.length > 1) {
    if (left.length === 1) return undefined;
    const isOtherMajor = left[1] !== right[1];
    if (isOtherMajor && !(isOrdered && right.length === 2)) return different;
  }
  const shared = Math.min(left.length, right.length);
  for (let index = 1; index < shared; index++) {
    const order = compareParts(left[index], right[index]);
    if (order !== 0) return order;
  }
  if (right.length <= left.length) return 0;
  if (isMinor || (isOrdered && left.length === 1)) return undefined;
  return -1;
}

function compareParts(a: string, b: string): number {
  if (!isNumber(a) || !isNumber(b)) return compareText(a, b);
  const [x, y] = [BigInt(a), BigInt(b)];
  return x < y ? -1 : x > y ? 1 : 0;
}

const isNumber = (part: string) => /^[0-9]+$/.test(part);
