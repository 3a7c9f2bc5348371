import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { Context } from "../../../executors/fmf/metadata/context.ts";
import { FmfError } from "../../../executors/fmf/metadata/errors.ts";
import { Float, PlainDate } from "../../../executors/fmf/metadata/value.ts";
import { thrown } from "../../_thrown.ts";

const context = new Context({ distro: "oak-8.4", arch: ["x86_64"], none: [] });

Deno.test("Context.matches() follows the table of comparisons", () => {
  const operators = ["==", "!=", "<", "<=", ">", "~=", "~!=", "~<", "~>="];
  const outcomes: Record<string, boolean | undefined> = {
    t: true,
    f: false,
    "?": undefined,
  };
  for (
    const [left, right, wanted] of [
      ["oak-8.4", "oak", "tfftftfft"],
      ["oak-8.4", "oak-8", "tfftftfft"],
      ["oak-8.4", "oak-8.4", "tfftftfft"],
      ["oak-8.4", "oak-9", "ftttffttf"],
      ["oak-8.4", "oak-8.5", "ftttffttf"],
      ["oak-8.4", "oak-9.2", "ftttfft??"],
      ["oak-8.4", "oak-8.4.1", "ftttf????"],
      ["oak-8", "oak-9.2", "ftttfft??"],
      ["oak-8", "oak-8.2", "ftttf????"],
      ["oak", "oak-8", "ft???????"],
      ["oak-8.4", "elm-8", "ft???ft??"],
    ]
  ) {
    const context = new Context({ d: left });
    deepStrictEqual(
      operators.map((operator) => context.matches(`d ${operator} ${right}`)),
      Array.from(wanted, (letter) => outcomes[letter]),
      `${left} ${right}`,
    );
  }
});

Deno.test("Context.matches() compares parts as numbers where both are, else by code point", () => {
  const less = (a: string, b: string) =>
    new Context({ d: `n-${a}` }).matches(`d < n-${b}`);
  ok(less("9", "10"));
  ok(less("9", "123456789012345678901234567890"));
  ok(less("33", "rawhide"));
  ok(less("10", "9z"));
  ok(less("8", "8a"));
  ok(less("\uffff", "\u{1f600}"));
  strictEqual(new Context({ d: "n-08" }).matches("d == n-8"), true);
  strictEqual(new Context({ d: "n-08" }).matches("d ~= n-8"), false);
  strictEqual(new Context({ d: "n-1_0" }).matches("d == n-10"), false);
  strictEqual(new Context({ d: "n-٣" }).matches("d == n-3"), false);
});

Deno.test("Context takes values of any type by their text", () => {
  const context = new Context({
    a: 1.5,
    b: true,
    c: null,
    d: new Float(2),
    e: new PlainDate("2024-05-06"),
    f: ["x", 3],
  });
  for (
    const expression of [
      "a == 1.5",
      "b == True",
      "c == None",
      "d == 2.0",
      "e == 2024-05-06",
      "f == 3",
      "f == x",
    ]
  ) {
    strictEqual(context.matches(expression), true, expression);
  }
});

Deno.test("Context takes a Map, or an expression of == terms", () => {
  strictEqual(
    new Context(new Map([["a", ["x", "y"]]])).matches("a == y"),
    true,
  );
  const context = new Context("a = x, y and b == z-1");
  strictEqual(context.matches("a == y and b == z"), true);
  strictEqual(new Context().matches("a is defined"), false);
  for (const bad of ["a != x", "a == x or b == y", "true", "a is defined"]) {
    strictEqual(
      thrown(() => new Context(bad), FmfError, "only be of == terms").kind,
      "usage",
    );
  }
});

Deno.test("Context has nothing special about names of JavaScript", () => {
  strictEqual(new Context({}).matches("constructor is defined"), false);
  strictEqual(new Context({}).matches("__proto__ is not defined"), true);
});

Deno.test("Context.matches() heeds case in values unless told not to, in names always", () => {
  const values = { d: "Straße-8.B", n: "ΟΔΟΣ" };
  const loose = new Context(values, { caseSensitive: false });
  strictEqual(loose.matches("d == STRASSE-8.b"), true);
  strictEqual(loose.matches("d ~= straße-8"), true);
  strictEqual(loose.matches("n == οδος"), true);
  strictEqual(loose.matches("d ~ STRA"), false);
  strictEqual(loose.matches("D == strasse"), undefined);
  strictEqual(new Context(values).matches("d == straße-8"), false);
});

Deno.test("Context.matches() searches patterns; a comma starts another", () => {
  strictEqual(context.matches("arch ~ ^x86, ^ppc"), true);
  strictEqual(context.matches("arch !~ ^x86"), false);
  strictEqual(context.matches("arch ~ a b|86"), true);
  strictEqual(context.matches("arch ~ x{1,2}"), false);
});

Deno.test("Context.matches() takes and/or for words only with white space around", () => {
  const context = new Context({ d: "red-or-blue", e: "and" });
  strictEqual(context.matches("d == red-or-blue"), true);
  strictEqual(context.matches("e == x,and"), true);
  strictEqual(context.matches("d == red\n\tand\n e == and,x"), true);
});

for (
  const [expression, part] of [
    ["", "something is missing"],
    [" \n", "something is missing"],
    ["true and", "something is missing"],
    ["or true", "something is missing"],
    ["true or or true", "something is missing"],
    ["distro", '"distro" is no comparison'],
    ["distro ==", '"distro ==" is no comparison'],
    ["distro is  defined", "is no comparison"],
    ["distro is defined x", "is no comparison"],
    ["distro === oak", "is no comparison"],
    ["distro =~ oak", '"=~" is no operator'],
    ["distro => oak", '"=>" is no operator'],
    ["distro == oak && true", "has white space in it"],
    ["(distro == oak)", "is no comparison"],
    ["not distro == oak", "is no comparison"],
    ["True", "is no comparison"],
    ["a.b == c", "is no comparison"],
    ["true or distro in oak", '"distro in oak" is no comparison'],
    [
      "nope ~ (",
      'invalid pattern at character 1: missing ), unterminated subpattern in "("',
    ],
    ["arch ~ a\nb", "several lines"],
  ]
) {
  Deno.test(`Context.matches() refuses ${JSON.stringify(expression)} and says why`, () => {
    const error = thrown(() => context.matches(expression), FmfError, part);
    strictEqual(error.kind, "rule");
    strictEqual(error.text, expression);
    thrown(() => context.missing(expression), FmfError, part);
  });
}

Deno.test("Context.missing() names the dimensions that are not known, once each", () => {
  deepStrictEqual(
    context.missing(
      "team == a or distro == b and team != c or mode is defined",
    ),
    ["team", "mode"],
  );
  deepStrictEqual(context.missing("distro == x or true"), []);
  deepStrictEqual(context.missing(false), []);
});

type Outcome = boolean | undefined;

const TERMS: [string, Outcome][] = [
  ["true", true],
  ["false", false],
  ["distro == oak", true],
  ["distro == elm", false],
  ["distro < elm-1", undefined],
  ["team == x", undefined],
  ["none == x", undefined],
  ["none is defined", true],
  ["arch ~ ^x, q", true],
];

const and = (a: Outcome, b: Outcome): Outcome =>
  a === false || b === false
    ? false
    : a === undefined || b === undefined
    ? undefined
    : true;
const not = (a: Outcome): Outcome => a === undefined ? undefined : !a;
const or = (a: Outcome, b: Outcome): Outcome => not(and(not(a), not(b)));

Deno.test("Context.matches() combines by three-valued logic; and binds tighter than or", () => {
  const group = fc.array(fc.constantFrom(...TERMS), {
    minLength: 1,
    maxLength: 4,
  });
  fc.assert(
    fc.property(fc.array(group, { minLength: 1, maxLength: 4 }), (groups) => {
      const expression = groups.map((terms) =>
        terms.map(([text]) => text).join(" and ")
      ).join(" or ");
      const wanted = groups.map((terms) =>
        terms.map(([, outcome]) => outcome).reduce(and)
      ).reduce(or);
      strictEqual(context.matches(expression), wanted);
    }),
  );
});

Deno.test("Context.matches() decides the opposite for opposite operators, on one value each", () => {
  const part = fc.constantFrom("", "1", "9", "10", "08", "a", "b");
  const version = fc.array(part, { maxLength: 3 }).map((parts) =>
    ["n", ...parts].join("-")
  );
  fc.assert(fc.property(version, version, (left, right) => {
    const context = new Context({ d: left });
    const outcome = (operator: string) =>
      context.matches(`d ${operator} ${right}`);
    for (
      const [one, other] of [
        ["==", "!="],
        ["<", ">="],
        [">", "<="],
        ["~=", "~!="],
        ["~<", "~>="],
        ["~>", "~<="],
      ]
    ) {
      strictEqual(outcome(one), not(outcome(other)));
    }
    strictEqual(
      outcome("<="),
      or(outcome("<"), outcome("<=") === undefined ? undefined : outcome("==")),
    );
    if (left === right) {
      deepStrictEqual(["==", "~=", "<=", "~>="].map(outcome), [
        true,
        true,
        true,
        true,
      ]);
    }
  }));
});

Deno.test("Context.matches() gives an outcome or an FmfError, whatever the text", () => {
  const piece = fc.constantFrom(
    "distro",
    "arch",
    "x",
    " ",
    "==",
    "!=",
    "~",
    "!~",
    "<",
    "=",
    "is defined",
    "and",
    "or",
    "true",
    "false",
    ",",
    "oak-8",
    "(",
    "\n",
    "\\",
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      try {
        ok(
          [true, false, undefined].includes(context.matches(pieces.join(" "))),
        );
        ok([true, false, undefined].includes(context.matches(pieces.join(""))));
      } catch (error) {
        if (!(error instanceof FmfError)) throw error;
        strictEqual(error.kind, "rule");
      }
    }),
    { numRuns: 1000 },
  );
});
