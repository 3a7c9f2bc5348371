/**
 * Selecting nodes of a tree.
 */
import { compileCondition } from "./_condition.ts";
import { FmfError, locating } from "./errors.ts";
import { compileFilter } from "./filter.ts";
import type { ClimbOptions, FmfNode } from "./node.ts";
import { placeOf } from "./node.ts";
import { pathOf } from "./paths.ts";
import { compilePattern } from "./regex.ts";
import type { FmfMap } from "./value.ts";

/**
 * Decides about one node.
 *
 * @param data a copy of the node's data, as an object without prototype
 */
export type Condition = (
  // deno-lint-ignore no-explicit-any -- what is in there is up to the metadata
  data: Record<string, any>,
  node: FmfNode,
) => boolean;

/**
 * A condition as text: an expression over the keys of a node's data, with the
 * meaning that it has in Python. It is not run as code.
 *
 * There are names (keys of the data), numbers, texts in single or double quotes,
 * `True`, `False`, `None`, lists (`[1, 2]`), items (`env['KEY']`), comparisons
 * (`==`, `!=`, `<`, `<=`, `>`, `>=`, `in`, `not in`), `not`, `and`, `or`,
 * parentheses, and `locals()`, which is all of the data: `'level' in locals()`.
 *
 * A condition that needs a key which is not there does not hold.
 *
 * @example
 * ```ts
 * import { Tree } from "jsr:@atex/atex/fmf";
 *
 * const tree = Tree.fromData({ "/a": { level: 1 }, "/b": { level: 2 }, "/c": {} });
 * const found = tree.prune({ conditions: ["'level' not in locals() or level > 1"] });
 * console.log(Array.from(found, ({ name }) => name)); // [ "/b", "/c" ]
 * ```
 */
export type ConditionText = string;

/** Options of {@linkcode Tree.prune}. A node must meet all of them. */
export interface PruneOptions extends ClimbOptions {
  /**
   * Keys that must be in the data, whatever their values.
   *
   * @default {[]}
   */
  keys?: readonly string[] | undefined;
  /**
   * Patterns of which any must be found in the node's name. Empty: any name.
   *
   * @default {[]}
   */
  names?: readonly string[] | undefined;
  /**
   * Filters that must all hold, such as `tag: fast & tag: -slow`.
   *
   * @default {[]}
   */
  filters?: readonly string[] | undefined;
  /**
   * Conditions that must all hold: functions, or text such as
   * `level > 1 and 'net' in tag`, see {@linkcode ConditionText}.
   *
   * @default {[]}
   */
  conditions?: readonly (Condition | ConditionText)[] | undefined;
  /**
   * Files of which any must be among the node's sources. Empty: any source.
   *
   * @default {[]}
   */
  sources?: readonly (string | URL)[] | undefined;
}

/** Decides about one node. */
export type Test = (node: FmfNode) => boolean;

/**
 * Goes through the nodes that meet all criteria.
 *
 * @throws {FmfError} of kind `filter` for a pattern, filter or condition that
 * cannot be used, `usage` for an option of the wrong type
 */
export function prune(
  top: FmfNode,
  options: PruneOptions = {},
): Generator<FmfNode, void, undefined> {
  // Not a generator itself: what is wrong with the options shows at once.
  return pruned(top, options, testsOf(options));
}

function* pruned(
  top: FmfNode,
  options: PruneOptions,
  tests: readonly Test[],
): Generator<FmfNode, void, undefined> {
  for (const node of top.climb(options)) {
    if (tests.every((test) => test(node))) yield node;
  }
}

function testsOf(options: PruneOptions): Test[] {
  const tests: Test[] = [];
  const keys = listOption("keys", options.keys);
  if (keys.length > 0) {
    tests.push((node) => keys.every((key) => node.data.has(key)));
  }
  const names = listOption("names", options.names);
  if (names.length > 0) tests.push(anyName(names));
  const sources = listOption("sources", options.sources, isPath).map(pathOf);
  if (sources.length > 0) {
    tests.push((node) => sources.some((path) => node.sources.includes(path)));
  }
  for (const filter of listOption("filters", options.filters)) {
    const matches = compileFilter(filter, {
      caseSensitive: true,
      regexp: true,
    });
    tests.push((node) => matches(node.data, node.name));
  }
  for (
    const condition of listOption("conditions", options.conditions, isCondition)
  ) {
    if (typeof condition === "string") {
      const meets = compileCondition(condition);
      tests.push((node) =>
        locating(placeOf(node), () => meets(node.data as FmfMap))
      );
    } else tests.push((node) => holds(condition, node));
  }
  return tests;
}

/** Tells whether any of the patterns is found in a node's name. */
export function anyName(patterns: readonly string[]): Test {
  const compiled = patterns.map((text) => {
    try {
      return compilePattern(text);
    } catch (error) {
      throw error instanceof FmfError ? error.at({ text }, "filter") : error;
    }
  });
  return ({ name }) => compiled.some((pattern) => pattern.found(name));
}

function holds(condition: Condition, node: FmfNode): boolean {
  let result: unknown;
  try {
    result = condition(node.toObject(), node);
  } catch (error) {
    throw new FmfError(
      "filter",
      `a condition failed: ${error instanceof Error ? error.message : error}`,
      { ...placeOf(node), cause: error },
    );
  }
  if (typeof result === "boolean") return result;
  throw new FmfError(
    "filter",
    `a condition must return true or false, not ${
      result instanceof Promise ? "a promise" : typeof result
    }`,
    placeOf(node),
  );
}

function isPath(value: unknown): boolean {
  return typeof value === "string" || value instanceof URL;
}

function isCondition(value: unknown): boolean {
  return typeof value === "function" || isText(value);
}

function isText(value: unknown): boolean {
  return typeof value === "string";
}

/**
 * The list that an option holds. A text would be a list of its letters.
 *
 * @throws {FmfError} of kind `usage` if it is no list, or an item is not right
 */
export function listOption<T>(
  name: string,
  value: readonly T[] | undefined,
  isRight: (item: unknown) => boolean = isText,
): readonly T[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) {
    throw new FmfError(
      "usage",
      `the option "${name}" must be a list, not ${typeof value}`,
    );
  }
  for (const item of value) {
    if (!isRight(item)) {
      throw new FmfError(
        "usage",
        `the option "${name}" holds an item of the wrong type, ${typeof item}`,
      );
    }
  }
  return value;
}
