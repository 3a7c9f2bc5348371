import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { inMemory } from "../_memory.ts";
import { cannotRun, missingPrograms } from "../_parts.ts";
import { contents, layOut, temporary } from "./_artifacts.ts";
import { find, type Form, type Found } from "./_forms.ts";

const noXz = cannotRun("killed scripts and xz", missingPrograms("xz"));
const ALL: Form[] = ["jsonl", "gzip", "zstd", "xz", "yaml", "junit", "multi"];
const forms = noXz ? ALL.filter((form) => form !== "xz") : ALL;

/** Results of each test, and its files. */
const RESULTS = [
  { name: "s", status: "pass", note: "x".repeat(300) },
  { name: "t", status: "fail" },
  { status: "fail", files: ["log", "d/log"] },
];
const FILES = ["log", "d/log"];

type Artifacts = Record<string, Record<string, string | null>>;

/** Lays out tests; returns what is in their directories. */
function layOutAll(root: string, names: readonly string[]): Artifacts {
  return Object.fromEntries(names.map((name) => {
    const directory = layOut(
      `${root}/artifacts/${name}`,
      RESULTS,
      Object.fromEntries(FILES.map((file) => [file, `${file} of ${name}`])),
    );
    return [name, contents(directory)];
  }));
}

/** Runs a module; after it has printed a number of lines, it is killed. */
async function run(
  module: string,
  args: string[],
  killAfter = Infinity,
): Promise<string[]> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-qA",
      "--no-check",
      new URL(module, import.meta.url).pathname,
      ...args,
    ],
    stdin: "null",
    stdout: "piped",
  }).spawn();
  let printed = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    printed += text;
    if (printed.split("\n").length > killAfter) {
      try {
        child.kill("SIGKILL");
      } catch {
        // it has ended
      }
    }
  }
  await child.status;
  return printed.split("\n").slice(0, -1);
}

/** What must hold after a script was killed, whenever that was. */
function check(
  { form, counts, file }: Found,
  reported: readonly string[],
  before: Artifacts,
  root: string,
): void {
  const keepsFiles = form !== "junit";
  const isWhole = (test: string) => counts.get(test) === RESULTS.length;
  for (const test of reported) ok(isWhole(test), `${form}: ${test}`);
  // what was being written, and nothing else, may be there in part
  ok([...counts.keys()].filter((test) => !isWhole(test)).length <= 1);
  for (const [test, laid] of Object.entries(before)) {
    const left = contents(`${root}/artifacts/${test}`);
    for (const path of FILES) {
      const content = `${path} of ${test}`;
      const stored = file(test, path);
      if (isWhole(test)) {
        if (keepsFiles) strictEqual(stored, content, `${form}: ${test}`);
      } else {
        // nothing is lost: everything is where it was, or where it was to go
        ok((left[`files/${path}`] ?? stored) === content, `${form}: ${test}`);
        strictEqual(left.results, laid.results);
      }
    }
  }
}

for (const form of forms) {
  Deno.test(`${form}: a script that is killed while it ingests loses nothing`, async () => {
    for (const after of [1, 20]) {
      await using root = temporary(inMemory.dir);
      const names = Array.from({ length: 60 }, (_, i) => `t${i}`);
      const before = layOutAll(root.path, names);
      const reported = await run("_ingest_many.ts", [root.path, form], after);
      ok(reported.length >= after);
      for (const found of await find(form, root.path)) {
        check(found, reported, before, root.path);
      }
    }
  });
}

/** Every how many steps a script is killed. */
const STRIDES: Partial<Record<Form, number>> = {
  gzip: 1,
  xz: 3,
  yaml: 1,
  junit: 1,
  multi: 4,
};

for (const form of forms.filter((form) => STRIDES[form])) {
  Deno.test(`${form}: a script that is killed at any step, also of its end, loses nothing`, async () => {
    let step = 0;
    for (let stopped = false; !stopped; step += STRIDES[form]!) {
      await using root = temporary(inMemory.dir);
      const before = layOutAll(root.path, ["a", "b"]);
      const printed = await run("_killed_at.ts", [
        root.path,
        form,
        String(step),
      ]);
      stopped = printed.includes("stopped");
      const reported = printed.filter((name) => name !== "stopped");
      deepStrictEqual(reported, ["a", "b"].slice(0, reported.length));
      ok(reported.length > 0);
      for (const found of await find(form, root.path)) {
        check(found, reported, before, root.path);
      }
    }
    ok(step >= 4, `it was killed at less than ${step} steps`);
  });
}
