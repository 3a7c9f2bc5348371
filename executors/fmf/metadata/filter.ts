/**
 * Filters: expressions such as `tag: fast & tag: -net | /smoke` over the data
 * and the name of a test.
 */
import { FmfError, quote } from "./errors.ts";
import { compilePattern } from "./regex.ts";
import {
  type FmfMap,
  type FmfValue,
  isMap,
  textOf,
  typeName,
} from "./value.ts";

/** Options of {@linkcode compileFilter}. */
export interface FilterOptions {
  /**
   * Tell upper from lower case in keys, values and the name.
   *
   * @default {true}
   */
  sensitive?: boolean;
  /**
   * Take values and names for patterns, rather than for plain text.
   *
   * @default {true}
   */
  regexp?: boolean;
}

/** Options of {@linkcode matchFilter}. */
export interface MatchOptions extends FilterOptions {
  /** Name of the node, for filters that ask for it. */
  name?: string;
}

/** Whether data, and the name of what has it, meet a filter. */
export type Filter = (data: FmfMap, name?: string) => boolean;

/**
 * Compiles a filter for use on many nodes. A part of it that asks for a key
 * which the data does not have is not met; neither is its negation.
 *
 * @throws {FmfError} of kind `filter` if a pattern in it is invalid; the
 * result throws it if the filter asks for a name and none is given
 */
export function compileFilter(
  expression: string,
  options: FilterOptions = {},
): Filter {
  const clauses = parse(expression, options);
  return (data, name) => decide(clauses, expression, data, name) === true;
}

/**
 * Tells whether data meets a filter.
 *
 * @throws {FmfError} of kind `filter` if a pattern is invalid, a name is asked
 * for and not given, the data is no mapping; and if a key is asked for that
 * the data does not have, unless another alternative is met
 */
export function matchFilter(
  expression: string,
  data: FmfMap,
  options: MatchOptions = {},
): boolean {
  if (!isMap(data as FmfValue)) {
    throw new FmfError(
      "filter",
      `wants the data of a node, a mapping, not ${typeName(data)}`,
      { text: expression },
    );
  }
  const clauses = parse(expression, options);
  const outcome = decide(clauses, expression, data, options.name);
  if (typeof outcome === "boolean") return outcome;
  throw new FmfError("filter", `the data has no key ${quote(outcome.key)}`, {
    text: expression,
  });
}

/** An alternative: literals that must all hold. */
type Clause = readonly Literal[];

type Literal =
  | { name: TextTest }
  | { key: string; isKey: TextTest; atoms: readonly Atom[] };

interface Atom {
  isNegated: boolean;
  matches: TextTest;
}

type TextTest = (text: string) => boolean;

/** A key that the data does not have. */
interface UnknownKey {
  key: string;
}

function parse(expression: string, options: FilterOptions): readonly Clause[] {
  const { sensitive = true, regexp = true } = options;
  const plain = (value: string): TextTest => {
    if (sensitive) return (text) => text === value;
    const lower = value.toLowerCase();
    return (text) => text.toLowerCase() === lower;
  };
  const pattern = (value: string, method: "found" | "matchesWhole") => {
    if (!regexp) return plain(value);
    try {
      const compiled = compilePattern(value, { ignoreCase: !sensitive });
      return (text: string) => compiled[method](text);
    } catch (error) {
      if (!(error instanceof FmfError)) throw error;
      throw new FmfError("filter", `${error.reason} in ${quote(value)}`, {
        text: expression,
        cause: error,
      });
    }
  };
  const parseLiteral = (text: string): Literal[] => {
    if (text === "") return [];
    const colon = text.indexOf(":");
    if (colon < 0) return [{ name: pattern(text, "found") }];
    const key = text.slice(0, colon).trim();
    const atoms = split(text.slice(colon + 1), ",").map((value) => {
      const isNegated = value.startsWith("-");
      const matches = pattern(
        isNegated ? value.slice(1) : value,
        "matchesWhole",
      );
      return { isNegated, matches };
    });
    return [{ key, isKey: plain(key), atoms }];
  };
  return split(expression, "|").map((clause) =>
    split(clause, "&").flatMap(parseLiteral)
  );
}

/** Splits at a character and drops white space around; a backslash keeps the character. */
function split(text: string, separator: "|" | "&" | ","): string[] {
  if (separator === ",") return text.split(",").map((part) => part.trim());
  const at = separator === "|" ? /(?<!\\)\|/ : /(?<!\\)&/;
  return text.split(at).map((part) =>
    part.trim().replaceAll(`\\${separator}`, separator)
  );
}

function decide(
  clauses: readonly Clause[],
  expression: string,
  data: FmfMap,
  name: string | undefined,
): boolean | UnknownKey {
  let result: boolean | UnknownKey = false;
  for (const clause of clauses) {
    const outcome = decideClause(clause, expression, data, name);
    if (outcome === true) return true;
    result ||= outcome;
  }
  return result;
}

function decideClause(
  clause: Clause,
  expression: string,
  data: FmfMap,
  name: string | undefined,
): boolean | UnknownKey {
  let result = true;
  for (const literal of clause) {
    if ("name" in literal) {
      if (name === undefined) {
        throw new FmfError("filter", "asks for a name, and there is none", {
          text: expression,
        });
      }
      if (!literal.name(name)) return false;
      continue;
    }
    const value = valueOf(data, literal.key, literal.isKey);
    if (value === undefined) return { key: literal.key };
    const texts = Array.isArray(value) ? value.map(textOf) : [textOf(value)];
    result &&= literal.atoms.some(({ isNegated, matches }) =>
      texts.some(matches) !== isNegated
    );
  }
  return result;
}

function valueOf(
  data: FmfMap,
  key: string,
  isKey: TextTest,
): FmfValue | undefined {
  const exact = data.get(key);
  if (exact !== undefined) return exact;
  for (const [other, value] of data) {
    if (typeof other === "string" && isKey(other)) return value;
  }
}
