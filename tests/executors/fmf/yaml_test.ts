import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { FmfError } from "../../../executors/fmf/metadata/errors.ts";
import {
  Float,
  type FmfMap,
  type FmfValue,
  isMap,
  PlainDate,
  textOf,
  Timestamp,
  toPlain,
} from "../../../executors/fmf/metadata/value.ts";
import { decodeFile, parseYaml } from "../../../executors/fmf/metadata/yaml.ts";
import { thrown } from "../../_thrown.ts";
import { same, tagged } from "../../conformance/_values.ts";

/** The value of `v` in a document. */
const scalar = (text: string) => (parseYaml(`v: ${text}\n`) as FmfMap).get("v");

/** A document as plain JSON. */
const json = (text: string) => JSON.stringify(toPlain(parseYaml(text)));

/** Where and why a document is refused. */
function refusal(text: string, reason: string): string {
  const error = thrown(
    () => parseYaml(text, { file: "f.fmf" }),
    FmfError,
    reason,
  );
  strictEqual(error.kind, "file");
  strictEqual(error.file, "f.fmf");
  return `${error.line}:${error.column}`;
}

Deno.test("parseYaml() keeps integers exact at any size and in any base", () => {
  strictEqual(scalar("9007199254740991"), 9007199254740991);
  strictEqual(scalar("9007199254740993"), 9007199254740993n);
  strictEqual(scalar("-0xFFFFFFFFFFFFFFFFFF"), -(2n ** 72n - 1n));
  strictEqual(scalar("0b1_0"), 2);
  strictEqual(scalar("-_5"), -5);
  ok(Object.is(scalar("-0"), 0));
});

Deno.test("parseYaml() keeps floats apart from integers", () => {
  ok(scalar("1.") instanceof Float);
  strictEqual(textOf(scalar("1e3")!), "1000.0");
  strictEqual(textOf(scalar("-0.0")!), "-0.0");
  strictEqual(scalar("1.10"), 1.1);
  strictEqual(scalar("1e400"), Infinity);
  strictEqual(scalar(".5e3"), ".5e3");
  strictEqual(textOf(scalar(".5e+3")!), "500.0");
});

Deno.test("parseYaml() keeps dates and timestamps as they are written", () => {
  deepStrictEqual(scalar("2024-02-29"), new PlainDate("2024-02-29"));
  deepStrictEqual(
    scalar("2024-5-6  7:08:09.1234567 -3"),
    new Timestamp("2024-05-06 07:08:09.123457-03:00"),
  );
  deepStrictEqual(
    scalar("2024-12-31 23:59:59.9999995 -0"),
    new Timestamp("2025-01-01 00:00:00+00:00"),
  );
  deepStrictEqual(
    scalar("2024-05-06T07:08:09."),
    new Timestamp("2024-05-06 07:08:09"),
  );
  strictEqual(scalar("2024-05-06T07:08"), "2024-05-06T07:08");
  strictEqual(scalar("0001-01-01")?.toString(), "0001-01-01");
});

for (
  const [text, reason] of [
    ["2023-02-29", "no valid date"],
    ["0000-01-01", "no valid date"],
    ["9999-12-31 23:59:59.9999999", "no valid time"],
    ["2024-05-06 24:00:00", "no valid time"],
    ["2024-05-06 07:60:00", "no valid time"],
    ["2024-05-06 07:08:09 +99:00", "no valid time"],
    ["0x_", "no valid integer"],
    ["+_", "no valid integer"],
    ["._", "no valid float"],
  ]
) {
  Deno.test(`parseYaml() refuses ${text} and says where`, () => {
    strictEqual(refusal(`# ${text}\na: [x,\n  ${text}]\n`, reason), "3:3");
  });
}

Deno.test("parseYaml() types what follows a tag", () => {
  deepStrictEqual(scalar("!!binary aGk="), new Uint8Array([104, 105]));
  strictEqual(scalar("!!bool 'Off'"), false);
  strictEqual(scalar("!!bool y"), true);
  strictEqual(scalar("!!null x"), null);
  strictEqual(scalar("!!int ' 12'"), 12);
  strictEqual(scalar("!!float -inf"), -Infinity);
  deepStrictEqual(scalar("!!timestamp 2024-5-6"), new PlainDate("2024-05-06"));
  strictEqual(scalar("!!str 5"), "5");
  strictEqual(scalar("!!str\n  5"), "5");
  strictEqual(scalar("!!int\n  '7'"), 7);
  strictEqual(textOf(scalar("!!float 7")!), "7.0");
  strictEqual(scalar("! 5"), 5);
  strictEqual(scalar("! '5'"), "5");
  strictEqual(json("a: ! [1]\nb: ! {c: 2}\n"), '{"a":[1],"b":{"c":2}}');
  for (
    const bad of [
      "!!int x",
      "!!float x",
      "!!bool 1",
      "!!binary '?'",
      "!!binary aGk",
      "!!seq",
      "!!map",
      "!!seq {}",
      "!!map x",
      "!!timestamp x",
      "!!str [a]",
    ]
  ) {
    ok(refusal(`v: ${bad}\n`, "").startsWith("1:"));
  }
});

Deno.test("parseYaml() keeps the order of all keys, and whether they are text", () => {
  const map = parseYaml(
    "b: 1\n'2': 2\n10: 3\n'1': 4\na: 5\n1: 6\n'null': 7\n~: 8\n1.5: 9\ntrue: 10\n2024-05-06: 11\n",
  ) as FmfMap;
  deepStrictEqual([...map.keys()], [
    "b",
    "2",
    10,
    "1",
    "a",
    1,
    "null",
    null,
    1.5,
    true,
    new PlainDate("2024-05-06"),
  ]);
  deepStrictEqual([...map.values()], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
});

Deno.test("parseYaml() keeps the order of any text keys", () => {
  const keys = fc.uniqueArray(
    fc.oneof(
      fc.nat(30).map(String),
      fc.constantFrom(
        "null",
        "true",
        "__proto__",
        "constructor",
        "<<",
        "~",
        "",
        "a",
      ),
      fc.string({ unit: "grapheme-ascii" }),
    ),
    { minLength: 1 },
  );
  fc.assert(fc.property(keys, (keys) => {
    const block = keys.map((key) => `${JSON.stringify(key)}: x\n`).join("");
    deepStrictEqual([...(parseYaml(block) as FmfMap).keys()], keys);
    const single = keys.map((key) => `'${key.replaceAll("'", "''")}': x`);
    deepStrictEqual([
      ...(parseYaml(`- {${single.join(", ")}}`) as FmfMap[])[0].keys(),
    ], keys);
  }));
});

Deno.test("parseYaml() reads JSON as what it is", () => {
  // JSON leaves them as they are, YAML has no room for them
  const unprintable = /[\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]/g;
  const back = (value: FmfValue): unknown =>
    isMap(value)
      ? Object.fromEntries(
        Array.from(value, ([key, item]) => [key, back(item)]),
      )
      : Array.isArray(value)
      ? value.map(back)
      : value instanceof Float || typeof value === "bigint"
      ? Number(value)
      : value;
  fc.assert(fc.property(fc.jsonValue(), (value) => {
    const text = JSON.stringify(value)
      .replace(
        unprintable,
        (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
      );
    deepStrictEqual(
      JSON.stringify(back(parseYaml(text))),
      JSON.stringify(value),
    );
  }));
});

Deno.test("parseYaml() has nothing special about names of JavaScript", () => {
  strictEqual(
    json("__proto__: {toString: 1}\nconstructor: 2\nx: {<<: {__proto__: 3}}\n"),
    '{"__proto__":{"toString":1},"constructor":2,"x":{"__proto__":3}}',
  );
});

for (
  const [name, text, key, place] of [
    ["in a block", "a: 1\nb:\n  c: 1\n  c: |\n    x\n    y\n", "c", "4:3"],
    ["in another spelling", "a: 1\n'a': 2\n", "a", "2:1"],
    ["of numbers", "x: {}\n10: 1\n010: 2\n", "010", "3:1"],
    ["of equal numbers of different types", "1: 1\n1.0: 2\n", "1.0", "2:1"],
    ["in a flow", "x: {a: 1, b: 2, a: 3}\n", "a", "1:17"],
    ["of merge keys", "<<: {a: 1}\n<<: {b: 2}\n", "<<", "2:1"],
  ]
) {
  Deno.test(`parseYaml() refuses a duplicate key ${name} and names it`, () => {
    strictEqual(refusal(text, "duplicate key"), place);
    strictEqual(thrown(() => parseYaml(text), FmfError).key, key);
  });
}

Deno.test("parseYaml() finds the duplicate of a key that is written by an alias", () => {
  strictEqual(json("x: &a k\n*a : 1\nl: 2\n"), '{"x":"k","k":1,"l":2}');
  thrown(() => parseYaml("x: &a k\n*a : 1\nk: 2\n"), FmfError, "duplicate key");
  refusal("x: &a [k]\n*a : 1\n", "may not be a key");
});

Deno.test("parseYaml() puts merged keys first; own ones override them, earlier mappings win", () => {
  strictEqual(
    json(
      "a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc:\n  own: 5\n  y: 6\n  <<: [*a, *b]\n",
    ),
    '{"a":{"x":1,"y":2},"b":{"y":3,"z":4},"c":{"y":6,"z":4,"x":1,"own":5}}',
  );
  strictEqual(json("<<: []\na: 1\n"), '{"a":1}');
  strictEqual(
    json("&m <<: {a: 1}\n!!str <<: *m\n"),
    '{"a":1,"<<":"<<"}',
  );
  strictEqual(
    json("a: <<\nb: {'<<': {c: 1}}\n"),
    '{"a":"<<","b":{"<<":{"c":1}}}',
  );
  strictEqual(json("- {<<: {1: a}, b: c}\n").includes("{}"), true);
});

for (const bad of ["5", "text", "~", "", "[[]]", "[{}, 1]", "*a"]) {
  Deno.test(`parseYaml() refuses to merge ${JSON.stringify(bad)}`, () => {
    const text = `a: &a [1]\nd:\n  <<: ${bad}\n`;
    strictEqual(refusal(text, "wants a mapping or a list of mappings"), "3:3");
    strictEqual(thrown(() => parseYaml(text), FmfError).key, "<<");
  });
}

Deno.test("parseYaml() gives each alias a copy of its own", () => {
  const map = parseYaml(
    "a: &a {l: [1]}\nb: *a\nc: [*a, *a]\nd:\n  <<: *a\n",
  ) as FmfMap;
  const [a, b, d] = ["a", "b", "d"].map((key) => map.get(key) as FmfMap);
  const [c1, c2] = map.get("c") as FmfMap[];
  const lists = [a, b, c1, c2, d].map((map) => map.get("l") as number[]);
  lists[0].push(2);
  deepStrictEqual(lists, [[1, 2], [1], [1], [1], [1]]);
});

Deno.test("parseYaml() gives aliases what their anchors stand for, however these are written", () => {
  for (
    const [anchored, value] of [
      ["&x 5", 5],
      ["&x '5'", "5"],
      ["&x ''", ""],
      ['&x ""', ""],
      ["&x", null],
      ["&x # comment", null],
      ["&x\n  5", 5],
      ["&x\n  '5'", "5"],
      ["&x\n  [1]", [1]],
      ["&x\n  - 1", [1]],
      ["&x\n  k: v", { k: "v" }],
      ["&x [1]", [1]],
      ["&x |\n  text", "text\n"],
      ["&x |", ""],
      ["&x ~", null],
      ["&x false", false],
      ["&x 0", 0],
      ["&x 2\nz: &x 3", 3],
      ["&x {i: &x 4}", 4],
    ] as const
  ) {
    const { b, c } = JSON.parse(
      json(`a: ${anchored}\nb: *x\nc: [*x, y, *x]\n`),
    );
    deepStrictEqual([b, c], [value, [value, "y", value]], anchored);
  }
});

Deno.test("parseYaml() takes stars and ampersands in text for text", () => {
  const text =
    "a: &x 1\nb: *x\nc: |\n  cp *.c &x *x! ! y\n  a && *x\nd: 'it''s *x &y'\ne: \"*x\" # *x\nf: g *x &h\ni: >\n  &x\n  *x\n";
  deepStrictEqual(JSON.parse(json(text)), {
    a: 1,
    b: 1,
    c: "cp *.c &x *x! ! y\na && *x\n",
    d: "it's *x &y",
    e: "*x",
    f: "g *x &h",
    i: "&x *x\n",
  });
});

for (
  const [text, reason, place] of [
    ["a: &x 1\nb: [*y]\n", 'no anchor "y" before it', "2:5"],
    ["b: *x\na: &x 1\n", 'no anchor "x" before it', "1:4"],
    ["a: &x {b: [*x]}\n", "inside what it means", "1:12"],
    ["a: &x [*y]\nb: &y [*x]\n", 'no anchor "y"', "1:8"],
    ["a: &x 1\nb: *x 2\n", "text may not follow on the same line", "2:7"],
  ]
) {
  Deno.test(`parseYaml() refuses ${JSON.stringify(text)}`, () => {
    strictEqual(refusal(text, reason), place);
  });
}

Deno.test("parseYaml() does not let aliases multiply without end", () => {
  const lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"];
  for (let i = 1; i < 12; i++) {
    lines.push(`a${i}: &a${i} [${`*a${i - 1}, `.repeat(10)}]`);
  }
  thrown(
    () => parseYaml(lines.join("\n") + "\n"),
    FmfError,
    "aliases multiply it",
  );
});

Deno.test("parseYaml() refuses what is nested too deeply, at any depth", () => {
  for (const depth of [201, 5000, 200_000]) {
    thrown(
      () => parseYaml("[".repeat(depth) + "]".repeat(depth)),
      FmfError,
      "nested",
    );
    thrown(
      () => parseYaml("a: " + "{a: ".repeat(depth) + "}".repeat(depth)),
      FmfError,
      "nested",
    );
  }
  ok(parseYaml("[".repeat(150) + "]".repeat(150)));
});

for (
  const [text, reason, place] of [
    ["a:\n\tb: 1\n", "a tab may not indent", "2:1"],
    ["a:\n  - b\n  \t- c\n", "a tab may not indent", "3:3"],
    ["a: b\n\tc\n", "a tab may not indent", "2:1"],
    ["a: [x,\n  , y]\n", "an item is missing before ,", "2:3"],
    ["a: [, x]\n", "an item is missing before ,", "1:5"],
    ["a: [x, # c\n , y]\n", "an item is missing before ,", "2:2"],
    ["a: 1\n[b]: 2\n", "a list or mapping may not be a key", "2:1"],
    ["a: {[b]: 2}\n", "a list or mapping may not be a key", "1:5"],
    ["a: {b, [c]}\n", "a list or mapping may not be a key", "1:8"],
    ["a: {[]}\n", "a list or mapping may not be a key", "1:5"],
    ["a: {&x [b] : c}\n", "a list or mapping may not be a key", "1:5"],
    ["a: {b: {c: 1}: 2}\n", "", "1:14"],
    ["a:\n  ? [b]\n  : 1\n", "a list or mapping may not be a key", "2:5"],
    ["a:\n  ? - b\n  : 1\n", "a list or mapping may not be a key", "2:5"],
    ["? {a: b}\n: 1\n", "a list or mapping may not be a key", "1:3"],
    ["? a: b\n: 1\n", "a list or mapping may not be a key", "1:3"],
    ["a: 1\nb: ? c\n", "a key may not begin here", "2:4"],
    [
      'a: 1\nb: "x" c: 2\n',
      "text may not follow on the same line",
      "2:8",
    ],
    ["a: {} b: 1\n", "text may not follow on the same line", "1:7"],
    ["a: 1\nb: \u0007\n", "U+0007 is not allowed", "2:4"],
    ["a: \u{fffe}\n", "U+FFFE is not allowed", "1:4"],
    ["a: \ud800\n", "U+D800 is not allowed", "1:4"],
    ["# \u007f\n", "U+007F is not allowed", "1:3"],
    ["--- a: 1\n", "no value may begin here", "1:6"],
    ["a: 1\n---\nb: 2\n", "1 document", "2:1"],
    ["a: 'x\n", "the quoted text has no end", "1:4"],
    ["a: b: c\n", "a text that holds : and a blank must be quoted", "1:5"],
    ["a: 1\nb\nc: 2\n", "a key is expected, not text", "2:1"],
    [
      "a: [x y: z\n",
      ", or ] for the [ in line 1 is expected, not the end of the file",
      "2:1",
    ],
    ["a: |x\n  y\n", "behind | may stand + or -", "1:4"],
    ['a: "\\U00110000"\n', "there is no such character", "1:5"],
    ['"\\UFFFFFFFF": b\n', "there is no such character", "1:2"],
  ]
) {
  Deno.test(`parseYaml() refuses ${JSON.stringify(text)}`, () => {
    strictEqual(refusal(text, reason), place);
  });
}

Deno.test("parseYaml() refuses tags that it does not know", () => {
  ok(refusal("- 1\n- !x y\n", "unknown tag !<!x>").startsWith("2:"));
  ok(refusal("- 1\n- !!set {x}\n", "unknown tag").startsWith("2:"));
});

Deno.test("parseYaml() reads in text what it refuses elsewhere", () => {
  const script = "make:\n\t[a]: b, , c\n? [x]\n- -\n  ---x ? y: z\n";
  const text = `a: |\n${
    script.replace(/^/gm, "  ")
  }\nb: "x: [a]: b ? c"\nc: 'tab\there'\nd: x, , y\n`;
  deepStrictEqual(JSON.parse(json(text)), {
    a: script,
    b: "x: [a]: b ? c",
    c: "tab\there",
    d: "x, , y",
  });
});

Deno.test("parseYaml() ends a last block of text where the file ends", () => {
  strictEqual(json("a: |\n  x"), '{"a":"x"}');
  strictEqual(json("a: |+\n  x"), '{"a":"x"}');
  strictEqual(json("a: |\n  x\n"), '{"a":"x\\n"}');
  strictEqual(json("a: |\n  x\nb: y"), '{"a":"x\\n","b":"y"}');
  strictEqual(json("a: |\n  x\nb: [1]"), '{"a":"x\\n","b":[1]}');
  strictEqual(json("a: |\n  x\nb:\n- -"), '{"a":"x\\n","b":[[null]]}');
});

Deno.test("parseYaml() drops white space at line ends in quoted texts, and keeps it in blocks", () => {
  const text = `a: "x  \n\t y \n\n z"
b: |
  t  
  'q  
  r
c: >
  u  
  v
d: [ 'a 
 b', c  ]  
e: 'it''s 
 ok'  # c  
f: plain  
  more  
g: "x\\ 
 y"
`;
  deepStrictEqual(JSON.parse(json(text)), {
    a: "x y\nz",
    b: "t  \n'q  \nr\n",
    c: "u   v\n",
    d: ["a b", "c"],
    e: "it's ok",
    f: "plain more",
    g: "x  y",
  });
});

Deno.test("parseYaml() drops a byte order mark and takes all line ends", () => {
  strictEqual(
    json("\ufeffa: 1\r\nb: |\r\n  x\ry: 2"),
    '{"a":1,"b":"x\\n","y":2}',
  );
  strictEqual(refusal("a: 1\r\nb: 2\ra: 3\r\n", "duplicate key"), "3:1");
});

Deno.test("parseYaml() reads what the original's parser reads, and refuses what that refuses", async () => {
  // recorded with ruamel.yaml 0.19, YAML(typ="safe", pure=True)
  const cases: [text: string, expected: { value?: unknown; error?: true }][] =
    JSON.parse(
      await Deno.readTextFile(new URL("yaml_recorded.json", import.meta.url)),
    );
  ok(cases.length > 400);
  for (const [text, expected] of cases) {
    let outcome;
    try {
      outcome = { value: tagged(parseYaml(text)) };
    } catch (error) {
      if (!(error instanceof FmfError)) throw error;
      outcome = { error: true };
    }
    ok(
      same(outcome, expected),
      `${JSON.stringify(text)} gives ${JSON.stringify(outcome)}`,
    );
  }
});

Deno.test("parseYaml() gives a value or an FmfError, whatever the text", () => {
  const piece = fc.oneof(
    fc.constantFrom(
      "a",
      "b: ",
      "- ",
      "\n",
      "\n  ",
      "\n    ",
      " ",
      "\t",
      "&x ",
      "*x",
      "<<: ",
      "!!str ",
      "! ",
      "? ",
      ": ",
      "[",
      "]",
      "{",
      "}",
      ",",
      "'",
      '"',
      "|\n",
      ">-\n",
      "# c",
      "---\n",
      "...\n",
      "%YAML 1.2\n",
      "5",
      "'1'",
      "null",
      "~",
      "2024-13-01",
      "\r",
      "\ufeff",
      "\u{1f600}",
      "\ue000",
      "\\ue000",
    ),
    fc.string({ unit: "binary", maxLength: 3 }),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 25 }), (pieces) => {
      try {
        parseYaml(pieces.join(""), { file: "f" });
      } catch (error) {
        if (!(error instanceof FmfError)) throw error;
        strictEqual(error.kind, "file");
        strictEqual(error.file, "f");
      }
    }),
    { numRuns: 2000 },
  );
});

Deno.test("parseYaml() takes time in proportion to hostile texts", () => {
  for (
    const text of [
      "a: [" + ",".repeat(20_000) + "]\n",
      "? ".repeat(20_000) + "\n",
      "a: " + "'1' ".repeat(20_000) + "\n",
      "a: &x 1\nb: [" + "*x,".repeat(20_000) + "]\n",
      ("# " + "# ".repeat(100) + "\n").repeat(300) + "? x\n",
      "a: |\n" + "\t\n".repeat(20_000),
      '"'.repeat(20_001),
      " ".repeat(100_000) + "x",
      `a: "x\n  ${" ".repeat(200_000)}y"\n`,
      `a: x${" ".repeat(200_000)}y\n`,
      "b:\n" + "- &x1 1\n- *x1\n".repeat(20_000),
      "a: &x 1\nb: *x\ntest: |\n" + "  foo *x && bar &y\n".repeat(20_000),
      "\n".repeat(100_000),
    ]
  ) {
    const start = performance.now();
    try {
      parseYaml(text);
    } catch (error) {
      ok(error instanceof FmfError);
    }
    ok(performance.now() - start < 20_000);
  }
});

Deno.test("decodeFile() takes UTF-8 only and says where it is none", () => {
  strictEqual(decodeFile(new TextEncoder().encode("\ufeffé: 1\n")), "é: 1\n");
  const bytes = new Uint8Array([
    ...new TextEncoder().encode("a: 1\nb: é"),
    0xe9,
    0x0a,
  ]);
  const error = thrown(
    () => decodeFile(bytes, { file: "f.fmf" }),
    FmfError,
    "not UTF-8",
  );
  deepStrictEqual([error.kind, error.file, error.line, error.column], [
    "file",
    "f.fmf",
    2,
    5,
  ]);
});
