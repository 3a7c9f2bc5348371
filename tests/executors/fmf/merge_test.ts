import { deepStrictEqual } from "node:assert/strict";
import fc from "fast-check";
import { thrown } from "../../_thrown.ts";
import { FmfError } from "../../../executors/fmf/metadata/errors.ts";
import { merge } from "../../../executors/fmf/metadata/merge.ts";
import {
  copy,
  type FmfKey,
  type FmfMap,
  type FmfValue,
  fromPlain,
  toPlain,
} from "../../../executors/fmf/metadata/value.ts";

const mapOf = (value: unknown) => fromPlain(value) as FmfMap;

function merged(old: unknown, source: unknown): unknown {
  const target = mapOf(old);
  merge(target, mapOf(source));
  return JSON.parse(JSON.stringify(toPlain(target)));
}

Deno.test("merge() names all keys on the way to what does not fit", () => {
  const error = thrown(
    () => merged({ env: { list: [1] } }, { "env+": { "list+": "x" } }),
    FmfError,
    "the old value is a list, the new one text",
  );
  deepStrictEqual(error.key, "env+.list+");
  deepStrictEqual(error.kind, "merge");
});

Deno.test("merge() refuses keys with no name or several operators", () => {
  for (
    const key of ["+", "-", "~", "+<", "-~", "a++", "a--", "a+-", "a~+<", "a+~"]
  ) {
    const error = thrown(
      () => merged({ a: [1] }, { [key]: [1] }),
      FmfError,
      "malformed merge suffix",
    );
    deepStrictEqual([error.kind, error.key], ["format", key]);
  }
});

Deno.test("merge() takes characters of operators elsewhere in a key as they are", () => {
  deepStrictEqual(
    merged({}, { "a<": 1, "+a": 2, "a-b": 3, "<": 4 }),
    { "a<": 1, "+a": 2, "a-b": 3, "<": 4 },
  );
});

Deno.test("merge() keeps integers exact", () => {
  const target: FmfMap = new Map([["n", Number.MAX_SAFE_INTEGER]]);
  merge(target, new Map([["n+", 10]]));
  deepStrictEqual(target.get("n"), 9007199254741001n);
  merge(target, new Map([["n-", 11]]));
  deepStrictEqual(target.get("n"), 9007199254740990);
});

Deno.test("merge() lets any character delimit a substitution", () => {
  deepStrictEqual(
    merged({ s: "a/b" }, { "s~": "😀/😀|😀" }),
    { s: "a|b" },
  );
});

Deno.test("merge() checks all substitutions before it applies one", () => {
  thrown(
    () => merged({ s: "ab" }, { "s~": ["/a/b/", "/b/c"] }),
    FmfError,
    '"/b/c" is no substitution',
  );
});

Deno.test("merge() takes names of object members as ordinary keys", () => {
  const odd: FmfMap = new Map([["__proto__", [1]]]);
  const source: [FmfKey, FmfValue][] = [["__proto__+", [2]], [
    "constructor",
    "x",
  ]];
  merge(odd, new Map(source));
  deepStrictEqual([...odd], [["__proto__", [1, 2]], ["constructor", "x"]]);
});

const scalar = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.integer(),
  fc.double(),
  fc.bigInt(),
  fc.string({ maxLength: 4 }),
);
const key = fc.tuple(
  fc.constantFrom("a", "b", "__proto__", "+", "when", "/x"),
  fc.constantFrom("", "+", "+<", "-", "~", "-~", "++", "-+"),
).map(([name, suffix]) => name + suffix);
const { value } = fc.letrec<{ value: FmfValue; map: FmfMap }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    scalar,
    fc.array(tie("value"), { maxLength: 3 }),
    tie("map"),
  ) as fc.Arbitrary<FmfValue>,
  map: fc.array(fc.tuple(key, tie("value")), { maxLength: 4 })
    .map((entries) => new Map(entries)),
}));
const anyMap = fc.array(fc.tuple(key, value), { maxLength: 5 })
  .map((entries): FmfMap => new Map(entries));

Deno.test("merge() changes nothing but its target, and fails with FmfError only", () => {
  fc.assert(
    fc.property(anyMap, anyMap, (old, source) => {
      const before = copy(old);
      const asked = copy(source);
      const target = new Map(old);
      try {
        merge(target, source);
      } catch (error) {
        if (!(error instanceof FmfError)) throw error;
        deepStrictEqual(typeof error.key, "string");
      }
      deepStrictEqual(old, before);
      deepStrictEqual(source, asked);
    }),
    { numRuns: 500 },
  );
});
