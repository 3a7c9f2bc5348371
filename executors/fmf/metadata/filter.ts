/**
 * Filters: expressions such as `tag: fast & tag: -net | /smoke` over the data
 * and the name of a test.
 */
import { FmfError, quote } from "./errors.ts";
import type { FmfNode } from "./node.ts";
import { compilePattern, type Pattern } from "./regex.ts";
import {
  type FmfMap,
  type FmfValue,
  isMap,
  textOf,
  typeName,
} from "./value.ts";

/** How filters are read. */
export interface FilterOptions {
  /**
   * Tell upper from lower case in keys, values and the name.
   *
   * @default {true}
   */
  caseSensitive?: boolean | undefined;
  /**
   * Take values and names for patterns, rather than for plain text.
   *
   * @default {true}
   */
  regexp?: boolean | undefined;
}

/** Options of {@linkcode matchFilter}. */
export interface MatchOptions extends FilterOptions {
  /** Name of the node, for filters that ask for it. */
  name?: string | undefined;
}

/** Whether data, and the name of what has it, meet a filter. */
export type Filter = (data: FmfNode["data"], name?: string) => boolean;

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
  const { clauses, patterns } = parse(expression, options);
  for (const compile of patterns) compile();
  return (data, name) => decide(clauses, expression, data, name) === true;
}

/**
 * Tells whether data meets a filter: alternatives with `|` between them, of
 * parts with `&` between them. A part is a pattern that is found in the name,
 * or a key, `:`, and patterns with `,` between them, of which one matches a
 * whole value; one after a `-` must match none of them. An empty filter is met.
 *
 * @throws {FmfError} of kind `filter` if the data is no mapping, a pattern that
 * is tried is invalid, a name is asked for and not given; and if a key is asked
 * for that the data does not have, unless another alternative is met or the
 * name is not
 *
 * @example
 * ```ts
 * import { matchFilter, Tree } from "jsr:@atex/atex/fmf";
 *
 * const { name, data } = Tree.fromData({ "/net": { tag: ["fast", "ip"] } })
 *   .find("/net")!;
 * console.log(matchFilter("/net & tag: fast & tag: -slow", data, { name })); // true
 * ```
 */
export function matchFilter(
  expression: string,
  data: FmfNode["data"],
  options: MatchOptions = {},
): boolean {
  if (expression === "") return true;
  if (!isMap(data as FmfMap)) {
    throw new FmfError(
      "filter",
      `wants the data of a node, a mapping, not ${typeName(data as FmfMap)}`,
      { text: expression },
    );
  }
  const { clauses } = parse(expression, options);
  const outcome = decide(clauses, expression, data, options.name);
  if (typeof outcome === "boolean") return outcome;
  throw new FmfError("filter", `the data has no key ${quote(outcome.key)}`, {
    text: expression,
  });
}

/** An alternative: what must all hold. */
interface Clause {
  names: readonly TextTest[];
  literals: readonly Literal[];
}

interface Literal {
  key: string;
  isKey: TextTest;
  atoms: readonly Atom[];
}

interface Atom {
  isNegated: boolean;
  matches: TextTest;
}

type TextTest = (text: string) => boolean;

/** A key that the data does not have. */
interface UnknownKey {
  key: string;
}

interface ParsedFilter {
  clauses: readonly Clause[];
  /** Compile a pattern, which is done when it is first tried at the latest. */
  patterns: readonly (() => Pattern)[];
}

function parse(expression: string, options: FilterOptions): ParsedFilter {
  const { caseSensitive = true, regexp = true } = options;
  const patterns: (() => Pattern)[] = [];
  const plain = (value: string): TextTest => {
    if (caseSensitive) return (text) => text === value;
    const lower = value.toLowerCase();
    return (text) => text.toLowerCase() === lower;
  };
  const pattern = (
    value: string,
    method: "found" | "matchesWhole",
  ): TextTest => {
    if (!regexp) return plain(value);
    let compiled: Pattern | undefined;
    const compile = () => {
      try {
        return compiled ??= compilePattern(value, {
          ignoreCase: !caseSensitive,
        });
      } catch (error) {
        if (!(error instanceof FmfError)) throw error;
        throw new FmfError("filter", `${error.reason} in ${quote(value)}`, {
          text: expression,
          cause: error,
        });
      }
    };
    patterns.push(compile);
    return (text) => compile()[method](text);
  };
  const parseLiteral = (text: string): Literal => {
    const colon = text.indexOf(":");
    const key = text.slice(0, colon).trim();
    const atoms = split(text.slice(colon + 1), ",").map((value) => {
      const isNegated = value.startsWith("-");
      const matches = pattern(
        isNegated ? value.slice(1) : value,
        "matchesWhole",
      );
      return { isNegated, matches };
    });
    return { key, isKey: plain(key), atoms };
  };
  const clauses = split(expression, "|").map((clause) => {
    const parts = split(clause, "&").filter((part) => part !== "");
    return {
      names: parts.filter((part) => !part.includes(":"))
        .map((part) => pattern(part, "found")),
      literals: parts.filter((part) => part.includes(":")).map(parseLiteral),
    };
  });
  return { clauses, patterns };
}

/** Splits at a character and drops white space around; a backslash keeps the character. */
function split(text: string, separator: "|" | "&" | ","): string[] {
  if (separator === ",") return text.split(",").map((part) => part.trim());
  const at = separator === "|" ? /(?<!\\)\|/ : /(?<!\\)&/;
  return text.split(at).map((part) =>
    part.trim().replaceAll(`\\${separator}`, separator)
  );
}

/** Looks at all alternatives, and in them at all parts, so that what is wrong with any is told. */
function decide(
  clauses: readonly Clause[],
  expression: string,
  data: FmfNode["data"],
  name: string | undefined,
): boolean | UnknownKey {
  const outcomes = clauses.map((clause) =>
    decideClause(clause, expression, data, name)
  );
  return outcomes.includes(true) || (outcomes.find(Boolean) ?? false);
}

function decideClause(
  { names, literals }: Clause,
  expression: string,
  data: FmfNode["data"],
  name: string | undefined,
): boolean | UnknownKey {
  for (const isFound of names) {
    if (name === undefined) {
      throw new FmfError("filter", "asks for a name, and there is none", {
        text: expression,
      });
    }
    if (!isFound(name)) return false;
  }
  let result = true;
  for (const { key, isKey, atoms } of literals) {
    const value = valueOf(data, key, isKey);
    if (value === undefined) return { key };
    const texts = Array.isArray(value) ? value.map(textOf) : [textOf(value)];
    const holds = atoms.some(({ isNegated, matches }) =>
      texts.some(matches) !== isNegated
    );
    result &&= holds;
  }
  return result;
}

function valueOf(
  data: FmfNode["data"],
  key: string,
  isKey: TextTest,
): FmfValue | undefined {
  const exact = data.get(key);
  if (exact !== undefined) return exact;
  for (const [other, value] of data) {
    if (typeof other === "string" && isKey(other)) return value;
  }
}
