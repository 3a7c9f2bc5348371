/**
 * The values of the fmf cases: plain JSON, with tagged objects where JSON is too poor.
 */
import {
  Float,
  type FmfValue,
  isMap,
  PlainDate,
  Timestamp,
} from "../../executors/fmf/metadata/value.ts";

/** Integers up to here are written plainly. */
const MAX_PLAIN = 2n ** 53n;

/** A value as the cases write it. Mappings become objects without prototype. */
export function tagged(value: unknown): unknown {
  if (value instanceof Float) return { $float: value.toString() };
  if (value instanceof PlainDate) return { $date: value.toJSON() };
  if (value instanceof Timestamp) return { $datetime: value.toJSON() };
  if (value instanceof Uint8Array) return { $bytes: value.toBase64() };
  if (typeof value === "bigint") {
    const isPlain = value >= -MAX_PLAIN && value <= MAX_PLAIN;
    return isPlain ? Number(value) : { $int: String(value) };
  }
  if (typeof value === "number" && !Number.isFinite(value)) {
    return {
      $float: Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf",
    };
  }
  if (Array.isArray(value)) return value.map(tagged);
  if (isMap(value as FmfValue)) {
    const entries = [...value as Map<unknown, unknown>];
    return entries.every(([key]) => typeof key === "string")
      ? record(entries.map(([key, item]) => [key as string, tagged(item)]))
      : { $map: entries.map(([key, item]) => [tagged(key), tagged(item)]) };
  }
  return typeof value === "object" && value !== null
    ? record(Object.entries(value).map(([key, item]) => [key, tagged(item)]))
    : value;
}

function record(entries: [string, unknown][]): Record<string, unknown> {
  const result = Object.create(null);
  for (const [key, value] of entries) result[key] = value;
  return result;
}

/**
 * Whether two JSON values are the same; mappings without order, lists with order. A
 * timestamp may have a zone, or be of UTC and have none.
 */
export function same(a: unknown, b: unknown): boolean {
  if (Object.is(a, b) || a === b) return true;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length &&
      a.every((item, index) => same(item, b[index]));
  }
  if (
    typeof a !== "object" || typeof b !== "object" || a === null ||
    b === null || Array.isArray(b)
  ) return false;
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  return keys.every((key) => {
    if (!Object.hasOwn(b, key)) return false;
    const [x, y] = [a, b].map((map) => (map as Record<string, unknown>)[key]);
    if (key === "$datetime" && keys.length === 1) return inUtc(x) === inUtc(y);
    if (key !== "$map" || keys.length > 1) return same(x, y);
    const [pairs, others] = [x, y] as unknown[][];
    return pairs.length === others.length &&
      pairs.every((pair) => others.some((other) => same(pair, other)));
  });
}

function inUtc(timestamp: unknown): string {
  const text = String(timestamp).replace(" ", "T");
  const hasZone = /(?:Z|[+-]\d\d:\d\d)$/.test(text);
  // down to milliseconds: what is finer is the same in all zones
  const time = new Date(hasZone ? text : `${text}Z`);
  const finer = /\.\d{3}(\d*)/.exec(text)?.[1] ?? "";
  return Number.isNaN(time.getTime()) ? text : time.toISOString() + finer;
}
