import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { FmfError } from "../../../executors/fmf/metadata/errors.ts";
import {
  compileFilter,
  matchFilter,
} from "../../../executors/fmf/metadata/filter.ts";
import type { FmfMap } from "../../../executors/fmf/metadata/value.ts";
import { parseYaml } from "../../../executors/fmf/metadata/yaml.ts";
import { thrown } from "../../_thrown.ts";

const data = parseYaml(
  "{tag: [fast, Net1], area: net, note: 'a|b & c', 1: x, empty: [], level: 1.0, nothing: ~, __proto__: y}",
) as FmfMap;

const matches = (expression: string, options = {}) =>
  matchFilter(expression, data, { name: "/suite/Net", ...options });

for (
  const [expression, outcome] of [
    ["", true],
    [" ", true],
    ["tag: fast", true],
    [" tag : fast ", true],
    ["tag: fas", false],
    ["tag: f.*t|x", true],
    ["tag: slow, fast", true],
    ["tag: -slow", true],
    ["tag: -fast", false],
    ["tag: -fast, -slow", true],
    ["tag: fast & area: net", true],
    ["tag: slow | area: net", true],
    ["tag: fast &", true],
    ["/suite & tag: fast", true],
    ["/other & nope: x", false],
    ["nope: x & /other", false],
    ["/other & tag: [", false],
    ["tag: [ & /other & (", false],
    ["tag: fast, [", true],
    ["empty: [", false],
    ["empty: -[", true],
    ["^/Net | tag: slow", false],
    ["tag: fast | nope: x", true],
    ["nope: x | tag: fast", true],
    ["empty: -x", true],
    ["empty:", false],
    ["level: 1.0", true],
    ["level: 1", false],
    ["nothing: None", true],
    ["__proto__: y", true],
    ["tag: fa\\|st", false],
    ["tag: (?i)FAST", true],
    ["note: a[\\|]b \\& c", true],
    ["tag: fast\\|slow", true],
  ] as const
) {
  Deno.test(`matchFilter() gives ${outcome} for ${JSON.stringify(expression)}`, () => {
    strictEqual(matches(expression), outcome);
  });
}

Deno.test("matchFilter() heeds case unless told not to: in keys, values and names", () => {
  const options = { caseSensitive: false };
  for (
    const expression of [
      "TAG: FAST",
      "tag: net1",
      "area: \\S+",
      "/SUITE/net",
      "Area: -NE",
    ]
  ) {
    ok(matches(expression, options), expression);
  }
  strictEqual(matches("tag: -net1", options), false);
  strictEqual(matches("area: \\s+", options), false);
  ok(matches("TAG: FAST", { caseSensitive: false, regexp: false }));
});

Deno.test("matchFilter() takes values literally when told to", () => {
  const options = { regexp: false };
  ok(matches("note: a\\|b \\& c", options));
  ok(matches("/suite/Net", options));
  ok(!matches("/suite", options));
  ok(!matches("tag: f.*", options));
});

for (
  const [expression, part] of [
    ["nope: x", 'no key "nope"'],
    ["nope: -x", 'no key "nope"'],
    ["toString: x", 'no key "toString"'],
    ["1: x", 'no key "1"'],
    ["tag: slow | nope: x", 'no key "nope"'],
    ["tag: slow & nope: x", 'no key "nope"'],
    ["tag: [", 'unterminated character set in "["'],
    ["tag: slow & tag: [", 'unterminated character set in "["'],
    ["tag: slow, [", 'unterminated character set in "["'],
    ["/suite & (", 'unterminated subpattern in "("'],
    ["tag: fast | tag: *", 'nothing to repeat in "*"'],
    ["(", 'unterminated subpattern in "("'],
  ]
) {
  Deno.test(`matchFilter() refuses ${JSON.stringify(expression)} and says why`, () => {
    const error = thrown(() => matches(expression), FmfError, part);
    deepStrictEqual([error.kind, error.text], ["filter", expression]);
  });
}

Deno.test("matchFilter() refuses to look for a name where there is none", () => {
  thrown(
    () => matches("/suite", { name: undefined }),
    FmfError,
    "asks for a name",
  );
  thrown(
    () => matches("tag: fast | /suite", { name: undefined }),
    FmfError,
    "asks for a name",
  );
  ok(matches("tag: fast", { name: undefined }));
});

Deno.test("matchFilter() refuses data that is no mapping", () => {
  thrown(
    () => matchFilter("a: b", ["a"] as unknown as FmfMap),
    FmfError,
    "not a list",
  );
});

Deno.test("compileFilter() takes a missing key for not met, negated or not", () => {
  const meets = (expression: string) =>
    compileFilter(expression)(data, "/suite/Net");
  deepStrictEqual(
    ["nope: x", "nope: -x", "nope: x | tag: fast", "tag: fast & nope: -x"].map(
      meets,
    ),
    [false, false, true, false],
  );
});

Deno.test("compileFilter() refuses invalid patterns before any data is there", () => {
  thrown(
    () => compileFilter("tag: a | tag: ("),
    FmfError,
    "unterminated subpattern",
  );
});

Deno.test("filters of known keys follow boolean logic", () => {
  const atoms = fc.constantFrom<[string, boolean]>(
    ["fast", true],
    ["slow", false],
    ["-fast", false],
    ["-slow", true],
    ["F.*", false],
    ["f.*", true],
  );
  const literal = fc.array(atoms, { minLength: 1, maxLength: 3 });
  const filter = fc.array(fc.array(literal, { minLength: 1, maxLength: 3 }), {
    minLength: 1,
    maxLength: 3,
  });
  fc.assert(fc.property(filter, fc.constantFrom("", " "), (clauses, blank) => {
    const expression = clauses.map((literals) =>
      literals.map((atoms) =>
        `tag:${blank}${atoms.map(([text]) => text).join(`${blank},${blank}`)}`
      ).join(`${blank}&${blank}`)
    ).join(`${blank}|${blank}`);
    const wanted = clauses.some((literals) =>
      literals.every((atoms) => atoms.some(([, outcome]) => outcome))
    );
    strictEqual(matches(expression), wanted);
    strictEqual(compileFilter(expression)(data), wanted);
  }));
});

Deno.test("matchFilter() gives an outcome or an FmfError, whatever the text", () => {
  const piece = fc.constantFrom(
    "tag",
    "nope",
    ":",
    ",",
    "-",
    "|",
    "&",
    "\\|",
    "\\",
    " ",
    "fast",
    "[",
    "(",
    ".*",
    "/suite",
  );
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 12 }),
      fc.boolean(),
      fc.boolean(),
      (pieces, caseSensitive, regexp) => {
        try {
          strictEqual(
            typeof matches(pieces.join(""), { caseSensitive, regexp }),
            "boolean",
          );
        } catch (error) {
          if (!(error instanceof FmfError)) throw error;
          strictEqual(error.kind, "filter");
        }
      },
    ),
    { numRuns: 1000 },
  );
});
