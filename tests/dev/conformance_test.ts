/** The program that runs conformance cases, on cases that are not among ours. */
import assert from "node:assert/strict";
import { fromFileUrl } from "@std/path/posix/from-file-url";

const PROGRAM = fromFileUrl(new URL("../conformance/run.ts", import.meta.url));

const passed = { results: [{ status: "pass" }], files: {}, exitCode: 0 };

/** Runs files with these contents, or some of them; gives what is printed. */
async function runFiles(
  files: Record<string, unknown>,
  paths = ["."],
): Promise<string> {
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  try {
    for (const [name, content] of Object.entries(files)) {
      const text = typeof content === "string"
        ? content
        : JSON.stringify(content);
      const path = `${directory}/${name}`;
      await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), {
        recursive: true,
      });
      await Deno.writeTextFile(path, text);
    }
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-qA",
        PROGRAM,
        ...paths.map((path) => `${directory}/${path}`),
      ],
      env: { NO_COLOR: "1" },
      stderr: "null",
    }).output();
    return new TextDecoder().decode(stdout);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** A stream with a result, in this JSON. */
function reported(json: string) {
  return { text: `result ${new TextEncoder().encode(json).length}\n${json}` };
}

Deno.test("a case that cannot be run is one failure, and so is a file", async () => {
  const good = {
    name: "good",
    stream: [reported('{"status":"pass"}')],
    exit: 0,
    expect: passed,
  };
  const bad = { ...good, name: "bad", stream: [{ base64: "!" }] };
  assert.match(
    await runFiles({ "a.json": "{", "b.json": [bad, good, bad, good] }),
    /^failed a: .*\nfailed control\/b: bad: .*\nfailed control\/b: bad: .*\n2 passed, 3 failed, 0 skipped\n$/,
  );
});

Deno.test("a file of which nothing would be run is a failure", async () => {
  const fmf = { schema: 1, topic: "yaml" };
  assert.equal(
    await runFiles({
      "a.json": { ...fmf, case: [] },
      "b.json": { ...fmf, cases: {} },
      "c.json": { ...fmf, cases: [] },
      "d.json": { scenarios: {} },
      "e.json": { scenarios: [] },
      "f.json": { format: "jsonl", cases: {} },
      "g.json": [],
    }).then((out) => out.replaceAll(/: \S+\/(\w\.json): Error: /g, " $1: ")),
    [
      'failed a a.json: its "cases" are no list',
      'failed b b.json: its "cases" are no list',
      'failed c c.json: its "cases" are none',
      'failed d d.json: its "scenarios" are no list',
      'failed e e.json: its "scenarios" are none',
      'failed f f.json: its "cases" are no list',
      "failed g g.json: it is none of fmf, control, orchestrator, aggregator",
      "0 passed, 7 failed, 0 skipped\n",
    ].join("\n"),
  );
});

Deno.test("a runner that cannot be loaded fails the files of its topic only", async () => {
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  try {
    const write = (name: string, text: string) =>
      Deno.writeTextFile(`${directory}/${name}`, text);
    await Deno.copyFile(PROGRAM, `${directory}/run.ts`);
    await write("case.ts", "export type Runner = unknown;");
    await write("fmf.ts", 'throw new Error("no library");');
    await write(
      "control.ts",
      "export async function* run(_: URL, cases: unknown[]) {\n" +
        '  for (const _ of cases) yield { name: "c", outcome: "passed" };\n}',
    );
    await Deno.mkdir(`${directory}/cases`);
    await write(
      "cases/a.json",
      '{"schema": 1, "topic": "yaml", "cases": [{}]}',
    );
    await write("cases/b.json", '[{"stream": []}]');
    const { code, stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-qA", "--no-check", "--no-config", `${directory}/run.ts`],
      env: { NO_COLOR: "1" },
      stderr: "null",
    }).output();
    assert.equal(code, 1);
    assert.match(
      new TextDecoder().decode(stdout),
      /^failed a: .*\/a\.json: Error: no library\n1 passed, 1 failed, 0 skipped\n$/,
    );
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("texts may be written very often, and results and files be long", async () => {
  const length = 4 * 1024 * 1024;
  const end = '{"status":"pass"}';
  const json = {
    name: "JSON",
    stream: [
      { text: `result ${length}\n` },
      { text: " \n".repeat(8), repeat: length / 16 - 2 },
      { text: `${" ".repeat(32 - end.length)}${end}` },
    ],
    exit: 0,
    expect: passed,
  };
  const file = {
    name: "file",
    stream: [
      reported(`{"files":[{"name":"f","length":${length}}]}`),
      { text: "0123456789abcde\n", repeat: length / 16 },
      reported(end),
    ],
    exit: 0,
    expect: {
      results: [{ files: ["f"] }, { status: "pass" }],
      files: {
        f: {
          sha256:
            "624da8c1d3e4d03352b274fc24c012258a589aa61e01e34e19bc29f7cbdc855e",
          length,
        },
      },
    },
  };
  const often = {
    name: "often",
    stream: [
      { text: `result ${130_000 + end.length}\n` },
      { text: " ", repeat: 130_000 },
      { text: end },
    ],
    exit: 0,
    expect: passed,
  };
  assert.equal(
    await runFiles({ "a.json": [json, file, often] }),
    "3 passed, 0 failed, 0 skipped\n",
  );
});

Deno.test("a byte order mark is content of a file", async () => {
  const stream = [
    reported('{"status":"pass","files":[{"name":"f","length":4}]}'),
    { text: "\ufeffx" },
  ];
  const expect = {
    results: [{ status: "pass", files: ["f"] }],
    files: { f: "\ufeffx" },
  };
  const other = { ...expect, files: { f: "x" } };
  assert.match(
    await runFiles({
      "a.json": [
        { name: "with", stream, exit: 0, expect },
        { name: "without", stream, exit: 0, expect: other },
      ],
    }),
    /^failed control\/a: without: .*\n1 passed, 1 failed, 0 skipped\n$/,
  );
});

Deno.test("after an error only what is written is dropped", async () => {
  const stream = [
    { text: "unknown\n" },
    { output: "printed" },
    { advanceMs: 1000 },
    reported('{"name":"dropped"}'),
  ];
  const expect = {
    results: [{
      status: "infra",
      note: { startsWith: "BadControlError(" },
      files: ["output.txt"],
    }],
    files: { "output.txt": "printed" },
    error: "bad-control",
    remainingMs: 59_000,
    expired: false,
  };
  assert.equal(
    await runFiles({
      "a.json": [{ name: "error", stream, exit: 0, duration: "1m", expect }],
    }),
    "1 passed, 0 failed, 0 skipped\n",
  );
});

/** A file of one topic about metadata. */
function fmf(topic: string, ...cases: Record<string, unknown>[]) {
  return {
    schema: 1,
    topic,
    cases: cases.map((it, index) => ({ name: `${index}`, ...it })),
  };
}

Deno.test("cases may lie at any depth, in files with a byte order mark and CRLF, and be asked for by their file", async () => {
  const good = fmf("yaml", { text: "a: 1\r\n", expect: { value: { a: 1 } } });
  const files = {
    "a/b/c/d.json": `\ufeff${JSON.stringify(good, null, 1)}`
      .replaceAll("\n", "\r\n"),
    "a/e.json": fmf("yaml", { text: "a: 1", expect: { value: 1 } }),
  };
  assert.match(
    await runFiles(files),
    /^failed fmf\/e: 0: .*\n1 passed, 1 failed, 0 skipped\n$/,
  );
  assert.equal(
    await runFiles(files, ["a/b/c/d.json"]),
    "1 passed, 0 failed, 0 skipped\n",
  );
});

Deno.test("what a list of cases is about shows in the first of them; what is null is absent", async () => {
  const control = {
    name: "c",
    stream: [reported('{"status":"pass"}')],
    exit: 0,
    expect: passed,
  };
  const store = {
    id: "a",
    aggregator: "yaml",
    options: null,
    steps: [],
    expect: { documents: [], files: {} },
  };
  const run = {
    id: "o",
    kind: "adhoc",
    options: { maxSpares: null, releaseTimeoutMs: null, policies: null },
    abort: null,
    oldAggregator: null,
    tests: [{ name: "/a", runs: [{ ms: 1, exit: 0 }] }],
    provisioners: [{ name: "p", capacity: null }],
    expect: {
      error: null,
      ingested: { "/a": { attempt: 1, exit: 0 } },
      cleared: false,
    },
  };
  const nothing = Object.fromEntries(
    ["plan", "names", "filters", "excludes", "conditions", "context", "id"]
      .map((name) => [name, null]),
  );
  const files = { "main.fmf": "test: x\n" };
  assert.equal(
    await runFiles({
      "a.json": { cases: [control] },
      "b.json": [store],
      "c.json": { cases: [run] },
      "d.json": fmf("discover", {
        ...nothing,
        files,
        expect: { names: ["/"] },
      }),
    }),
    "4 passed, 0 failed, 0 skipped\n",
  );
});

Deno.test("a case of which nothing would be compared is a failure", async () => {
  const stream = [{ text: "noop\n" }];
  const out = await runFiles({
    "a.json": [{ name: "c", stream, exit: 0, expect: {} }],
    "b.json": [{ id: "a", aggregator: "yaml", steps: [], expect: { file: 1 } }],
    "c.json": fmf("discover", { files: { "main.fmf": "" }, expect: {} }),
  });
  assert.match(out, /\n0 passed, 3 failed, 0 skipped\n$/);
});

Deno.test("what an error has to mention may be in one of its fields, as it is", async () => {
  const it = (text: string) => ({
    files: { "main.fmf": "a: 1" },
    args: { names: ['"\\d\\(('] },
    expect: { error: true, kind: "filter", mention: [text] },
  });
  assert.match(
    await runFiles({
      "a.json": fmf("prune", it('"\\d\\(('), it("\\d\\)")),
    }),
    /^failed fmf\/a: 1: .*\n1 passed, 1 failed, 0 skipped\n$/,
  );
});

Deno.test("@NAME@ is a place in cases of discovery only", async () => {
  const files = { "main.fmf": "k: '@a@'\n" };
  const expect = { nodes: { "/": { k: "@a@" } } };
  assert.equal(
    await runFiles({ "a.json": fmf("merge", { files, expect }) }),
    "1 passed, 0 failed, 0 skipped\n",
  );
});

Deno.test("an integer of 2^53 is plain, and a timestamp the same in its zone and in UTC", async () => {
  const text =
    "v: 9007199254740992\nw: -9007199254740993\nx: 2024-05-06 07:08:09.5 +02:00\n";
  const value = (x: string) => ({
    value: {
      v: 2 ** 53,
      w: { $int: "-9007199254740993" },
      x: { $datetime: x },
    },
  });
  assert.match(
    await runFiles({
      "a.json": fmf(
        "yaml",
        { text, expect: value("2024-05-06T07:08:09.500000+02:00") },
        { text, expect: value("2024-05-06T05:08:09.500000") },
        { text, expect: value("2024-05-06T07:08:09.500000") },
      ),
    }),
    /^failed fmf\/a: 2: .*\n2 passed, 1 failed, 0 skipped\n$/,
  );
});

Deno.test("nothing that results are expected to be is left out of the comparison", async () => {
  const line = '["p","pass","/t",null,[],null]';
  const it = (id: string, target: string, aggregator = "jsonl") => ({
    id,
    aggregator,
    options: { level: null },
    steps: [{
      platform: "p",
      test: "/t",
      artifacts: { results: '{"status":"pass"}' },
    }],
    expect: { target, files: {} },
  });
  const cases = [
    it("same", `${line}\n`),
    it("more", `${line}\n[]`),
    it("no JSON", "x\n"),
    it("zstd", `${line}\n`, "jsonl-zstd"),
    {
      ...it("no error", ""),
      steps: [{ platform: "p", test: "/t", artifacts: {} }],
    },
  ];
  assert.match(
    await runFiles({ "a.json": { format: 1, cases } }),
    /^failed \S+ more: .*\nfailed \S+ no JSON: .*\nfailed \S+ no error: .*\n2 passed, 3 failed, 0 skipped\n$/,
  );
});
