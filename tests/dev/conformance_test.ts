/** The program that runs conformance cases, on cases that are not among ours. */
import assert from "node:assert/strict";
import { fromFileUrl } from "@std/path/posix/from-file-url";

const PROGRAM = fromFileUrl(new URL("../conformance/run.ts", import.meta.url));

const passed = { results: [{ status: "pass" }], files: {}, exitCode: 0 };

/** Runs files with these contents; gives what is printed. */
async function runFiles(files: Record<string, unknown>): Promise<string> {
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  try {
    for (const [name, content] of Object.entries(files)) {
      const text = typeof content === "string"
        ? content
        : JSON.stringify(content);
      await Deno.writeTextFile(`${directory}/${name}`, text);
    }
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-qA", PROGRAM, directory],
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
