/** What the operators of conditions mean: Python's meaning, without surprises. */
import {
  compareText,
  equal,
  type Float,
  type FmfKey,
  type FmfMap,
  type FmfValue,
  isMap,
  isNumeric,
  PlainDate,
  typeName,
} from "./value.ts";

/** An operator cannot be applied to its operands. */
export class OperandError extends Error {}

/** A mapping does not have a key that is asked for: the condition does not hold. */
export class MissingKey extends Error {}

/** A comparison of two values. */
export type Comparison = (a: FmfValue, b: FmfValue) => boolean;

/** The comparisons, by what they are written as. */
export const COMPARISONS: Readonly<Record<string, Comparison>> = {
  "==": same,
  "!=": (a, b) => !same(a, b),
  "<": (a, b) => order(a, b) < 0,
  "<=": (a, b) => order(a, b) <= 0,
  ">": (a, b) => order(a, b) > 0,
  ">=": (a, b) => order(a, b) >= 0,
  "in": isIn,
  "not in": (a, b) => !isIn(a, b),
};

/** An item of a list or mapping, or a character of a text. */
export function itemOf(container: FmfValue, key: FmfValue): FmfValue {
  if (isMap(container)) {
    const found = lookUp(container, key);
    if (found === undefined) throw new MissingKey();
    return found;
  }
  const isText = typeof container === "string";
  if (!isText && !Array.isArray(container)) {
    throw new OperandError(`${typeName(container)} has no items`);
  }
  const index = numberOf(key);
  if (typeof index !== "number" || !Number.isInteger(index)) {
    throw new OperandError(
      `an item of ${typeName(container)} has a number, not ${typeName(key)}`,
    );
  }
  const items: readonly FmfValue[] = isText ? [...container] : container;
  const item = items.at(index);
  if (item === undefined) {
    throw new OperandError(`${typeName(container)} has no item ${index}`);
  }
  return item;
}

/** Booleans are 0 and 1, as everywhere in Python. */
function numberOf(value: FmfValue): number | bigint | Float | undefined {
  if (typeof value === "boolean") return Number(value);
  return isNumeric(value) ? value : undefined;
}

function same(a: FmfValue, b: FmfValue): boolean {
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, i) => same(item, b[i]));
  }
  if (isMap(a) && isMap(b)) {
    return a.size === b.size && Array.from(a).every(([key, item]) => {
      const other = lookUp(b, key);
      return other !== undefined && same(item, other);
    });
  }
  return equal(numberOf(a) ?? a, numberOf(b) ?? b);
}

/** Negative, zero or positive; NaN if neither is less, which makes all comparisons false. */
function order(a: FmfValue, b: FmfValue): number {
  const [x, y] = [numberOf(a), numberOf(b)];
  if (x !== undefined && y !== undefined) {
    // `valueOf`: a bigint and a number compare by value.
    const [left, right] = [x.valueOf(), y.valueOf()];
    return left < right ? -1 : left > right ? 1 : left == right ? 0 : NaN;
  }
  if (typeof a === "string" && typeof b === "string") return compareText(a, b);
  if (a instanceof PlainDate && b instanceof PlainDate) {
    return compareText(a.text, b.text);
  }
  if (Array.isArray(a) && Array.isArray(b)) {
    const at = a.findIndex((item, i) => i >= b.length || !same(item, b[i]));
    if (at === -1) return a.length - b.length;
    return at >= b.length ? 1 : order(a[at], b[at]);
  }
  throw new OperandError(
    `${typeName(a)} is neither less nor greater than ${typeName(b)}`,
  );
}

function isIn(item: FmfValue, container: FmfValue): boolean {
  if (Array.isArray(container)) {
    return container.some((other) => same(item, other));
  }
  if (isMap(container)) return lookUp(container, item) !== undefined;
  if (typeof container === "string" && typeof item === "string") {
    return container.includes(item);
  }
  throw new OperandError(
    typeof container === "string"
      ? `text is in text, ${typeName(item)} is not`
      : `nothing is in ${typeName(container)}`,
  );
}

function lookUp(map: FmfMap, key: FmfValue): FmfValue | undefined {
  if (typeof key === "string") return map.get(key);
  if (Array.isArray(key) || isMap(key)) {
    throw new OperandError(`${typeName(key)} cannot be a key`);
  }
  const found = map.get(key as FmfKey);
  if (found !== undefined) return found;
  for (const [other, value] of map) if (same(other, key)) return value;
}
