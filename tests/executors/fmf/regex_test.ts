import {
  deepStrictEqual,
  notStrictEqual,
  ok,
  strictEqual,
} from "node:assert/strict";
import fc from "fast-check";
import { SafeMatcher } from "../../../executors/fmf/metadata/_match.ts";
import { sequence } from "../../../executors/fmf/metadata/_pattern.ts";
import type { PythonPattern } from "../../../executors/fmf/metadata/_python_regex.ts";
import { FmfError } from "../../../executors/fmf/metadata/errors.ts";
import { compilePattern } from "../../../executors/fmf/metadata/regex.ts";
import { thrown } from "../../_thrown.ts";

const found = (pattern: string, text: string) =>
  compilePattern(pattern).found(text);

const replaced = (pattern: string, template: string, text: string) =>
  compilePattern(pattern).replaceAll(text, template);

/** What Python says about patterns: those that are found in a text, and those that are not. */
const TABLE: [text: string, found: string[], missing: string[]][] = [
  ["net", [
    "n",
    "^net$",
    "\\Anet\\Z",
    "NET|net",
    "(?i)NET",
    "n(?#c)et",
    "(?:n)e(t)",
  ], ["^et", "NET", "\\Ae"]],
  ["a\n", ["a$", "a\\n", "a\\s", "a\\Z|a\\n"], [
    "a\\Z",
    "a.",
    "\\Aa\\n.",
    "a^",
  ]],
  ["a\n\n", ["\\n$", "a\\n"], ["a$", "a\\n\\Z"]],
  ["a\nb", ["(?m)^b", "(?m)a$", "(?s)a.b", "(?s:a.b)", "a[^x]b"], [
    "^b",
    "a$",
    "a.b",
    "(?s:a).b",
  ]],
  ["a\rb\u2028c", ["a.b.c", "a\\sb\\sc"], ["(?m)^b", "(?m)a$"]],
  ["x\x1cy\x85z\ufeff", ["x\\sy\\sz\\S"], ["z\\s"]],
  ["٣", ["\\d", "^\\w$", "[\\d]"], ["[0-9]", "(?a)\\d", "(?a:\\w)", "\\D"]],
  ["é_ñ", ["^\\w+$", "\\bé", "^[^\\W\\d]+$"], ["\\W", "(?a)\\bé", "é\\b"]],
  ["a-net-b", ["\\bnet\\b", "\\B-?\\w\\b|x", "a\\b-"], ["\\Bnet", "a\\B"]],
  ["ß", ["(?i)ẞ", "(?i)ß"], ["(?i)ss"]],
  ["Iıİi", ["(?i)^i{4}$", "(?i)^[i]{4}$", "(?i)^[a-j]{4}$"], [
    "(?ai)^i{4}$",
    "^i",
  ]],
  ["\u212ak", ["(?i)^k+$", "(?i)^[k]+$"], ["(?ai)^k+$", "(?ai)^[j-l]+$"]],
  ["Ab", ["(?ai)aB", "(?i:a)b", "(?i)a(?-i:b)", "(?i)[^b]b"], [
    "(?i:a)B",
    "(?i)a(?-i:B)",
    "(?-i:a)b",
    "(?i)[^a]b",
  ]],
  ["]", ["[]x]", "[^]x]|]", "\\]", "]"], ["[^]x]", "[x]"]],
  ["[", ["[[]", "[[x]", "\\["], []],
  ["a-b&&c", ["[--a]", "[a-]-", "[&&]&", "[\\-]", "[c&&b]"], ["[^a-c&-]"]],
  ["a{2", ["a{2", "a{2$", "{", "a\\{"], ["a{2}"]],
  ["x{,}y", ["^x\\{,}y", "^x{ ?,}y"], ["^x\\{,y"]],
  ["aab", [
    "^a{2}b",
    "^a{,2}b",
    "^a{1,}b",
    "^a{,}b",
    "^a{2,3}?b",
    "^a++b",
    "^(?>a*)b",
    "(a)\\1b",
    "(?P<x>a)(?P=x)b",
  ], ["^a{3}", "^a++a", "^(?>a*)ab", "^a?+aab", "(a)\\1\\1"]],
  ["/net", ["(?<=/)net", "\\/net", "(?!x)n", "(?=n)net", "(?<!x)net"], [
    "(?<!/)net",
    "(?<=x)net",
    "n(?=n)",
  ]],
  ["ab", [
    "(?x) a  b # note",
    "(?x:a b)",
    "(?x)a\\ ?b",
    "(?x) (?i) A b",
    "(?x)[ ]?ab",
  ], ["(?x)a[ ]b", "a b"]],
  ["A\u0062\x07\x53\u{1f600}", [
    "\\x41\\u0062\\a\\123\\U0001F600",
    "[\\x41-\\x43]b[\\07]",
    "\\07S.$",
  ], ["^.{6}"]],
  ["\\-_:#/ ~", ["\\\\\\-\\_\\:\\#\\/\\ \\~"], []],
  ["a\bc", ["a[\\b]c"], ["a\\bc"]],
  ["", ["", "^$", "\\A\\Z", "(?!a)", "x*", "()", "a|"], [".", "\\b", "(?!)"]],
];

for (const [text, yes, no] of TABLE) {
  Deno.test(`found() agrees with Python about ${JSON.stringify(text)}`, () => {
    deepStrictEqual(yes.filter((pattern) => !found(pattern, text)), []);
    deepStrictEqual(no.filter((pattern) => found(pattern, text)), []);
  });
}

for (
  const [pattern, place, reason] of [
    ["(", 1, "missing ), unterminated subpattern"],
    ["a)", 2, "unbalanced parenthesis"],
    ["a[b", 2, "unterminated character set"],
    ["[", 1, "unterminated character set"],
    ["[]", 1, "unterminated character set"],
    ["a**", 3, "multiple repeat"],
    ["a{1}{2}", 5, "multiple repeat"],
    ["*a", 1, "nothing to repeat"],
    ["^*", 2, "nothing to repeat"],
    ["\\b+", 3, "nothing to repeat"],
    ["x|*", 3, "nothing to repeat"],
    ["(?:*)", 4, "nothing to repeat"],
    ["a{3,2}", 2, "min repeat greater than max repeat"],
    ["a{99999999}", 2, "too large"],
    ["é\\q", 2, "bad escape \\q"],
    ["\\p{L}", 1, "bad escape \\p"],
    ["\\k<n>", 1, "bad escape \\k"],
    ["\\xg1", 1, "incomplete or bad escape \\x"],
    ["\\U00110000", 1, "incomplete or bad escape \\U"],
    ["\\477", 1, "octal escape out of range"],
    ["\\", 2, "bad escape (end of pattern)"],
    ["\\1", 1, "invalid group reference"],
    ["(a)\\10", 4, "invalid group reference"],
    ["(a\\1)", 3, "cannot refer to an open group"],
    ["(?P=n)", 1, "unknown group name n"],
    ["(?P<1>a)", 1, "bad character in group name"],
    ["(?P<n>a)(?P<n>b)", 9, "redefinition of group name n"],
    ["(?P>n)", 1, "unknown extension ?P"],
    ["(?<n>a)", 1, "a named group is (?P<name>…)"],
    ["(?<=(a)\\1)", 8, "the same look-behind"],
    ["a(?i)b", 2, "global flags not at the start"],
    ["(?i-s)", 1, "missing :"],
    ["(?i-i:a)", 1, "incompatible flags"],
    ["(?au)a", 1, "incompatible flags"],
    ["(?L)a", 1, "unknown extension or flag"],
    ["(?z)a", 1, "unknown extension or flag"],
    ["(?", 3, "unexpected end of pattern"],
    ["(?#a", 4, "unterminated comment"],
    ["[b-a]", 2, "bad character range"],
    ["[a-\\d]", 2, "bad character range"],
    ["[\\d-z]", 2, "bad character range"],
    ["[\\A]", 2, "bad escape \\A"],
    ["(?(1)a|b)", 1, "conditional patterns are not supported"],
    ["\\N{DIGIT ONE}", 1, "named characters are not supported"],
    [
      "(a)?\\1",
      5,
      "a reference to a group that need not take part is not supported",
    ],
    ["(?:(a)|b)\\1", 10, "not supported"],
    ["(?:a?)+(b?)+\\2", 13, "invalid group reference"],
    ["(b?)+\\1", 6, "not supported"],
    ["(?<=(?>a))", 5, "not supported in a look-behind"],
    ["(".repeat(300) + ")".repeat(300), 201, "nested too deeply"],
  ] as const
) {
  Deno.test(`compilePattern() refuses ${pattern.slice(0, 30)} and says where`, () => {
    const error = thrown(() => compilePattern(pattern), FmfError, reason);
    strictEqual(error.kind, "filter");
    strictEqual(error.text, pattern);
    ok(error.message.includes(` at character ${place}:`), error.message);
  });
}

Deno.test("compilePattern() ignores case when asked to, not in the same pattern elsewhere", () => {
  ok(compilePattern("fast", { ignoreCase: true }).found("FAST"));
  ok(!compilePattern("fast").found("FAST"));
  ok(!compilePattern("\\S+", { ignoreCase: true }).matchesWhole("a b"));
});

Deno.test("matchesWhole() wants all of the text but one line break at its end", () => {
  const pattern = compilePattern("a|ab");
  deepStrictEqual(
    ["a", "ab", "ab\n", "abc", "xab", "ab\n\n", "\nab"].map((text) =>
      pattern.matchesWhole(text)
    ),
    [true, true, true, false, false, false, false],
  );
  ok(compilePattern("(?i)AB").matchesWhole("ab"));
  ok(compilePattern("").matchesWhole(""));
});

for (
  const [pattern, template, text, result] of [
    ["(.)(.)", "\\2\\1", "abcd", "badc"],
    ["(?P<x>b)", "<\\g<x>\\g<1>\\g<0>>", "abc", "a<bbb>c"],
    ["(a)|(b)", "[\\1\\2]", "ab", "[a][b]"],
    ["b", "$1$&$<x>", "abc", "a$1$&$<x>c"],
    ["b", "\\\\\\n\\t\\.\\'", "abc", "a\\\n\t\\.\\'c"],
    ["b", "\\0\\012\\101\\b", "abc", "a\0\nA\bc"],
    ["x*", "-", "abxd", "-a-b--d-"],
    ["a*?", "-", "aab", "-----b-"],
    ["b|", "-", "abc", "-a--c-"],
    ["$", "<", "ab\n", "ab<\n<"],
    ["^", ">", "a\nb", ">a\nb"],
    ["(?m)^", ">", "a\nb", ">a\n>b"],
    ["\\b", "|", "a b", "|a| |b|"],
    ["", "-", "\u{1f600}\u{1f600}", "-\u{1f600}-\u{1f600}-"],
    ["\\B", "-", "\u{1f600}a", "-\u{1f600}a"],
    ["(\\w){2}", "\\1", "abcd", "bd"],
    ["(?<=(a))b", "\\1", "ab", "aa"],
    ["b++", "", "abbc", "ac"],
    ["a", "é", "a", "é"],
    ["(?i)B", "x", "abBc", "axxc"],
  ]
) {
  Deno.test(`replaceAll() gives ${JSON.stringify(result)} for ${pattern} and ${template} in ${JSON.stringify(text)}`, () => {
    strictEqual(replaced(pattern, template, text), result);
  });
}

for (
  const [template, place, reason] of [
    ["\\q", 1, "bad escape \\q"],
    ["x\\2", 2, "invalid group reference 2"],
    ["\\11", 1, "invalid group reference 11"],
    ["\\g<n>", 1, "unknown group name n"],
    ["\\g<-1>", 1, "bad character in group name"],
    ["\\g<>", 1, "bad character in group name"],
    ["\\g1", 1, "missing <"],
    ["\\g<1", 1, "missing <"],
    ["\\400", 1, "octal escape out of range"],
    ["a\\", 2, "bad escape (end of template)"],
    ["\\x41", 1, "bad escape \\x"],
  ] as const
) {
  Deno.test(`replaceAll() refuses the template ${template} and says where`, () => {
    const error = thrown(
      () => replaced("(b)", template, "no match"),
      FmfError,
      reason,
    );
    strictEqual(error.text, template);
    ok(error.message.includes(` at character ${place}:`), error.message);
  });
}

Deno.test("replaceAll() refuses groups that JavaScript and Python see differently", () => {
  for (
    const pattern of [
      "(?:(a)|b)*",
      "(a?)*",
      "(?:(a)?b)+",
      "(?!(a))b",
      "(?<=(a|b){2})c",
    ]
  ) {
    strictEqual(typeof replaced(pattern, "-", "abab"), "string");
    thrown(
      () => replaced(pattern, "\\1", "abab"),
      FmfError,
      "group 1 is not supported here",
    );
  }
});

Deno.test("matching refuses texts that are too long to bound its time", () => {
  const pattern = compilePattern("a");
  const text = "b".repeat(65_536);
  strictEqual(pattern.found(text), false);
  for (
    const action of [
      () => pattern.found(text + "b"),
      () => pattern.matchesWhole(text + "b"),
      () => pattern.replaceAll(text + "b", ""),
    ]
  ) thrown(action, FmfError, "65537 characters is too long");
});

const LONG = "a".repeat(60_000);

for (
  const [pattern, text, isFound] of [
    ["(a+)+$", `${"a".repeat(40)}!`, false],
    ["(a+)+$", LONG, true],
    ["(a|a)*!", LONG, false],
    ["(a|aa)+$", `${LONG}!`, false],
    ["(.*)*x", LONG, false],
    ["(\\w+\\s?)+$", `${LONG} !`, false],
    ["^(([a-z])+.)+[A-Z]([a-z])+$", LONG, false],
    ["(a?){40}a{40}", "a".repeat(40), true],
    [`${"a?".repeat(30)}${"a".repeat(30)}$`, "a".repeat(30), true],
    [".*.*.*.*=", LONG, false],
    ["(?:(?:a|b)*c|(?:a|b)*d)*e", LONG, false],
    ["\\b(\\w+-?)*(?=!)", `x ${LONG}-é!`, true],
    ["(?m)(^a*$\\n?)*b\\Z", `${"aaa\n".repeat(9999)}b`, true],
    ["(?i)(A+)+!", `${LONG}!`, true],
  ] as const
) {
  Deno.test(`found() ends in time for ${pattern.slice(0, 30)} in ${text.length} characters`, () => {
    const start = performance.now();
    strictEqual(found(pattern, text), isFound);
    ok(performance.now() - start < 20_000);
  });
}

Deno.test("what matches nothing is replaced everywhere in a long text, in the way that does not look at all of it each time", () => {
  const root = sequence([]);
  const pattern = { root, ignoreCase: false, groups: 0 } as PythonPattern;
  const matcher = new SafeMatcher("", pattern);
  strictEqual(matcher.for(LONG), matcher.for(LONG));
  notStrictEqual(matcher.for(LONG, "all"), matcher.for(LONG));
  strictEqual(matcher.for("short", "all"), matcher.for("short"));
  strictEqual(replaced("b*", "-", LONG), "-a".repeat(LONG.length) + "-");
});

for (
  const [place, text] of [
    ["\\b", "a net"],
    ["\\B", "anetb"],
    ["(?:^|(?<=\\s))", "a net"],
    ["(?:(?=n)|(?!n))", "a net"],
    ["(?:(^)|((?=n)))", "net"],
    ["(?m:^|$)", "a\nnet"],
  ] as const
) {
  Deno.test(`${place} many times in a row is compiled in time`, () => {
    const start = performance.now();
    const pattern = place.repeat(60) + "net";
    strictEqual(found(pattern, text), true);
    strictEqual(found(pattern, "ne"), false);
    strictEqual(replaced(pattern, "x", text), text.replace("net", "x"));
    ok(performance.now() - start < 20_000);
  });
}

Deno.test("patterns that no way of matching bounds are refused when it comes to it", () => {
  for (
    const pattern of [
      "(a)\\1(a+)+$",
      "(?=(a+)+$)b",
      "(?>(a+)+)(b+)+c",
      "((a{1,20}){1,20}){1,20}b",
    ]
  ) {
    strictEqual(compilePattern(pattern).text, pattern);
    thrown(() => found(pattern, LONG), FmfError, "could take too long");
  }
  thrown(
    () => replaced("(a|b)*c|a", "", LONG),
    FmfError,
    "takes too long on this text",
  );
});

Deno.test("both ways of matching give the same", () => {
  // the addition matches nothing, but has what could take too long
  const slow = (pattern: string) => `(?:${pattern})(?:(?:\\x00+)+\\x01)?`;
  const piece = fc.constantFrom(
    "a",
    "b",
    "é",
    ".",
    "[^a]",
    "[ab]",
    "\\w",
    "\\W",
    "\\s",
    "^",
    "$",
    "\\b",
    "\\B",
    "\\A",
    "\\Z",
    "(?m:^)",
    "(?i:B)",
    "(?=a)",
    "(?<!b)",
    "(",
    "(?:",
    ")",
    "|",
    "*",
    "+",
    "?",
    "{2}",
    "{1,2}",
    "{,2}",
    "\n",
    "\u{1f600}",
  );
  const texts = fc.string({
    unit: fc.constantFrom(..."aabBé \n\u{1f600}"),
    maxLength: 8,
  });
  let compared = 0;
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 10 }), texts, (pieces, text) => {
      let one, other;
      try {
        one = compilePattern(pieces.join(""));
        other = compilePattern(slow(pieces.join("")));
        one.found(text);
        other.found(text);
      } catch (error) {
        ok(error instanceof FmfError);
        return;
      }
      compared++;
      strictEqual(one.found(text), other.found(text));
      strictEqual(one.matchesWhole(text), other.matchesWhole(text));
      strictEqual(
        one.replaceAll(text, "<\\g<0>>"),
        other.replaceAll(text, "<\\g<0>>"),
      );
    }),
    { numRuns: 1500 },
  );
  ok(compared > 150);
});

Deno.test("groups hold the same in both ways of matching", () => {
  for (
    const [pattern, text, result] of [
      ["(a+)+(b)?", "aab aa", "[aa|b] [aa|]"],
      ["(?:(a)|(b))+", "aab", "[a|b]"],
      ["(?P<x>\\w+?)(\\d*)$", "ab12", "[ab|12]"],
    ]
  ) {
    const slow = `${pattern}(?:(?:\\x00+)+\\x01)?`;
    if (!pattern.startsWith("(?:")) {
      strictEqual(replaced(pattern, "[\\1|\\2]", text), result);
      strictEqual(replaced(slow, "[\\1|\\2]", text), result);
    } else {
      thrown(
        () => replaced(slow, "[\\1|\\2]", text),
        FmfError,
        "is not supported here",
      );
    }
  }
});

Deno.test("compilePattern() gives a pattern or an FmfError, whatever the text", () => {
  const piece = fc.oneof(
    fc.constantFrom(
      "(",
      ")",
      "(?:",
      "(?P<n>",
      "(?P=n)",
      "(?i)",
      "(?i:",
      "(?-i:",
      "(?x:",
      "(?<=",
      "(?<!",
      "(?=",
      "(?!",
      "(?>",
      "(?#",
      "[",
      "[^",
      "]",
      "-",
      "{",
      "}",
      "{2}",
      "{,3}",
      "{1,2}",
      "*",
      "+",
      "?",
      "|",
      ".",
      "^",
      "$",
      "\\",
      "\\1",
      "\\d",
      "\\W",
      "\\b",
      "\\Z",
      "\\x41",
      "\\u00e9",
      "a",
      "B",
      "é",
      "\u{1f600}",
      " ",
      "\n",
      "&&",
      "--",
      "/",
      "#",
    ),
    fc.string({ unit: "grapheme", maxLength: 2 }),
  );
  const texts = fc.string({
    unit: fc.constantFrom(..."aB é\n-\u{1f600}"),
    maxLength: 6,
  });
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 12 }),
      texts,
      fc.array(piece, { maxLength: 3 }),
      (pieces, text, template) => {
        try {
          const pattern = compilePattern(pieces.join(""));
          const isFound = pattern.found(text);
          if (pattern.matchesWhole(text)) ok(isFound);
          const result = pattern.replaceAll(text, template.join(""));
          if (!isFound) strictEqual(result, text);
        } catch (error) {
          if (!(error instanceof FmfError)) throw error;
        }
      },
    ),
    { numRuns: 3000 },
  );
});

Deno.test("an escaped text is found in itself and nowhere else", () => {
  const escape = (text: string) => text.replace(/[^\p{L}\p{N}_]/gu, "\\$&");
  fc.assert(
    fc.property(
      fc.string({ unit: "grapheme" }),
      fc.string({ unit: "grapheme" }),
      (text, other) => {
        const pattern = compilePattern(escape(text));
        ok(pattern.matchesWhole(text));
        strictEqual(pattern.found(other), other.includes(text));
        strictEqual(
          pattern.replaceAll(`${other}\0${text}`, "").includes(text),
          text === "",
        );
      },
    ),
  );
});
