import {
  deepStrictEqual,
  notStrictEqual,
  ok,
  strictEqual,
} from "node:assert/strict";
import fc from "fast-check";
import {
  DuplicateResultError,
  type IngestInfo,
} from "../../aggregators/aggregator.ts";
import {
  finishJUnit,
  JUnitAggregator,
  type JUnitAggregatorOptions,
} from "../../aggregators/junit.ts";
import { BadResultsError, type Result } from "../../executors/results.ts";
import { cannotRun, missingPrograms } from "../_parts.ts";
import { rejected, thrown } from "../_thrown.ts";
import { contents, layOut, temporary } from "./_artifacts.ts";
import { type Element, parseReport, validate } from "./_junit.ts";
import { Place } from "./_place.ts";

const noXmllint = cannotRun("JUnit and xmllint", missingPrograms("xmllint"));

/** Starts an aggregator whose report is `junit.xml`. */
function start(
  place: Place,
  options: Partial<JUnitAggregatorOptions> = {},
): Promise<JUnitAggregator> {
  return place.start(
    new JUnitAggregator({ target: `${place.root}/junit.xml`, ...options }),
  );
}

/** The report of one test. */
async function reportOf(
  results: readonly Result[],
  {
    files = {},
    info,
    ...options
  }: Partial<JUnitAggregatorOptions> & {
    files?: Record<string, string>;
    info?: IngestInfo;
  } = {},
): Promise<Element> {
  await using place = new Place();
  const junit = await start(place, options);
  await junit.ingest("p", "/t", place.artifacts(results, files), info);
  await junit.stop();
  return parseReport(`${place.root}/junit.xml`);
}

/** Elements of a name in another one, at any depth. */
function find(element: Element, name: string): Element[] {
  return element.children.flatMap((child) => [
    ...(child.name === name ? [child] : []),
    ...find(child, name),
  ]);
}

async function outputOf(
  ...args: Parameters<typeof reportOf>
): Promise<string | undefined> {
  return find(await reportOf(...args), "system-out").at(-1)?.text;
}

/** What is to be read of a text without sequences for terminals. */
function readable(text: string): string {
  return Array.from(text, (character) => {
    const code = character.codePointAt(0)!;
    const isAllowed = code === 9 || code === 10 || code === 13 ||
      code >= 0x20 && code < 0xd800 || code > 0xdfff && code < 0xfffe ||
      code > 0xffff;
    return isAllowed ? character : "\ufffd";
  }).join("");
}

Deno.test({
  name:
    "JUnitAggregator: 20 000 random results are always XML, with all that can be in it",
  ignore: noXmllint,
  async fn() {
    const pieces = fc.constantFrom(
      ...[
        "]]>",
        "<![CDATA[",
        "<!--",
        "-->",
        "&lt;",
        "&#0;",
        "<a>",
        "</testcase>",
      ],
      ...["\u001b[31m", "\u001b]0;x\u0007", "\u001b(B", "\u009b1m", "\u0000"],
      ...["\r\n", "\r", "\t", "\ufffe", "\uffff", "\ud800", "\udfff", "\ufeff"],
      ...["\u{1ffff}", "😀", "'", '"', " ", "%", "\u2028", "\u0085", "a"],
    );
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.array(fc.integer({ min: 0, max: 0xffff }))
        .map((units) => String.fromCharCode(...units)),
      fc.array(pieces, { maxLength: 8 }).map((parts) => parts.join("")),
    );
    const status = fc.oneof(
      fc.constantFrom("pass", "fail", "error", "infra", "skip", "warn", "info"),
      text,
    );
    const note = fc.option(text, { nil: undefined });
    const result = fc.record({ status, note });
    const parts = fc.sample(fc.tuple(text, result), 18_000);
    const tests = fc.sample(fc.tuple(text, result), 2_000);
    const infos = fc.sample(
      fc.record({
        remote: text,
        attempt: fc.integer({ min: 1, max: 3 }),
        earlier: fc.array(fc.record({
          status: fc.constantFrom("fail" as const, "infra" as const),
          note: text,
        })),
        startedAt: fc.integer({ min: 0, max: 4e12 }),
        finishedAt: fc.integer({ min: 0, max: 4e12 }),
      }, { requiredKeys: [] }),
      tests.length,
    );
    await using place = new Place();
    const junit = await start(place, {
      outputTail: 100,
      attachments: "files",
    });
    const expected: Record<string, string | undefined>[][] = [[], [], []];
    for (const [i, [name, own]] of tests.entries()) {
      const test = `${i} ${name}`;
      const mine = parts.slice(i * 9, i * 9 + 9)
        .map(([name, result]) => ({ name: `s${name}`, ...result }));
      const directory = place.artifacts([
        ...mine,
        { ...own, files: ["output.txt", name] },
      ]);
      Deno.writeFileSync(
        `${directory}/files/output.txt`,
        crypto.getRandomValues(new Uint8Array(i % 500)),
      );
      await junit.ingest(`${i % 3} ${tests[0]![0]}`, test, directory, infos[i]);
      Deno.removeSync(directory, { recursive: true });
      expected[i % 3]!.push(
        ...mine.map((part) => ({ ...part, name: `${test} / ${part.name}` })),
        { ...own, name: test },
      );
    }
    await junit.stop();

    const target = `${place.root}/junit.xml`;
    validate(target);
    const suites = parseReport(target).children;
    let seen = 0;
    for (const [i, suite] of suites.entries()) {
      strictEqual(suite.children.length, expected[i]!.length);
      for (const [j, { attributes, children }] of suite.children.entries()) {
        const { name, note } = expected[i]![j]!;
        check(attributes.name, name!);
        const problem = children.find(({ name }) =>
          name === "failure" || name === "error"
        );
        if (problem) check(problem.text, note ?? "");
        if (problem) check(problem.attributes.message, note ?? "");
      }
    }
    strictEqual(suites.length, 3);
    ok(seen > 20_000, `${seen}`);

    /** What a terminal would take for a command is removed; everything else can be foretold. */
    function check(actual: string | undefined, text: string): void {
      if (text.includes("\u001b")) return;
      strictEqual(actual, readable(text));
      seen++;
    }
  },
});

Deno.test("JUnitAggregator removes sequences for terminals and shows what else is not allowed", async () => {
  const cases: [string, string][] = [
    ["\u001b[0;1;31mred\u001b[0m", "red"],
    ["\u001b[?25l\u001b[2J\u001b[10;20Hx", "x"],
    ["\u001b]0;title\u0007a\u001b]8;;http://x\u001b\\b", "ab"],
    ["\u001bPq#0\u001b\\a\u001b_G\u001b\\b\u001b^p\u0007", "q#0aGbp\ufffd"],
    ["\u001bXs\u001b\\", "s"],
    ["\u001b(B\u001b)0\u001b=\u001b7x\u001bM\u001bc", "x"],
    // not complete: only what must be goes
    ["\u001b]0;never ends", "0;never ends"],
    ["\u001b[12", "12"],
    ["\u001b", "\ufffd"],
    ["\u001b\u001b[0m[31mx", "\ufffd[31mx"],
    ["\u001b\n", "\ufffd\n"],
    [
      "\u0000\b\u000b\u001f\u007f\u0085",
      "\ufffd\ufffd\ufffd\ufffd\u007f\u0085",
    ],
    ["\ud800 \udc00 \ud83d\ude00 \ufffe", "\ufffd \ufffd 😀 \ufffd"],
    ["]]> <![CDATA[ &amp; &#x1b;", "]]> <![CDATA[ &amp; &#x1b;"],
    [" \r\n\t\r ", " \r\n\t\r "],
  ];
  for (const [note, expected] of cases) {
    const [failure] = find(
      await reportOf([{ status: "fail", note }]),
      "failure",
    );
    strictEqual(failure!.text, expected);
    strictEqual(failure!.attributes.message, expected);
  }
});

Deno.test("JUnitAggregator writes text of any length in time that grows with it only", async () => {
  for (
    const piece of [
      "\u001b]",
      "\u001b[",
      "\u001b[1;",
      "\u001bP\u001b(",
      "&<>\r",
      "\ud800",
    ]
  ) {
    const note = piece.repeat(500_000);
    const [failure] = find(
      await reportOf([{ status: "fail", note }]),
      "failure",
    );
    ok(failure!.text.length <= note.length);
  }
});

Deno.test("JUnitAggregator takes the end of what a test printed", async () => {
  const cases: [text: string, tail: number, expected: string | undefined][] = [
    ["", 10, undefined],
    ["abc", 0, undefined],
    ["abc", 3, "abc"],
    ["abc\n", 3, "[…]\nbc\n"],
    ["😀ž漢😀", 4, "😀ž漢😀"],
    ["😀ž漢😀", 3, "[…]\nž漢😀"],
    ["x".repeat(100) + "😀", 1, "[…]\n😀"],
    ["漢".repeat(50), 5, "[…]\n漢漢漢漢漢"],
    ["x".repeat(65537), 65536, `[…]\n${"x".repeat(65536)}`],
    ["x".repeat(65536), 65536, "x".repeat(65536)],
    // what is for a terminal does not count, and is not cut into
    ["\u001b[31mred\u001b[0m", 3, "red"],
    ["a\u001b[1;31mred\u001b[0m", 5, "ared"],
    ["a\u001b[1;31mred\u001b[0m", 3, "[…]\nred"],
    ["\u001b[1;31mr\u001b[0m".repeat(5000), 4000, `[…]\n${"r".repeat(4000)}`],
  ];
  for (const [text, outputTail, expected] of cases) {
    strictEqual(
      await outputOf([{ files: ["./output.txt"] }], {
        files: { "output.txt": text },
        outputTail,
      }),
      expected,
    );
  }
  // it was not listed, or not written
  const files = { "output.txt": "x", "s/output.txt": "of a part" };
  strictEqual(await outputOf([{ files: ["x"] }], { files }), undefined);
  strictEqual(await outputOf([{ files: ["output.txt"] }]), undefined);
  strictEqual(
    await outputOf([{ name: "s", files: ["output.txt"] }], { files }),
    "of a part",
  );
});

Deno.test("JUnitAggregator survives output that is no text", async () => {
  await using place = new Place();
  const junit = await start(place, { outputTail: 10 });
  const bytes = new Uint8Array(1000).fill(0x80);
  for (const size of [1, 39, 40, 41, 1000]) {
    const artifacts = place.artifacts([{ files: ["output.txt"] }]);
    Deno.writeFileSync(
      `${artifacts}/files/output.txt`,
      bytes.subarray(0, size),
    );
    await junit.ingest("p", `/${size}`, artifacts);
  }
  await junit.stop();
  for (
    const { text } of find(
      parseReport(`${place.root}/junit.xml`),
      "system-out",
    )
  ) ok(/^(?:\[…\]\n)?\ufffd{1,10}$/.test(text), JSON.stringify(text));
});

Deno.test("JUnitAggregator reads no file but those of the test", async () => {
  await using place = new Place();
  await using elsewhere = temporary();
  Deno.writeTextFileSync(`${elsewhere.path}/output.txt`, "a secret");
  const junit = await start(place);
  const links: [string, string][] = [
    ["output.txt", `${elsewhere.path}/output.txt`],
    ["output.txt", "output.txt"],
    ["output.txt", "/dev/zero"],
    ["s", elsewhere.path],
  ];
  for (const [i, [link, aim]] of links.entries()) {
    const artifacts = place.artifacts([
      { name: "s", files: ["output.txt"] },
      { name: "../../..", files: ["output.txt"] },
      { files: ["output.txt"] },
    ]);
    Deno.symlinkSync(aim, `${artifacts}/files/${link}`);
    await junit.ingest("p", `/${i}`, artifacts);
  }
  const pipe = place.artifacts([{ files: ["output.txt"] }]);
  ok(
    new Deno.Command("mkfifo", { args: [`${pipe}/files/output.txt`] })
      .outputSync().success,
  );
  await junit.ingest("p", "/pipe", pipe);
  // within the test a link is as good as a file
  const inside = place.artifacts([{ files: ["output.txt"] }], { log: "mine" });
  Deno.symlinkSync("log", `${inside}/files/output.txt`);
  await junit.ingest("p", "/inside", inside);
  await junit.stop();
  const report = parseReport(`${place.root}/junit.xml`);
  deepStrictEqual(
    find(report, "system-out").map(({ text }) => text),
    ["mine"],
  );
});

Deno.test("JUnitAggregator names files for CI services, and lets no test name any", async () => {
  const attachment = "[[ATTACHMENT|/etc/shadow]]";
  strictEqual(
    await outputOf(
      [{ files: ["output.txt", "../a\n]]b.png", "/abs", "", ".."] }],
      {
        attachments: "ci/files/",
        files: {
          "output.txt":
            `${attachment}\n[\u001b[0m[ATTACHMENT|x]]\n[\u001b\u001b[0m[31m[ATTACHMENT|`,
        },
      },
    ),
    `[ [ATTACHMENT|/etc/shadow]]
[ [ATTACHMENT|x]]
[\ufffd[31m[ATTACHMENT|
[[ATTACHMENT|ci/files/p/t/output.txt]]
[[ATTACHMENT|ci/files/p/t/a_]]b.png]]
[[ATTACHMENT|ci/files/p/t/abs]]
`,
  );
  strictEqual(
    await outputOf([{ name: "a/../s", files: ["x"] }], { attachments: "" }),
    "[[ATTACHMENT|/p/t/a/s/x]]\n",
  );
  // also without any
  strictEqual(
    await outputOf([{ files: ["output.txt"] }], {
      files: { "output.txt": attachment },
    }),
    "[ [ATTACHMENT|/etc/shadow]]",
  );
});

Deno.test("JUnitAggregator takes an empty note for none", async () => {
  const skipped = async (status: string) => {
    const report = await reportOf([{ status, note: "" }]);
    return find(report, "skipped").map(({ attributes }) => attributes.message);
  };
  deepStrictEqual(await skipped("skip"), [undefined]);
  deepStrictEqual(await skipped("odd"), ["status: odd"]);
  deepStrictEqual(await skipped(""), ["status: none"]);
});

Deno.test("JUnitAggregator lets statuses be something else", async () => {
  const report = await reportOf([
    { name: "a", status: "warn" },
    { name: "b", status: "blocked", note: "by a bug" },
    { name: "c", status: "skip" },
    { name: "d", status: "known" },
    { name: "e", status: "toString" },
    { name: "f", status: "infra" },
    { name: "g", status: "" },
    { status: "fail" },
  ], {
    statusMap: {
      warn: "failure",
      blocked: "error",
      known: "passed",
      infra: "skipped",
    },
  });
  const shown = find(report, "testcase").map(({ attributes, children }) => [
    attributes.name,
    ...children.filter(({ name }) => name !== "properties").map((
      { name, attributes },
    ) => [name, attributes.type, attributes.message]),
  ]);
  deepStrictEqual(shown, [
    ["/t / a", ["failure", "warn", ""]],
    ["/t / b", ["error", "blocked", "by a bug"]],
    ["/t / c", ["skipped", undefined, undefined]],
    ["/t / d"],
    ["/t / e", ["skipped", undefined, "status: toString"]],
    ["/t / f", ["skipped", undefined, "status: infra"]],
    ["/t / g", ["skipped", undefined, "status: none"]],
    ["/t", ["failure", "fail", ""]],
  ]);
});

Deno.test("JUnitAggregator adds up times, and takes no nonsense from clocks", async () => {
  await using place = new Place();
  const junit = await start(place, { name: "nightly & more" });
  const infos: IngestInfo[] = [
    { startedAt: 5_000, finishedAt: 6_500.4 },
    { startedAt: 4_999, finishedAt: 4_000 },
    { startedAt: 7_000 },
    { finishedAt: 7_000 },
    { startedAt: NaN, finishedAt: Infinity },
  ];
  for (const [i, info] of infos.entries()) {
    await junit.ingest("p", `/${i}`, place.artifacts(), info);
    await junit.ingest("q", `/${i}`, place.artifacts());
  }
  await junit.stop();
  const report = parseReport(`${place.root}/junit.xml`);
  const [p, q] = report.children;
  deepStrictEqual(
    [report, p, q].map((it) => [
      it!.attributes.name,
      it!.attributes.time,
      it!.attributes.timestamp,
    ]),
    [
      ["nightly & more", "1.500", undefined],
      ["p", "1.500", "1970-01-01T00:00:04"],
      ["q", "0.000", undefined],
    ],
  );
});

Deno.test("JUnitAggregator only reads the artifacts", async () => {
  await using place = new Place();
  const junit = await start(place);
  ok(junit.readsOnly);
  const artifacts = place.artifacts([{ files: ["f"] }], { f: "1" });
  const before = contents(artifacts);
  await junit.ingest("p", "/t", artifacts);
  deepStrictEqual(contents(artifacts), before);
});

Deno.test("JUnitAggregator takes all of a test or nothing", async () => {
  await using place = new Place();
  const junit = await start(place);
  const part = `${place.root}/junit.xml.part`;
  await junit.ingest("p", "/t", place.artifacts());
  const before = Deno.readTextFileSync(part);
  const bad = place.artifacts([{ name: "s", status: "pass" }]);
  Deno.writeTextFileSync(`${bad}/results`, '{"name":"s"}\nnonsense\n');
  const missing = place.artifacts();
  Deno.removeSync(`${missing}/results`);
  await rejected(junit.ingest("p", "/u", bad), BadResultsError);
  await rejected(junit.ingest("p", "/u", missing), Deno.errors.NotFound);
  await rejected(
    junit.ingest("p", "/t", place.artifacts()),
    DuplicateResultError,
  );
  strictEqual(Deno.readTextFileSync(part), before);
  await junit.ingest("p", "/u", place.artifacts());
  await junit.stop();
  const report = parseReport(`${place.root}/junit.xml`);
  strictEqual(find(report, "testcase").length, 2);
});

Deno.test("JUnitAggregator numbers duplicates if they are allowed", async () => {
  await using place = new Place();
  const junit = await start(place, {
    allowDuplicate: true,
    attachments: "files",
  });
  await Promise.all([0, 1, 2].map((i) =>
    junit.ingest(
      "p",
      "/t",
      place.artifacts([{ name: "s" }, { note: `${i}`, files: ["f"] }]),
    )
  ));
  await junit.stop();
  const report = parseReport(`${place.root}/junit.xml`);
  deepStrictEqual(
    find(report, "testcase").map(({ attributes, children }) => [
      attributes.name,
      children.find(({ name }) => name === "system-out")?.text,
    ]),
    [
      ["/t / s", undefined],
      ["/t", "[[ATTACHMENT|files/p/t/f]]\n"],
      ["/t (1) / s", undefined],
      ["/t (1)", "[[ATTACHMENT|files/p/t (1)/f]]\n"],
      ["/t (2) / s", undefined],
      ["/t (2)", "[[ATTACHMENT|files/p/t (2)/f]]\n"],
    ],
  );
});

Deno.test("JUnitAggregator keeps the cases of a test together, whatever runs at once", async () => {
  await using place = new Place();
  const junit = await start(place);
  const subtests = Array.from({ length: 50 }, (_, i) => ({ name: `${i}` }));
  await Promise.all(Array.from({ length: 60 }, (_, i) =>
    junit.ingest(
      `p${i % 7}`,
      `/${i}`,
      place.artifacts([...subtests, { status: "pass" }]),
    )));
  await junit.stop();
  const report = parseReport(`${place.root}/junit.xml`);
  strictEqual(report.children.length, 7);
  for (const { children } of report.children) {
    for (let at = 0; at < children.length; at += 51) {
      const test = children[at + 50]!.attributes.name;
      deepStrictEqual(
        children.slice(at, at + 51).map(({ attributes }) => attributes.name),
        [...subtests.map(({ name }) => `${test} / ${name}`), test],
      );
    }
  }
});

Deno.test("JUnitAggregator ingests between start() and stop() only, and starts over nothing", async () => {
  await using place = new Place();
  const target = `${place.root}/a/b/junit.xml`;
  const junit = new JUnitAggregator({ target: new URL(`file://${target}`) });
  const ingest = () => junit.ingest("p", "/t", place.artifacts());
  await junit.stop();
  await rejected(ingest(), Error, "not started");
  strictEqual(await junit.start(), junit);
  await rejected(junit.start(), Error, "twice");
  const done = ingest();
  await Promise.all([junit.stop(), junit[Symbol.asyncDispose](), done]);
  deepStrictEqual(Object.keys(contents(`${place.root}/a`)), ["b/junit.xml"]);
  await rejected(ingest(), Error, "not started");
  await rejected(junit.start(), Deno.errors.AlreadyExists, target);
  Deno.renameSync(target, `${target}.part`);
  await rejected(junit.start(), Deno.errors.AlreadyExists, "finishJUnit()");
  Deno.removeSync(`${target}.part`);
  await junit.start();
  await ingest();
  await junit.stop();
  strictEqual(parseReport(target).children.length, 1);

  Deno.writeTextFileSync(`${place.root}/file`, "");
  const nowhere = new JUnitAggregator({
    target: `${place.root}/new/../file/junit.xml`,
  });
  const before = contents(place.root);
  await rejected(nowhere.start(), Error);
  deepStrictEqual(contents(place.root), before);
});

Deno.test("JUnitAggregator without a test is a report all the same", async () => {
  await using place = new Place();
  await (await start(place)).stop();
  strictEqual(
    Deno.readTextFileSync(`${place.root}/junit.xml`),
    `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="atex" tests="0" failures="0" errors="0" skipped="0" time="0.000">
</testsuites>
`,
  );
});

Deno.test("JUnitAggregator refuses options that make no sense", () => {
  for (const outputTail of [-1, 1.5, NaN, Infinity]) {
    thrown(
      () => new JUnitAggregator({ target: "x", outputTail }),
      RangeError,
      `${outputTail} characters`,
    );
  }
});

Deno.test("finishJUnit() makes the report of what a killed script left, of whole tests only", async () => {
  await using place = new Place();
  const junit = await start(place, {
    name: "of a killed script",
    statusMap: { known: "passed" },
  });
  const target = `${place.root}/junit.xml`;
  const results = [{ name: "s", status: "fail" }, { status: "known" }];
  await junit.ingest("p", "/ž", place.artifacts(results), { remote: "r" });
  const first = Deno.statSync(`${target}.part`).size;
  await junit.ingest("q", "/u", place.artifacts(results));
  const part = Deno.readFileSync(`${target}.part`);
  await junit.stop();
  const whole = Deno.readTextFileSync(target);
  Deno.removeSync(target);
  const header = part.indexOf(10) + 1;
  for (let end = 0; end <= part.length; end++) {
    Deno.writeFileSync(`${target}.part`, part.subarray(0, end));
    strictEqual(
      await finishJUnit(
        end % 2 ? `${target}.part` : new URL(`file://${target}.part`),
      ),
      target,
    );
    const report = parseReport(target);
    strictEqual(
      report.attributes.name,
      end >= header ? "of a killed script" : "atex",
    );
    deepStrictEqual(
      find(report, "testcase").map(({ attributes }) => attributes.name),
      ["/ž / s", "/ž", "/u / s", "/u"].slice(
        0,
        end === part.length ? 4 : end >= first ? 2 : 0,
      ),
    );
    if (end === part.length) {
      strictEqual(Deno.readTextFileSync(target), whole);
    }
    deepStrictEqual(place.entries(), ["junit.xml"]);
    Deno.removeSync(target);
  }
});

Deno.test("finishJUnit() makes a valid report of a part that somebody changed", async () => {
  await using place = new Place();
  const junit = await start(place, { statusMap: { warn: "failure" } });
  for (const status of ["warn", "fail"]) {
    const artifacts = place.artifacts([{ status }]);
    await junit.ingest("p", `/${status}`, artifacts);
  }
  const target = `${place.root}/junit.xml`;
  const part = Deno.readTextFileSync(`${target}.part`);
  await junit.stop();
  Deno.removeSync(target);
  for (
    const [map, failures] of [['{"warn":"fail","fail":"nope"}', 1], [
      "null",
      1,
    ]] as const
  ) {
    const changed = part.replace('{"warn":"failure"}', map);
    notStrictEqual(changed, part);
    Deno.writeTextFileSync(`${target}.part`, changed);
    await finishJUnit(`${target}.part`);
    strictEqual(find(parseReport(target), "failure").length, failures);
    Deno.removeSync(target);
  }
});

Deno.test("finishJUnit() finishes nothing but a part that no run writes to", async () => {
  await using place = new Place();
  const target = `${place.root}/junit.xml`;
  const part = `${target}.part`;
  await rejected(finishJUnit(target), TypeError, '".part"');
  await rejected(finishJUnit(part), Deno.errors.NotFound, "no such file");
  const junit = await start(place);
  await rejected(finishJUnit(part), Deno.errors.Busy, "has not ended");
  await junit.ingest("p", "/t", place.artifacts());
  const good = Deno.readTextFileSync(part);
  await junit.stop();
  Deno.removeSync(target);
  const [header, line] = good.split("\n");
  for (
    const [text, number] of [
      ["nonsense\n", 1],
      ["null\n", 1],
      ['{"format":"atex-junit"}\n', 1],
      [`${header}\n${line}\nnonsense\n${line}\n`, 3],
      [`${header}\n{"platform":"p"}\n`, 2],
    ] as const
  ) {
    Deno.writeTextFileSync(part, text!);
    const error = await rejected(finishJUnit(part), Error, "finishJUnit()");
    ok(error.cause instanceof BadResultsError, text);
    strictEqual(error.cause.line, number);
    deepStrictEqual(place.entries(), ["junit.xml.part"]);
  }
  Deno.writeTextFileSync(part, '["p","pass","/t",null,[],null]\n');
  await rejected(finishJUnit(part), TypeError, "finishResults()");
  deepStrictEqual(place.entries(), ["junit.xml.part"]);
});

Deno.test("finishJUnit() removes a part whose report was made, and nothing else", async () => {
  await using place = new Place();
  const target = `${place.root}/junit.xml`;
  const part = `${target}.part`;
  const junit = await start(place);
  await junit.ingest("p", "/t", place.artifacts());
  const good = Deno.readTextFileSync(part);
  await junit.stop();
  const report = Deno.readTextFileSync(target);
  Deno.writeTextFileSync(part, good);
  layOut(`${part}.work`, [], { made: "half" });
  await finishJUnit(part);
  deepStrictEqual(place.entries(), ["junit.xml"]);
  Deno.writeTextFileSync(part, good.replaceAll("/t", "/u"));
  await rejected(finishJUnit(part), Deno.errors.AlreadyExists, part);
  deepStrictEqual(place.entries(), ["junit.xml", "junit.xml.part"]);
  strictEqual(Deno.readTextFileSync(target), report);
});
