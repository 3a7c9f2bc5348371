import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { parse } from "@std/yaml/parse";
import fc from "fast-check";
import { parseAllDocuments } from "yaml";
import { DuplicateResultError } from "../../aggregators/aggregator.ts";
import { readResults } from "../../aggregators/reader.ts";
import { YamlAggregator } from "../../aggregators/yaml.ts";
import {
  BadResultsError,
  normalisePath,
  type Result,
} from "../../executors/results.ts";
import { rejected } from "../_thrown.ts";
import { contents } from "./_artifacts.ts";
import { decompressed } from "./_decompressed.ts";
import { Place } from "./_place.ts";

/** Starts an aggregator of a place. */
function start(
  place: Place,
  options: { allowDuplicate?: boolean } = {},
): Promise<YamlAggregator> {
  return place.start(
    new YamlAggregator({ ...place.paths(".yaml"), ...options }),
  );
}

/** Documents of a text, which readers of both versions must understand in the same way. */
function documentsIn(text: string): unknown[] {
  const [one, other] = (["1.1", "1.2"] as const).map((version) =>
    parseAllDocuments(text, { version }).map((document) => {
      deepStrictEqual(document.errors, []);
      deepStrictEqual(document.warnings, []);
      return document.toJS();
    })
  );
  deepStrictEqual(one, other);
  return one!;
}

/** Text that begins a number, a date, a mark of YAML, or what else may be misunderstood. */
const TRICKY = [
  ..."-?:,[]{}#&*!|>'\"%@`~=<. \t\n\r\u0085\u00a0\u2028\u2029\ufeff\ufffe\u0000\u0007\u001b\u007f\u009b\u202e\u200b",
  "😀",
  "\u{1fffe}",
  "\u{10ffff}",
  "\ud800",
  "\udc00x",
  "",
  "- ",
  "? x",
  "a: b",
  "a:",
  "a #b",
  "#a",
  "---",
  "...",
  "--- a",
  "<<",
  "=",
  "null",
  "Null",
  "NULL",
  "~",
  "true",
  "True",
  "yes",
  "Yes",
  "YES",
  "no",
  "NO",
  "on",
  "Off",
  "y",
  "N",
  "nan",
  ".nan",
  ".NaN",
  ".inf",
  "-.INF",
  "0",
  "+1",
  "-1",
  "1_000",
  "0b1",
  "0o7",
  "07",
  "0x1F",
  "1e3",
  "1.0",
  "1.",
  ".5",
  "1:30",
  "190:20:30",
  "1:30.5",
  "2026-01-01",
  "2026-01-01 10:00:00",
  "2026-01-01T10:00:00Z",
  "10.1@s390x",
  "9/10",
  "1 @",
  "e3",
  "E-07",
  " leading",
  "trailing ",
  "\ttab",
  "a\tb",
  "line\nline",
  "line\n",
  "line\n\n",
  "\nline",
  " line\nline",
  "line \nline",
  "line\n  more\n\n\n less",
  "line\n \nline",
  "line\r\nline",
  "line\n---\nline\n...\n",
  "# no comment\n# no comment",
  "- a\n- b",
  "a: b\nc: d",
  "|\n",
  "%YAML 1.2\n---\n",
  "!!python/object:x y",
  "&a *a",
  "a".repeat(2000),
  `${"word ".repeat(500)}\nword`,
];

Deno.test("YamlAggregator writes any text so that readers of YAML 1.1 and 1.2 get it back", async () => {
  await using place = new Place();
  const aggregator = await start(place);
  const shown = [...new Set(TRICKY)].filter((text) => text !== "");
  await aggregator.ingest(
    "p",
    "/t",
    place.artifacts([
      ...shown.map((text) => ({
        name: text,
        status: text,
        note: text,
        files: [text, "x"],
      })),
      { files: shown, status: "no", note: "null" },
    ]),
  );
  const names = shown.filter((text) => normalisePath(text) !== "");
  for (const text of names) {
    const artifacts = place.artifacts([{ status: text, note: text }]);
    await aggregator.ingest(text, text, artifacts);
  }
  await aggregator.stop();
  const text = Deno.readTextFileSync(place.paths(".yaml").results);
  // nothing for a terminal, nothing that cannot be seen
  ok(!/[^\P{C}\n]|\p{Zl}|\p{Zp}/u.test(text));
  const [first, ...others] = documentsIn(text);
  const expected = shown.map((text) => text.toWellFormed());
  deepStrictEqual(first, {
    platform: "p",
    name: "/t",
    status: "no",
    files: expected,
    note: "null",
    subtests: expected.map((text) => ({
      name: text,
      status: text,
      files: [text, "x"],
      note: text,
    })),
  });
  deepStrictEqual(
    others,
    names.map((name) => name.toWellFormed()).map((name) => ({
      platform: name,
      name,
      status: name,
      note: name,
    })),
  );
  // and the other parser that we have
  deepStrictEqual(
    parse(text.split(/^(?=---$)/m)[0]!, { schema: "default" }),
    first,
  );
});

Deno.test("YamlAggregator writes random texts so that readers get them back", async () => {
  await using place = new Place();
  const aggregator = await start(place, { allowDuplicate: true });
  const text = fc.oneof(
    fc.string({ unit: "binary", minLength: 1 }),
    fc.string({ unit: "grapheme", minLength: 1 }),
    fc.array(
      fc.constantFrom(...TRICKY, "a", " ", "\n", "\n\n", ": ", " #", "'", '"'),
      { minLength: 1, maxLength: 6 },
    ).map((parts) => parts.join("")),
  ).filter((text) => text !== "");
  const results = fc.array(
    fc.record(
      { name: text, status: text, note: text, files: fc.array(text) },
      { requiredKeys: [] },
    ),
    { maxLength: 6 },
  );
  const expected: unknown[] = [];
  await fc.assert(
    fc.asyncProperty(results, async (results) => {
      await aggregator.ingest("p", "/t", place.artifacts(results));
      expected.push(documentOf(results, expected.length));
    }),
    { numRuns: 1500 },
  );
  await aggregator.stop();
  deepStrictEqual(
    documentsIn(Deno.readTextFileSync(place.paths(".yaml").results)),
    expected,
  );
});

/** The document that is to come of results. */
function documentOf(results: readonly Result[], count: number): unknown {
  const wellFormed = ({ name, status, files, note }: Result) =>
    JSON.parse(
      JSON.stringify({
        name: name?.toWellFormed(),
        status: status?.toWellFormed(),
        files: files?.length
          ? files.map((file) => file.toWellFormed())
          : undefined,
        note: note?.toWellFormed(),
      }),
    );
  const own = results.filter(({ name }) => name === undefined);
  const named = results.filter(({ name }) => name !== undefined);
  return {
    platform: "p",
    ...wellFormed({
      name: count > 0 ? `/t (${count})` : "/t",
      ...Object.assign({}, ...own.map(({ status }) => status && { status })),
      ...Object.assign({}, ...own.map(({ note }) => note && { note })),
      files: own.flatMap(({ files = [] }) => files),
    }),
    ...(named.length > 0 && { subtests: named.map(wellFormed) }),
  };
}

Deno.test("YamlAggregator is for people to read", async () => {
  await using place = new Place();
  const aggregator = await start(place);
  await aggregator.ingest(
    "10.1@s390x",
    "/net/sockets",
    place.artifacts([
      { name: "accept", status: "pass", files: ["trace.txt", "a: b"] },
      { name: "bind 0.0.0.0", note: "two lines\n  - of a note\n" },
      { files: ["output.txt"] },
      { status: "fail", note: "errno 98, address in use" },
    ]),
  );
  await aggregator.ingest("1.0", "/no", place.artifacts([]));
  await aggregator.stop();
  strictEqual(
    Deno.readTextFileSync(place.paths(".yaml").results),
    `---
platform: 10.1@s390x
name: /net/sockets
status: fail
files:
- output.txt
note: errno 98, address in use
subtests:
- name: accept
  status: pass
  files:
  - trace.txt
  - "a: b"
- name: bind 0.0.0.0
  note: |
    two lines
      - of a note
---
platform: "1.0"
name: /no
`,
  );
});

Deno.test("YamlAggregator takes all of a test or nothing, and moves its files", async () => {
  await using place = new Place();
  const aggregator = await start(place);
  const { results, files } = place.paths(".yaml");
  deepStrictEqual(
    await aggregator.ingest(
      "p",
      "/t",
      place.artifacts([{ files: ["a/log"] }], { "a/log": "1" }),
    ),
    { directory: `${files}/p/t`, output: `${files}/p/t/a/log` },
  );
  const before = Deno.readTextFileSync(results);
  const bad = place.artifacts([{}], { f: "2" });
  Deno.writeTextFileSync(`${bad}/results`, '{"status":3}\n');
  const same = place.artifacts([{}], { f: "3" });
  const clash = place.artifacts([{}], { "a/log": "4" });
  for (
    const [test, artifacts, type] of [
      ["/u", bad, BadResultsError],
      ["/t", same, DuplicateResultError],
      ["t", clash, Deno.errors.AlreadyExists],
    ] as const
  ) {
    const laid = contents(artifacts);
    await rejected(aggregator.ingest("p", test, artifacts), type);
    deepStrictEqual(contents(artifacts), laid);
  }
  strictEqual(Deno.readTextFileSync(results), before);
  deepStrictEqual(contents(files), { "p/t/a/log": "1" });
});

Deno.test("YamlAggregator compresses results and files", async () => {
  await using place = new Place();
  const paths = place.paths(".yaml.gz");
  const aggregator = await place.start(
    new YamlAggregator({ ...paths, compression: { format: "gzip" } }),
  );
  await aggregator.ingest(
    "p",
    "/t",
    place.artifacts([{ name: "s", files: ["x"] }, { files: ["y", "ghost"] }], {
      "s/x": "1",
      "y": "2",
    }),
  );
  await aggregator.stop();
  deepStrictEqual(documentsIn(decompressed(paths.results, "gzip")), [{
    platform: "p",
    name: "/t",
    files: ["y.gz", "ghost"],
    subtests: [{ name: "s", files: ["x.gz"] }],
  }]);
  deepStrictEqual(Object.keys(contents(paths.files)), [
    "p/t/s/x.gz",
    "p/t/y.gz",
  ]);
});

Deno.test("YamlAggregator appends tests that are larger than memory should be", async () => {
  await using place = new Place();
  const aggregator = await start(place);
  const note = "ž".repeat(5000);
  const large = place.artifacts([
    ...Array.from({ length: 2000 }, (_, i) => ({ name: `s${i}`, note })),
    { status: "pass" },
  ]);
  await Promise.all([
    aggregator.ingest("p", "/large", large),
    aggregator.ingest("p", "/small", place.artifacts()),
  ]);
  await aggregator.stop();
  const { results } = place.paths(".yaml");
  ok(Deno.statSync(results).size > 20_000_000);
  let count = 0;
  for await (const result of readResults(results)) {
    if (result.test === "/small") continue;
    const platform = "p";
    deepStrictEqual(
      result,
      count < 2000
        ? { platform, test: "/large", subtest: `s${count}`, files: [], note }
        : { platform, test: "/large", status: "pass", files: [] },
    );
    count++;
  }
  strictEqual(count, 2001);
});
