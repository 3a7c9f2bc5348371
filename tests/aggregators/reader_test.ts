import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { constants, gzipSync, zstdCompressSync } from "node:zlib";
import { JsonLinesAggregator, readJsonLines } from "../../aggregators/jsonl.ts";
import { readResults, type StoredResult } from "../../aggregators/reader.ts";
import { YamlAggregator } from "../../aggregators/yaml.ts";
import { BadResultsError, type Result } from "../../executors/results.ts";
import { rejected } from "../_thrown.ts";
import { Place } from "./_place.ts";

const RESULTS: [test: string, results: Result[]][] = [
  ["/a", [
    { name: "s", status: "pass", files: ["x", "y"] },
    { name: "t", note: "--- ž\n---\n..." },
    { status: "fail", note: "- [", files: ["output.txt"] },
  ]],
  ["/b", [{ status: "null", note: "1.0" }]],
  ["/c", [{ name: "only a part", status: "skip" }]],
];

const READ: StoredResult[] = RESULTS.flatMap(([test, results]) =>
  results.map(({ name, status, note, files = [] }) => ({
    platform: "1.0",
    test,
    ...(name && { subtest: name }),
    ...(status && { status }),
    files,
    ...(note && { note }),
  }))
);

/** Files of the same results, by form. */
async function stored(place: Place): Promise<Record<string, Uint8Array>> {
  const forms: Record<string, Uint8Array> = {};
  for (const form of ["jsonl", "yaml"]) {
    const paths = {
      results: `${place.root}/${form}`,
      files: `${place.root}/files-${form}`,
    };
    const aggregator = form === "jsonl"
      ? await place.start(new JsonLinesAggregator(paths))
      : await place.start(new YamlAggregator(paths));
    for (const [test, results] of RESULTS) {
      await aggregator.ingest("1.0", test, place.artifacts(results));
    }
    await aggregator.stop();
    forms[form] = Deno.readFileSync(paths.results);
  }
  return forms;
}

Deno.test("readResults() gives the same for each form, compressed or not", async () => {
  await using place = new Place();
  for (const [form, bytes] of Object.entries(await stored(place))) {
    for (
      const compress of [
        (plain: Uint8Array) => plain,
        gzipSync,
        zstdCompressSync,
      ]
    ) {
      const path = `${place.root}/any-name`;
      Deno.writeFileSync(path, compress(bytes));
      const read = await Array.fromAsync(readResults(path));
      deepStrictEqual(read, READ, form);
      // whoever has enough leaves nothing open
      for await (const first of readResults(new URL(`file://${path}`))) {
        deepStrictEqual(first, READ[0]);
        break;
      }
    }
  }
});

Deno.test("readResults() reads what a killed run had not compressed yet", async () => {
  await using place = new Place();
  const { jsonl } = await stored(place);
  const path = `${place.root}/results.jsonl.gz`;
  await rejected(
    Array.fromAsync(readResults(path)),
    Deno.errors.NotFound,
    path,
  );
  Deno.writeFileSync(`${path}.part`, jsonl!);
  deepStrictEqual(await Array.fromAsync(readResults(path)), READ);
  Deno.writeFileSync(path, gzipSync(""));
  deepStrictEqual(await Array.fromAsync(readResults(path)), []);
});

Deno.test("readResults() gives what is whole of a file that was cut anywhere", async () => {
  await using place = new Place();
  const { jsonl, yaml } = await stored(place);
  const path = `${place.root}/cut`;
  for (let end = 0; end <= jsonl!.length; end++) {
    Deno.writeFileSync(path, jsonl!.subarray(0, end));
    deepStrictEqual(
      await Array.fromAsync(readResults(path)),
      await Array.fromAsync(readJsonLines(path)),
    );
  }
  const text = new TextDecoder().decode(yaml);
  const starts = [...text.matchAll(/^---$/gm)].map(({ index }) => index);
  for (let end = 0; end <= yaml!.length; end++) {
    const bytes = yaml!.subarray(0, end);
    Deno.writeFileSync(path, bytes);
    const read = await Array.fromAsync(readResults(path));
    // all documents that are followed by another one, whatever became of that
    const length = new TextDecoder().decode(bytes).length;
    const whole = starts.filter((start, i) => i > 0 && start < length).length;
    const expected = READ.filter(({ test }) =>
      RESULTS.findIndex(([name]) => name === test) < whole
    );
    deepStrictEqual(read.slice(0, expected.length), expected, `${end}`);
    // of the last one, something only if it ends with a line, as far as one can tell
    const last = /\n-?$/.test(text.slice(0, length))
      ? RESULTS[whole]?.[0]
      : undefined;
    for (const { test } of read.slice(expected.length)) strictEqual(test, last);
  }
});

Deno.test("readResults() takes an empty file for no results, and a test without results for one", async () => {
  await using place = new Place();
  const path = `${place.root}/results`;
  for (const text of ["", "\n", " \n\n", "---\n"]) {
    Deno.writeTextFileSync(path, text);
    deepStrictEqual(await Array.fromAsync(readResults(path)), []);
  }
  Deno.writeTextFileSync(path, "---\nplatform: p\nname: /t\n");
  deepStrictEqual(await Array.fromAsync(readResults(path)), [
    { platform: "p", test: "/t", files: [] },
  ]);
});

Deno.test("readResults() reads what other tools write as YAML", async () => {
  await using place = new Place();
  const path = `${place.root}/results`;
  Deno.writeTextFileSync(
    path,
    `platform: '1.0'
name: "/\\u010Dau"
status: 2026-01-01
note: word0 word1
  word2

  word3
files:
  - 1e3
  - |
    x
subtests: [{name: no, note: "\\x07 \\U0001F600"}]
...
---
{platform: p, name: /t, files: [], subtests: []}
--- # a comment
platform: p
name: /u
note:
`,
  );
  deepStrictEqual(await Array.fromAsync(readResults(path)), [
    {
      platform: "1.0",
      test: "/čau",
      subtest: "no",
      note: "\u0007 😀",
      files: [],
    },
    {
      platform: "1.0",
      test: "/čau",
      status: "2026-01-01",
      note: "word0 word1 word2\nword3",
      files: ["1e3", "x\n"],
    },
    { platform: "p", test: "/t", files: [] },
    { platform: "p", test: "/u", files: [] },
  ]);
});

Deno.test("readResults() names the line where something begins that it does not understand", async () => {
  await using place = new Place();
  const path = `${place.root}/results`;
  const good = "---\nplatform: p\nname: /t\n";
  for (
    const bad of [
      "- platform",
      "text",
      "status: pass",
      "platform: [p]\nname: /u",
      "platform: p\nname: /u\nstatus: [x]",
      "platform: p\nname: /u\nfiles: x",
      "platform: p\nname: /u\nfiles: [[x]]",
      "platform: p\nname: /u\nsubtests: x",
      "platform: p\nname: /u\nsubtests: [x]",
      "platform: p\nname: /u\nsubtests: [{status: pass}]",
      "platform: p\nname: /u\nnote: 'never ends",
      "platform: p\nname: /u\nname: /v",
    ]
  ) {
    Deno.writeTextFileSync(path, `${good}---\n${bad}\n${good}`);
    const error = await rejected(
      Array.fromAsync(readResults(path)),
      BadResultsError,
      path,
    );
    strictEqual(error.line, 4, bad);
  }
  Deno.writeTextFileSync(path, '["p",null,"/t",null,[],null]\nnonsense\n');
  strictEqual(
    (await rejected(Array.fromAsync(readResults(path)), BadResultsError)).line,
    2,
  );
  await rejected(
    Array.fromAsync(readResults(`${place.root}/nothing`)),
    Deno.errors.NotFound,
    "nothing",
  );
});

Deno.test("readResults() names the file that is not whole", async () => {
  await using place = new Place();
  const path = `${place.root}/results`;
  const lines = '["p",null,"/t",null,[],null]\n'.repeat(5000);
  for (const compress of [gzipSync, zstdCompressSync]) {
    const bytes = compress(new TextEncoder().encode(lines));
    for (const length of [bytes.length - 1, bytes.length - 5, 20, 7]) {
      Deno.writeFileSync(path, bytes.subarray(0, length));
      const error = await rejected(
        Array.fromAsync(readResults(path)),
        Error,
        `Cannot read results from "${path}": `,
      );
      ok(error.cause instanceof Error);
    }
  }
});

Deno.test("readResults() reads all that programs put into files of zstd", async () => {
  await using place = new Place();
  const path = `${place.root}/results`;
  const lines = (count: number) =>
    new TextEncoder().encode('["p",null,"/t",null,[],null]\n'.repeat(count));
  const zeros = new TextEncoder().encode(
    `["p",null,"/t",null,[],"${"0".repeat(400_000)}"]\n`,
  );
  const params = (name: "checksumFlag" | "contentSizeFlag", value: number) => ({
    params: { [constants[`ZSTD_c_${name}`]]: value },
  });
  const skippable = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
  const one = zstdCompressSync(lines(10));
  const cases: [Iterable<number>, count: number][] = [
    [one, 10],
    [zstdCompressSync(lines(0)), 0],
    [zstdCompressSync(lines(9000), params("checksumFlag", 1)), 9000],
    [zstdCompressSync(lines(9000), params("contentSizeFlag", 0)), 9000],
    [zstdCompressSync(zeros), 1],
    [[...one, ...one], 20],
    [[...skippable, ...one, ...skippable, ...one, ...skippable], 20],
  ];
  for (const [bytes, count] of cases) {
    const whole = Uint8Array.from(bytes);
    Deno.writeFileSync(path, whole);
    strictEqual((await Array.fromAsync(readResults(path))).length, count);
    for await (const _result of readResults(path)) break;
    for (const cut of [1, 2, 3, 4]) {
      Deno.writeFileSync(path, whole.subarray(0, whole.length - cut));
      await rejected(
        Array.fromAsync(readResults(path)),
        Error,
        "the file is not whole",
      );
    }
    Deno.writeFileSync(path, Uint8Array.of(...whole, 1, 2, 3, 4));
    await rejected(Array.fromAsync(readResults(path)), Error, "is none");
  }
});

Deno.test("readResults() reads files of gzip that were joined", async () => {
  await using place = new Place();
  const path = `${place.root}/results`;
  const one = gzipSync(
    new TextEncoder().encode('["p",null,"/t",null,[],null]\n'.repeat(10)),
  );
  Deno.writeFileSync(path, Uint8Array.of(...one, ...one));
  strictEqual((await Array.fromAsync(readResults(path))).length, 20);
});

Deno.test("readResults() says that the program for xz is missing", async () => {
  await using place = new Place();
  const path = `${place.root}/results`;
  Deno.writeFileSync(path, Uint8Array.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0));
  const reader = import.meta.resolve("../../aggregators/reader.ts");
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      "--no-check",
      `import { readResults } from ${JSON.stringify(reader)};
      await Array.fromAsync(readResults(${JSON.stringify(path)}))
        .catch(({ message }) => console.log(message));`,
    ],
    env: { PATH: "/nonexistent" },
  }).output();
  strictEqual(
    new TextDecoder().decode(stdout),
    `Cannot read results from "${path}": the program "xz" is not installed\n`,
  );
});

Deno.test("readResults() reads long lines and documents in time that grows with them only", async () => {
  await using place = new Place();
  const path = `${place.root}/results`;
  const note = "x".repeat(20_000_000);
  Deno.writeTextFileSync(
    path,
    `${JSON.stringify(["p", null, "/t", null, [], note])}\n`,
  );
  const [line] = await Array.fromAsync(readResults(path));
  ok(line!.note === note);
  const subtests = Array.from(
    { length: 50_000 },
    (_, i) => `- name: part ${i}\n  note: ${"x".repeat(100)}\n`,
  ).join("");
  Deno.writeTextFileSync(
    path,
    `---\nplatform: p\nname: /t\nsubtests:\n${subtests}`,
  );
  strictEqual((await Array.fromAsync(readResults(path))).length, 50_000);
});
