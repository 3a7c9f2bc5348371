import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import {
  copy,
  equal,
  Float,
  type FmfMap,
  type FmfValue,
  fromPlain,
  isMap,
  makeFloat,
  makeInteger,
  PlainDate,
  textOf,
  Timestamp,
  toPlain,
  typeName,
} from "../../../executors/fmf/metadata/value.ts";
import { parseYaml } from "../../../executors/fmf/metadata/yaml.ts";
import { thrown } from "../../_thrown.ts";

/** Any value that YAML can give, apart from dates. */
const values: fc.Arbitrary<FmfValue> =
  fc.letrec<{ value: FmfValue }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.constant(null),
      fc.boolean(),
      fc.maxSafeInteger(),
      fc.bigInt({ min: 2n ** 60n, max: 2n ** 70n }),
      fc.double({ noNaN: true }).map(makeFloat),
      fc.string({ unit: "grapheme" }),
      fc.array(tie("value"), { maxLength: 4 }),
      fc.array(fc.tuple(fc.string(), tie("value")), { maxLength: 4 })
        .map((entries) => new Map(entries)),
    ),
  })).value;

for (
  const [value, text] of [
    ["a b", "a b"],
    [true, "True"],
    [false, "False"],
    [null, "None"],
    [12, "12"],
    [12345678901234567890n, "12345678901234567890"],
    [1e21, "1000000000000000000000"],
    [0.5, "0.5"],
    [new Float(1), "1.0"],
    [new Float(-0), "-0.0"],
    [0.0001, "0.0001"],
    [0.00001, "1e-05"],
    [1.5e-7, "1.5e-07"],
    [new Float(1e15), "1000000000000000.0"],
    [new Float(1e16), "1e+16"],
    [new Float(1.5e22), "1.5e+22"],
    [123456.789, "123456.789"],
    [Infinity, "inf"],
    [-Infinity, "-inf"],
    [NaN, "nan"],
    [new PlainDate("2024-05-06"), "2024-05-06"],
    [new Timestamp("2024-05-06 07:08:09"), "2024-05-06 07:08:09"],
    [["a", 1, null, true], "['a', 1, None, True]"],
    [
      [["it's", 'say "hi"', `both ' and "`]],
      `[["it's", 'say "hi"', 'both \\' and "']]`,
    ],
    [["a\\b\n\t\r"], "['a\\\\b\\n\\t\\r']"],
    [new Map<string, FmfValue>([["k", "v"], ["n", 1]]), "{'k': 'v', 'n': 1}"],
    [[], "[]"],
    [[new Uint8Array([97, 0, 39])], "[b'a\\x00\\'']"],
  ] as [FmfValue, string][]
) {
  Deno.test(`textOf() gives ${text}`, () => strictEqual(textOf(value), text));
}

Deno.test("textOf() of a float reads back as the same number", () => {
  fc.assert(
    fc.property(
      fc.double({ noDefaultInfinity: true, noNaN: true }),
      (number) => {
        ok(Object.is(Number(textOf(makeFloat(number))), number));
      },
    ),
  );
});

Deno.test("Float computes like a number and shows its point", () => {
  const value = new Float(2);
  strictEqual(+value + 1, 3);
  strictEqual(`${value}`, "2.0");
  strictEqual(JSON.stringify({ value }), '{"value":2}');
});

Deno.test("dates show in ISO form in JSON", () => {
  strictEqual(
    JSON.stringify([
      new PlainDate("2024-05-06"),
      new Timestamp("2024-05-06 07:08:09.500000+02:00"),
    ]),
    '["2024-05-06","2024-05-06T07:08:09.500000+02:00"]',
  );
});

Deno.test("makeInteger() and makeFloat() keep exactness and type", () => {
  strictEqual(makeInteger(2n ** 53n - 1n), 9007199254740991);
  strictEqual(makeInteger(2n ** 53n), 2n ** 53n);
  ok(makeFloat(2) instanceof Float);
  strictEqual(makeFloat(2.5), 2.5);
});

Deno.test("equal() compares by value: 1 is 1.0, but neither true nor '1'", () => {
  ok(equal(1, new Float(1)));
  ok(equal(2n ** 60n, new Float(2 ** 60)));
  ok(equal(new Float(0.5 + 0.5), 1));
  ok(!equal(1, true));
  ok(!equal(1, "1"));
  ok(!equal(0, false));
  ok(!equal(null, false));
  ok(!equal([], new Map()));
  ok(equal(new PlainDate("2024-05-06"), new PlainDate("2024-05-06")));
  ok(!equal(new PlainDate("2024-05-06"), "2024-05-06"));
  ok(equal(new Uint8Array([1]), new Uint8Array([1])));
  ok(!equal(new Uint8Array([1]), new Uint8Array([2])));
});

Deno.test("equal() does not look at the order of mappings, but of lists", () => {
  const value = (text: string) => parseYaml(text);
  ok(
    equal(
      value("{a: 1, b: [1, {c: 2, d: 3}]}"),
      value("{b: [1.0, {d: 3, c: 2}], a: 1}"),
    ),
  );
  ok(!equal(value("[1, 2]"), value("[2, 1]")));
  ok(!equal(value("{a: 1}"), value("{a: 1, b: 2}")));
  ok(!equal(value("{a: null}"), value("{b: null}")));
  ok(equal(value("{1.0: a, 2024-05-06: b}"), value("{2024-05-06: b, 1: a}")));
});

Deno.test("copy() gives something equal in which nothing is shared", () => {
  const shared = (a: FmfValue, b: FmfValue): boolean => {
    if (typeof a !== "object" || a === null || a instanceof Float) return false;
    if (a === b) return true;
    if (Array.isArray(a)) {
      return a.some((item, i) => shared(item, (b as FmfValue[])[i]));
    }
    return isMap(a) &&
      Array.from(a).some(([key, item]) =>
        shared(item, (b as FmfMap).get(key)!)
      );
  };
  fc.assert(fc.property(values, (value) => {
    const other = copy(value);
    ok(equal(value, other));
    deepStrictEqual(other, value);
    ok(!shared(value, other));
  }));
});

Deno.test("toPlain() gives objects without prototype, whatever the keys", () => {
  const value = parseYaml(
    "{__proto__: {constructor: 1}, toString: [{then: 2}]}",
  );
  const plain = toPlain(value) as Record<string, unknown>;
  strictEqual(Object.getPrototypeOf(plain), null);
  deepStrictEqual(Object.keys(plain), ["__proto__", "toString"]);
  strictEqual(
    JSON.stringify(plain),
    '{"__proto__":{"constructor":1},"toString":[{"then":2}]}',
  );
});

Deno.test("toPlain() keeps a mapping with a key that is not text", () => {
  const plain = toPlain(parseYaml("m: {1: {a: b}, x: 2}")) as {
    m: Map<unknown, unknown>;
  };
  ok(plain.m instanceof Map);
  strictEqual((plain.m.get(1) as { a: string }).a, "b");
});

Deno.test("toPlain() takes what is in mappings with such keys once, not twice for each mapping around it", () => {
  const entries = (inner: FmfValue): [string | number, FmfValue][] => [
    ["inner", inner],
    [1, "x"],
  ];
  let value: FmfValue = "innermost";
  for (let depth = 0; depth < 100; depth++) value = new Map(entries(value));
  let plain = toPlain(value);
  while (plain instanceof Map) plain = plain.get("inner");
  strictEqual(plain, "innermost");
});

Deno.test("toPlain() and fromPlain() undo each other", () => {
  fc.assert(fc.property(values, (value) => {
    ok(equal(fromPlain(toPlain(value)), value));
  }));
});

Deno.test("fromPlain() takes what scripts write, and refuses what is no data", () => {
  const value = fromPlain({
    a: [1, undefined, new Float(2)],
    m: new Map([[1, "x"]]),
  });
  strictEqual(textOf(value), "{'a': [1, None, 2.0], 'm': {1: 'x'}}");
  thrown(
    () => fromPlain({ a: () => 1 }),
    TypeError,
    "Cannot make metadata of a function",
  );
  thrown(() => fromPlain(Symbol("x")), TypeError, "symbol");
});

Deno.test("typeName() tells types apart in words", () => {
  deepStrictEqual(
    [undefined, null, "", true, 1, 2n, 0.5, new Float(1), [], new Map()]
      .map(typeName),
    [
      "nothing",
      "null",
      "text",
      "a boolean",
      "an integer",
      "an integer",
      "a float",
      "a float",
      "a list",
      "a mapping",
    ],
  );
  strictEqual(typeName(new PlainDate("2024-05-06")), "a date");
  strictEqual(typeName(new Timestamp("2024-05-06 07:08:09")), "a timestamp");
  strictEqual(typeName(new Uint8Array()), "binary data");
});
