/** Metadata of tests: files, and the small languages in them. */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { parseDuration } from "../../../executors/fmf/duration.ts";
import { compileCondition } from "../../../executors/fmf/metadata/_condition.ts";
import { compileFilter } from "../../../executors/fmf/metadata/filter.ts";
import {
  Context,
  FmfError,
  type FmfMap,
  type FmfValue,
  openTree,
  textOf,
  Tree,
} from "../../../executors/fmf/metadata/mod.ts";
import { matchFilter } from "../../../executors/fmf/metadata/filter.ts";
import { merge } from "../../../executors/fmf/metadata/merge.ts";
import { compilePattern } from "../../../executors/fmf/metadata/regex.ts";
import { copy, isMap, toPlain } from "../../../executors/fmf/metadata/value.ts";
import { decodeFile, parseYaml } from "../../../executors/fmf/metadata/yaml.ts";
import { casesOf, textsIn } from "../corpus.ts";
import { mutated, texts } from "../mutation.ts";
import { bytesOf, outcomeOf, target, utf8 } from "../target.ts";

const isFmfError = (error: Error) => error instanceof FmfError;

const YAML_TOKENS = [
  "a: ",
  "- ",
  "\n",
  "\n  ",
  "\n    - ",
  "&x ",
  "*x",
  "<<: ",
  "!!str ",
  "!!binary ",
  "!!set ",
  "? ",
  ": ",
  "[",
  "]",
  "{",
  "}",
  ", ",
  "'",
  '"',
  "|\n  ",
  ">-\n  ",
  "--- ",
  "...\n",
  "# ",
  "%YAML 1.1\n",
  "\t",
  "2026-02-30",
  "0x1f",
  "1_000:30",
  ".inf",
  "~",
  "__proto__: ",
  "/x:\n  ",
  "/: {inherit: false}\n",
  "a+: ",
  "a+<: ",
  "a-: ",
  "a~: /x/y/\n",
  "a-~: '('\n",
  "adjust:\n- when: distro == quill\n  ",
  "continue: false\n",
];

const files: Record<string, unknown>[] = [
  "merge",
  "adjust",
  "tree",
  "prune",
  "discover",
].flatMap((name) => casesOf(`fmf/${name}`))
  .map(({ files }) => files).filter((files) => files);
const documents = textsIn([
  ...casesOf("fmf/yaml").map(({ text }) => text),
  ...files.flatMap((files) => Object.values(files)),
]);

/** A document in UTF-8, sometimes damaged, a character for each byte. */
const source = fc.oneof(
  { weight: 9, arbitrary: texts(documents, YAML_TOKENS).map(utf8) },
  {
    weight: 1,
    arbitrary: mutated(documents.map(utf8), ["\xff", "\xe2\x82", "\xed\xa0"])
      .map((text) => text.replaceAll(/[^\0-\xff]/g, "?")),
  },
);

export const yaml = target({
  name: "yaml",
  oracle:
    "a document is a value whose parts nobody shares, or an FmfError with the file; however lines end",
  inputs: source,
  async check(input) {
    const read = (input: string) =>
      outcomeOf(
        () => parseYaml(decodeFile(bytesOf(input), at), at),
        isFmfError,
      );
    const at = { file: "some/main.fmf" };
    const outcome = await read(input);
    if (outcome.error) {
      const { kind, file, line, column } = outcome.error as FmfError;
      strictEqual(kind, "file");
      strictEqual(file, at.file);
      ok(line === undefined || Number.isSafeInteger(line) && line > 0);
      ok(column === undefined || Number.isSafeInteger(column) && column > 0);
      return;
    }
    const { value } = outcome;
    checkValue(value, new Set());
    textOf(value);
    toPlain(value);
    deepStrictEqual(copy(value), value);
    // lines of YAML end in three ways
    if (/[\r"']/.test(input)) return;
    deepStrictEqual(await read(input.replaceAll("\n", "\r\n")), outcome);
  },
});

/** Lists and mappings of metadata, and nothing of JavaScript; none is in two places. */
function checkValue(value: FmfValue, seen: Set<unknown>): void {
  if (typeof value !== "object" || value === null) return;
  ok(!seen.has(value), "shared");
  if (Array.isArray(value)) {
    seen.add(value);
    strictEqual(Object.getPrototypeOf(value), Array.prototype);
    for (const item of value) checkValue(item, seen);
  } else if (isMap(value)) {
    seen.add(value);
    for (const item of value.values()) checkValue(item, seen);
  }
}

const tree = fc.record({
  root: source,
  below: source,
  context: fc.constantFrom({ distro: "quill-9.4" }, { arch: "x" }, {}),
});

export const trees = target({
  name: "tree",
  oracle:
    "files and their rules give nodes, or an FmfError that names a file or a node; read twice they give the same",
  inputs: tree,
  cost: 4,
  async check({ root, below, context }, directory) {
    Deno.mkdirSync(`${directory}/tree/.fmf`, { recursive: true });
    Deno.mkdirSync(`${directory}/tree/d`, { recursive: true });
    Deno.writeTextFileSync(`${directory}/tree/.fmf/version`, "1\n");
    Deno.writeFileSync(`${directory}/tree/main.fmf`, bytesOf(root));
    Deno.writeFileSync(`${directory}/tree/d/main.fmf`, bytesOf(below));
    const read = () =>
      outcomeOf(() => {
        const tree = openTree(`${directory}/tree`).adjust(context);
        return Array.from(
          tree.climb({ whole: true }),
          (node) => [node.name, node.toObject()],
        );
      }, isFmfError);
    const outcome = await read();
    if (outcome.error) {
      const { file, node, sources } = outcome.error as FmfError;
      ok(file !== undefined || node !== undefined);
      ok(file !== undefined || sources !== undefined && sources.length > 0);
    }
    deepStrictEqual(await read(), outcome);
  },
});

const scalar = fc.oneof(
  fc.constantFrom<unknown>(null, true, 0, -1, 1.5, 2 ** 53, "", "a", "b c"),
  fc.string({ maxLength: 4 }),
  fc.constantFrom("/a/b/", "/(.)/\\1\\1/", "/[/x/", "/a", "a|b", "("),
);
const key = fc.tuple(
  fc.constantFrom("a", "b", "__proto__", "constructor", "+", "/x", ""),
  fc.constantFrom("", "+", "+<", "-", "~", "-~", "++", "-+", "~~"),
).map(([name, suffix]) => name + suffix);
const { mapping } = fc.letrec<{ value: unknown; mapping: [string, unknown][] }>(
  (tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      scalar,
      fc.array(tie("value"), { maxLength: 3 }),
      tie("mapping").map((entries) => ({ entries })),
    ),
    mapping: fc.array(fc.tuple(key, tie("value")), { maxLength: 4 }),
  }),
);

function mapOf(entries: readonly [string, unknown][]): FmfMap {
  return new Map(entries.map(([key, value]) => [key, valueOf(value)]));
}

function valueOf(value: unknown): FmfValue {
  if (Array.isArray(value)) return value.map(valueOf);
  return typeof value === "object" && value !== null
    ? mapOf((value as { entries: [string, unknown][] }).entries)
    : value as FmfValue;
}

export const merging = target({
  name: "merge",
  oracle:
    "merging changes nothing but its target, gives the same twice, or fails with an FmfError that has a key",
  inputs: fc.record({ old: mapping, source: mapping }),
  async check({ old, source }) {
    const [before, asked] = [mapOf(old), mapOf(source)];
    const run = () => {
      const target = new Map(before);
      return outcomeOf(() => {
        merge(target, asked);
        return target;
      }, isFmfError);
    };
    const outcome = await run();
    if (outcome.error) {
      const { kind, key } = outcome.error as FmfError;
      ok(kind === "merge" || kind === "format", kind);
      strictEqual(typeof key, "string");
    }
    deepStrictEqual(before, mapOf(old));
    deepStrictEqual(asked, mapOf(source));
    deepStrictEqual(await run(), outcome);
  },
});

export const adjusting = target({
  name: "adjust",
  oracle:
    "rules change a node, or fail with an FmfError that names it; rules that do not apply change nothing",
  inputs: fc.record({
    data: mapping,
    rules: fc.array(
      fc.record({
        when: fc.constantFrom<unknown>(
          "distro == quill",
          "distro == other",
          "arch == x",
          "nonsense",
          true,
          false,
          3,
        ),
        change: mapping,
        continues: fc.constantFrom<unknown>(true, false, undefined, "no"),
      }),
      { maxLength: 3 },
    ),
  }),
  async check({ data, rules }) {
    const made = rules.map(({ when, change, continues }) =>
      new Map<string, FmfValue>([
        ["when", when as FmfValue],
        ...(continues === undefined
          ? []
          : [["continue", continues as FmfValue] as const]),
        ...mapOf(change) as Map<string, FmfValue>,
      ])
    );
    const outcome = await outcomeOf(() => {
      const plain = mapOf(data);
      plain.delete("adjust");
      let applied = 0;
      const tree = Tree.fromData(new Map([...plain, ["adjust", made]]));
      tree.adjust({ distro: "quill-9" }, {
        onDecision: (_node, _rule, does) => applied += does ? 1 : 0,
      });
      if (applied > 0) return;
      const { adjust: _, ...rest } = tree.top.toObject();
      deepStrictEqual(rest, { ...Tree.fromData(plain).top.toObject() });
    }, isFmfError);
    if (outcome.error) {
      const { kind, message } = outcome.error as FmfError;
      ok(["merge", "format", "rule"].includes(kind), kind);
      ok(message.length > 0);
    }
  },
});

const expressions = textsIn(
  casesOf("fmf/context").map(({ expression }) => expression),
);

export const context = target({
  name: "context",
  oracle:
    "a condition is true, false or undecided, or an FmfError of kind rule; it does not depend on blanks around it, and joined with itself it stays what it is",
  inputs: texts(expressions, [
    "distro",
    "arch",
    "nope",
    " ",
    " == ",
    " != ",
    " ~ ",
    " !~ ",
    " < ",
    " ~>= ",
    " is defined",
    " is not defined",
    " and ",
    " or ",
    "true",
    "quill-9.4",
    ", ",
  ]),
  async check(expression) {
    const known = new Context({
      distro: "quill-9.4",
      arch: ["x86_64", "y"],
      mode: "",
    });
    const decide = (expression: string) =>
      outcomeOf(() => known.matches(expression), isFmfError);
    const outcome = await decide(expression);
    if (outcome.error) {
      strictEqual((outcome.error as FmfError).kind, "rule");
      return;
    }
    ok([true, false, undefined].includes(outcome.value));
    deepStrictEqual(await decide(` ${expression} `), outcome);
    if (!/\b(and|or)\b/.test(expression)) {
      deepStrictEqual(await decide(`${expression} or ${expression}`), outcome);
      deepStrictEqual(await decide(`${expression} and ${expression}`), outcome);
    }
    ok(Array.isArray(known.missing(expression)));
  },
});

const node = parseYaml(
  "{tag: [fast, Net1], area: net, level: 5, ratio: 1.0, on: true, no: null, env: {A: b}}",
) as FmfMap;

export const filter = target({
  name: "filter",
  oracle:
    "a filter is met or not, or an FmfError of kind filter; compiled it says the same, or refuses a pattern that was not tried",
  inputs: fc.record({
    expression: texts(
      textsIn(casesOf("fmf/filter").map(({ filter }) => filter)),
      [
        "tag",
        "area",
        "nope",
        ":",
        ": ",
        ", ",
        "-",
        " | ",
        " & ",
        "\\|",
        "fast",
        ".*",
        "[",
        "(",
        "/suite",
      ],
    ),
    caseSensitive: fc.boolean(),
    regexp: fc.boolean(),
  }),
  async check({ expression, ...options }) {
    const name = "/suite/net";
    const outcome = await outcomeOf(
      () => matchFilter(expression, node, { ...options, name }),
      isFmfError,
    );
    if (outcome.error) {
      strictEqual((outcome.error as FmfError).kind, "filter");
      return;
    }
    const compiled = await outcomeOf(
      () => compileFilter(expression, options)(node, name),
      isFmfError,
    );
    if (!compiled.error) strictEqual(compiled.value, outcome.value);
  },
});

const conditions = casesOf("fmf/prune").flatMap(({ args }) =>
  args?.conditions ?? []
);

export const condition = target({
  name: "condition",
  oracle:
    "a condition holds or not, or is an FmfError of kind filter; if it holds, its negation does not",
  inputs: texts(textsIn(conditions), [
    "tag",
    "level",
    "nope",
    "env['A']",
    "'net'",
    "1",
    "2.5",
    " in ",
    " not ",
    " and ",
    " or ",
    " == ",
    " < ",
    "(",
    ")",
    "[",
    "]",
    ", ",
    "None",
    "True",
    "__proto__",
    "constructor",
    "\\x41",
    "'",
  ]),
  async check(text) {
    const decide = (text: string) =>
      outcomeOf(() => compileCondition(text)(node), isFmfError);
    const outcome = await decide(text);
    if (outcome.error) {
      const { kind, message } = outcome.error as FmfError;
      strictEqual(kind, "filter");
      ok(message.length < 30_000);
      return;
    }
    strictEqual(typeof outcome.value, "boolean");
    if (!outcome.value) return;
    const negated = await decide(`not (${text}\n)`);
    ok(negated.error || negated.value === false);
  },
});

const REGEX_TOKENS = [
  "(",
  "(?:",
  "(?P<n>",
  "(?P=n)",
  "(?i)",
  "(?i:",
  "(?x:",
  "(?<=",
  "(?<!",
  "(?=",
  "(?!",
  "(?>",
  "(?#",
  ")",
  "[",
  "[^",
  "]",
  "-",
  "{2}",
  "{,3}",
  "{1000}",
  "{1,1000}",
  "*",
  "*?",
  "*+",
  "+",
  "?",
  "|",
  ".",
  "^",
  "$",
  "\\A",
  "\\Z",
  "\\b",
  "\\w",
  "\\D",
  "\\1",
  "\\x4",
  "\\u00e9",
  "\\N{DASH}",
  "\\",
  "a",
  "b",
  "é",
  "\n",
  " ",
];
const patterns = casesOf("fmf/regex");

export const regex = target({
  name: "regex",
  oracle:
    "a pattern is found or not within bounded time, or an FmfError of kind filter; what matches a whole text is found in it, and what is not found is not replaced",
  inputs: fc.record({
    pattern: texts(
      textsIn(patterns.map(({ pattern }) => pattern)),
      REGEX_TOKENS,
    ),
    text: fc.oneof(
      {
        weight: 30,
        arbitrary: texts(
          textsIn(patterns.map(({ text }) => text)).filter((text) =>
            text.length < 200
          ),
          ["a", "b", "\n", "é"],
        ),
      },
      // what keeps engines that backtrack busy
      {
        weight: 1,
        arbitrary: fc.tuple(
          fc.constantFrom("a", "ab", "a b", " ", "\n"),
          fc.constantFrom(10, 1000, 20_000),
        ).map(([part, times]) => part.repeat(times) + "!"),
      },
    ),
    template: fc.oneof(
      fc.constantFrom("", "x", "\\1", "\\g<0>", "\\g<n>", "\\q", "\\"),
      mutated(["<\\g<1>>", "a\\1b"]),
    ),
    ignoreCase: fc.boolean(),
  }),
  cost: 3,
  async check({ pattern, text, template, ignoreCase }) {
    const outcome = await outcomeOf(() => {
      const compiled = compilePattern(pattern, { ignoreCase });
      const isFound = compiled.found(text);
      if (compiled.matchesWhole(text)) ok(isFound);
      const replaced = compiled.replaceAll(text, template);
      if (!isFound) strictEqual(replaced, text);
    }, isFmfError);
    if (outcome.error) strictEqual((outcome.error as FmfError).kind, "filter");
  },
});

export const duration = target({
  name: "duration",
  oracle:
    "a duration is a number of milliseconds that is not negative, or an error that shows the value",
  inputs: fc.oneof(
    texts(
      textsIn(casesOf("fmf/duration").map(({ value }) => value)),
      ["1", "5", "s", "m", "h", "d", "+", "*", " ", ".", "e", "99999999"],
    ),
    fc.jsonValue({ maxDepth: 1 }),
  ),
  async check(value) {
    const outcome = await outcomeOf(
      () => parseDuration(value, 300_000),
      (error) => /^Cannot |duration/.test(error.message),
    );
    if (!outcome.error) {
      ok(
        outcome.value >= 0 && !Number.isNaN(outcome.value),
        `${outcome.value}`,
      );
    }
  },
});
