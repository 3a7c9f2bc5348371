/**
 * Merging of one mapping into another, with the operators that suffixes of keys
 * stand for.
 *
 * Values are never changed in place: what an operator does not touch is shared
 * between the result and what it was made of.
 */
import { FmfError, type FmfErrorKind, quote } from "./errors.ts";
import { compilePattern, type Pattern } from "./regex.ts";
import {
  equal,
  type Float,
  type FmfKey,
  type FmfMap,
  type FmfValue,
  isMap,
  isNumeric,
  makeFloat,
  makeInteger,
  shallowCopy,
  textOf,
  typeName,
} from "./value.ts";

type Operator =
  | "assign"
  | "append"
  | "prepend"
  | "subtract"
  | "remove"
  | "substitute";

/** What a key asks for. */
interface Operation {
  operator: Operator;
  /** The key without its suffix. */
  target: string;
}

const SUFFIXES: readonly (readonly [string, Operator])[] = [
  ["+<", "prepend"],
  ["-~", "remove"],
  ["+", "append"],
  ["-", "subtract"],
  ["~", "substitute"],
];

const VERBS: Record<Operator, string> = {
  assign: "assign",
  append: "append",
  prepend: "prepend",
  subtract: "subtract",
  remove: "remove matches",
  substitute: "substitute",
};

/**
 * Merges `source` into `target`: each key in its order, by the operator that its
 * suffix stands for. Only `target` itself changes, not what it holds.
 *
 * @param outer the keys around this mapping, for messages
 * @param skip keys of `source` to leave out
 * @throws {FmfError} of kind `merge` or `format`, with the key
 */
export function merge(
  target: FmfMap,
  source: FmfMap,
  outer = "",
  skip?: ReadonlySet<FmfKey>,
): void {
  // makes no pair for each entry, as a loop would
  source.forEach((value, key) => {
    if (skip?.has(key)) return;
    if (typeof key !== "string") {
      throw new FmfError(
        "format",
        `keys of a merged mapping must be text, not ${typeName(key)}`,
        { key: outer + textOf(key) },
      );
    }
    const { operator, target: name } = operationOf(key, outer);
    if (operator === "assign") {
      target.set(name, value);
      return;
    }
    const old = target.get(name);
    if (old === undefined) {
      // Of the operators only these two make something out of nothing.
      if (operator === "append" || operator === "prepend") {
        target.set(name, value);
      }
      return;
    }
    target.set(name, apply(operator, old, value, outer + key));
  });
}

/** A new mapping: `old` with `source` merged into it. */
function merged(old: FmfMap, source: FmfMap, outer: string): FmfMap {
  const result = shallowCopy(old);
  merge(result, source, outer);
  return result;
}

const operations = new Map<string, Operation>();
const KEPT_OPERATIONS = 10_000;

function operationOf(key: string, outer: string): Operation {
  let operation = operations.get(key);
  if (operation) return operation;
  const suffix = SUFFIXES.find(([text]) => key.endsWith(text));
  if (!suffix) {
    operation = { operator: "assign", target: key };
  } else {
    const target = key.slice(0, -suffix[0].length);
    if (target === "" || SUFFIXES.some(([text]) => target.endsWith(text))) {
      throw new FmfError(
        "format",
        target === ""
          ? "malformed merge suffix: nothing is left of the key without it"
          : "malformed merge suffix: a key takes one of + +< - ~ -~",
        { key: outer + key },
      );
    }
    operation = { operator: suffix[1], target };
  }
  if (operations.size >= KEPT_OPERATIONS) operations.clear();
  operations.set(key, operation);
  return operation;
}

function apply(
  operator: Operator,
  old: FmfValue,
  value: FmfValue,
  key: string,
): FmfValue {
  switch (operator) {
    case "append":
      return plus(old, value, false, key);
    case "prepend":
      return plus(old, value, true, key);
    case "subtract":
      return minus(old, value, key);
    case "remove":
      return removeMatching(old, value, key);
    default:
      return substitute(old, value, key);
  }
}

function misfit(
  operator: Operator,
  old: FmfValue,
  value: FmfValue,
  key: string,
): FmfError {
  return new FmfError(
    "merge",
    `cannot ${VERBS[operator]}: the old value is ${
      typeName(old)
    }, the new one ${typeName(value)}`,
    { key },
  );
}

function plus(
  old: FmfValue,
  value: FmfValue,
  before: boolean,
  key: string,
): FmfValue {
  if (Array.isArray(old)) {
    if (Array.isArray(value)) {
      return before ? [...value, ...old] : [...old, ...value];
    }
    if (isMap(value)) {
      return old.map((item) => merged(mapping(item, key), value, `${key}.`));
    }
  } else if (isMap(old)) {
    if (isMap(value)) return merged(old, value, `${key}.`);
    if (Array.isArray(value)) {
      return value.map((item) => merged(old, mapping(item, key), `${key}.`));
    }
  } else if (typeof old === "string" && typeof value === "string") {
    return before ? value + old : old + value;
  } else if (isNumeric(old) && isNumeric(value)) {
    return sum(old, value, 1);
  }
  throw misfit(before ? "prepend" : "append", old, value, key);
}

function mapping(item: FmfValue, key: string): FmfMap {
  if (isMap(item)) return item;
  throw new FmfError(
    "merge",
    `every item of the list must be a mapping, one is ${typeName(item)}`,
    { key },
  );
}

type FmfNumber = number | bigint | Float;

function isInteger(value: FmfNumber): value is number | bigint {
  return typeof value === "bigint" ||
    (typeof value === "number" && Number.isInteger(value));
}

/** `a + sign * b`: an integer if both are. */
function sum(a: FmfNumber, b: FmfNumber, sign: 1 | -1): FmfValue {
  if (!isInteger(a) || !isInteger(b)) {
    return makeFloat(Number(a) + sign * Number(b));
  }
  if (typeof a === "number" && typeof b === "number") {
    const result = a + sign * b;
    if (Number.isSafeInteger(result)) return result;
  }
  return makeInteger(BigInt(a) + BigInt(sign) * BigInt(b));
}

function minus(old: FmfValue, value: FmfValue, key: string): FmfValue {
  if (Array.isArray(old)) {
    if (Array.isArray(value)) {
      const drop = containing(value);
      return old.filter((item) => !drop(item));
    }
  } else if (isMap(old)) {
    if (Array.isArray(value)) {
      const bad = value.find((item) =>
        Array.isArray(item) || isMap(item) || item instanceof Uint8Array
      );
      if (bad !== undefined) {
        throw new FmfError(
          "merge",
          `cannot subtract from a mapping: ${typeName(bad)} is no key`,
          { key },
        );
      }
      const drop = containing(value);
      return new Map(Array.from(old).filter(([name]) => !drop(name)));
    }
  } else if (typeof old === "string" && typeof value === "string") {
    const pattern = patternOf(value, key);
    return inMerge(key, value, () => pattern.replaceAll(old, ""));
  } else if (isNumeric(old) && isNumeric(value)) {
    return sum(old, value, -1);
  }
  throw misfit("subtract", old, value, key);
}

/** Tells whether a value equals one of `list`. */
function containing(list: readonly FmfValue[]): (item: FmfValue) => boolean {
  const texts = new Set<FmfValue>();
  const others: FmfValue[] = [];
  for (const item of list) {
    if (typeof item === "string") texts.add(item);
    else others.push(item);
  }
  return (item) =>
    typeof item === "string"
      ? texts.has(item)
      : others.some((other) => equal(item, other));
}

/** One `/pattern/replacement/`. */
interface Substitution {
  text: string;
  pattern: Pattern;
  replacement: string;
}

function substitute(old: FmfValue, value: FmfValue, key: string): FmfValue {
  const entries = textsOf(value, key).map((text) => substitution(text, key));
  if (entries.length === 0) return old;
  const change = (text: string) =>
    entries.reduce(
      (result, { text, pattern, replacement }) =>
        inMerge(key, text, () => pattern.replaceAll(result, replacement)),
      text,
    );
  if (typeof old === "string") return change(old);
  if (Array.isArray(old)) {
    return old.map((item) => {
      if (typeof item === "string") return change(item);
      throw new FmfError(
        "merge",
        `cannot substitute: every item of the list must be text, one is ${
          typeName(item)
        }`,
        { key },
      );
    });
  }
  throw new FmfError(
    "merge",
    `cannot substitute in ${typeName(old)}, only in text and lists of text`,
    { key },
  );
}

function substitution(text: string, key: string): Substitution {
  const [delimiter] = text; // a character may be two code units
  const parts = delimiter === undefined ? [] : text.split(delimiter);
  if (
    parts.length !== 4 || parts[0] !== "" || parts[1] === "" || parts[3] !== ""
  ) {
    throw new FmfError(
      "format",
      `${
        quote(text)
      } is no substitution: it must be like "/pattern/replacement/", where any character may take the place of the slash`,
      { key, text },
    );
  }
  return { text, pattern: patternOf(parts[1], key), replacement: parts[2] };
}

function removeMatching(old: FmfValue, value: FmfValue, key: string): FmfValue {
  if (typeof old !== "string" && !Array.isArray(old) && !isMap(old)) {
    throw new FmfError(
      "merge",
      `cannot remove matches from ${
        typeName(old)
      }, only from text, lists and mappings`,
      { key },
    );
  }
  const patterns = textsOf(value, key).map((text) => patternOf(text, key));
  const matches = (text: string) =>
    patterns.some((pattern) =>
      inMerge(key, undefined, () => pattern.found(text))
    );
  if (typeof old === "string") return matches(old) ? "" : old;
  if (Array.isArray(old)) return old.filter((item) => !matches(textOf(item)));
  return new Map(Array.from(old).filter(([name]) => !matches(textOf(name))));
}

function textsOf(value: FmfValue, key: string): readonly string[] {
  const list = Array.isArray(value) ? value : [value];
  const bad = list.find((item) => typeof item !== "string");
  if (bad === undefined) return list as string[];
  throw new FmfError(
    "format",
    `must be text or a list of text, ${
      Array.isArray(value) ? "an item" : "it"
    } is ${typeName(bad)}`,
    { key },
  );
}

function patternOf(text: string, key: string): Pattern {
  return inMerge(key, text, () => compilePattern(text));
}

/** Runs something that may stumble over a pattern or template of a key. */
function inMerge<T>(
  key: string,
  text: string | undefined,
  action: () => T,
): T {
  try {
    return action();
  } catch (error) {
    const kind: FmfErrorKind = "merge";
    throw error instanceof FmfError
      ? error.at({ key, ...(text !== undefined && { text }) }, kind)
      : error;
  }
}
