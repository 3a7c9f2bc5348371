import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import type { Aggregator } from "../../aggregators/aggregator.ts";
import {
  JsonLinesAggregator,
  type JsonLinesAggregatorOptions,
  readJsonLines,
} from "../../aggregators/jsonl.ts";
import { JUnitAggregator } from "../../aggregators/junit.ts";
import { MultiAggregator } from "../../aggregators/multi.ts";
import { Tally } from "../../aggregators/tally.ts";
import { inMemory } from "../_memory.ts";
import { contents, layOut, temporary } from "./_artifacts.ts";

const RESULTS = [
  { name: "s", status: "pass", note: "x\ny " },
  { name: "t", status: "fail" },
  { status: "fail", files: ["log", "d/log"] },
];

/** Lays out the artifacts of a test, each of whose files holds the test's name. */
function artifactsOf(directory: string, test: string): string {
  return layOut(directory, RESULTS, {
    log: `log of ${test}`,
    "d/log": `d/log of ${test}`,
  });
}

function open(
  root: string,
  options: Partial<JsonLinesAggregatorOptions> = {},
): Promise<JsonLinesAggregator> {
  return new JsonLinesAggregator({
    results: `${root}/out/results.jsonl`,
    files: `${root}/out/files`,
    existing: "continue",
    ...options,
  }).start();
}

async function testsIn(root: string): Promise<string[]> {
  const results = await Array.fromAsync(
    readJsonLines(`${root}/out/results.jsonl`),
  );
  const tests = results.map(({ test }) => test);
  const distinct = [...new Set(tests)];
  deepStrictEqual(
    tests,
    distinct.flatMap((test) => RESULTS.map(() => test)),
    "all results of each test, together",
  );
  return distinct;
}

Deno.test("JsonLinesAggregator goes on with results that were cut at any byte", async () => {
  await using root = temporary(inMemory.dir);
  const { path } = root;
  const names = ["/a", "/b ", "/ö"];
  {
    await using aggregator = await open(path);
    for (const name of names) {
      await aggregator.ingest("p", name, artifactsOf(`${path}/${name}`, name));
    }
  }
  const file = `${path}/out/results.jsonl`;
  const bytes = await Deno.readFile(file);
  for (let length = 0; length <= bytes.length; length++) {
    await Deno.writeFile(file, bytes.subarray(0, length));
    const aggregator = await open(path);
    const there = names.filter((name) => aggregator.count("p", name) > 0);
    strictEqual(aggregator.count("q", "/a"), 0);
    await aggregator.stop();
    deepStrictEqual(await testsIn(path), there);
    deepStrictEqual(there, names.slice(0, there.length));
    strictEqual(there.length === 3, length === bytes.length);
  }
  // as a fault of the host may leave it
  for (const end of ["\0\0\0", " [\0"]) {
    await Deno.writeFile(file, bytes);
    await Deno.writeTextFile(file, end, { append: true });
    await (await open(path)).stop();
    deepStrictEqual(await testsIn(path), names);
  }
});

Deno.test("JsonLinesAggregator refuses to go on with what others wrote, and leaves it alone", async () => {
  await using root = temporary();
  const { path } = root;
  const file = `${path}/out/results.jsonl`;
  {
    await using aggregator = await open(path, { existing: "fail" });
    await aggregator.ingest("p", "/a", artifactsOf(`${path}/a`, "/a"));
  }
  const plain = await Deno.readTextFile(file);
  const whole = plain.replace(/^/, " ").replace(/\n$/, " \n");
  for (
    const [text, why] of [
      [plain, 'it was not written with existing: "continue"'],
      ["letters", 'it was not written with existing: "continue"'],
      [`${whole}oops\n`, "line 4 is not where it should be"],
      [
        ` ${whole}${whole}`.replaceAll(" \n", "\n"),
        "line 4 is not where it should be",
      ],
      [" {}\n", "line 1 cannot be understood"],
      [`${whole} [1] \n`, "line 4 cannot be understood"],
    ] as const
  ) {
    await Deno.writeTextFile(file, text);
    await rejects(open(path), {
      name: "AlreadyExists",
      message:
        `Cannot go on with results in "${file}": ${why}; choose another path or remove it`,
    });
    strictEqual(await Deno.readTextFile(file), text);
  }
});

Deno.test("JsonLinesAggregator does not go on with results that another one writes", async () => {
  await using root = temporary();
  await using _first = await open(root.path);
  await rejects(open(root.path), {
    name: "Busy",
    message: /the run that writes to it has not ended/,
  });
});

Deno.test("JsonLinesAggregator goes on numbering tests that come again", async () => {
  await using root = temporary();
  const { path } = root;
  for (let i = 0; i < 3; i++) {
    await using aggregator = await open(path, { allowDuplicate: true });
    strictEqual(aggregator.count("p", "/a"), 2 * i);
    for (const half of ["x", "y"]) {
      const artifacts = artifactsOf(`${path}/${half}${i}`, "/a");
      await aggregator.ingest("p", "/a", artifacts);
    }
  }
  deepStrictEqual(
    await testsIn(path),
    ["/a", "/a (1)", "/a (2)", "/a (3)", "/a (4)", "/a (5)"],
  );
});

Deno.test("a test whose own name has a number is known after that, beside one without", async () => {
  await using root = temporary();
  const tests = ["/t", "/t (1)", "/t (2)"];
  const forms = [
    (path: string) => open(path),
    (path: string) =>
      new JUnitAggregator({ target: `${path}/junit.xml`, existing: "continue" })
        .start(),
  ];
  for (const [form, start] of forms.entries()) {
    for (const count of [0, 1]) {
      await using aggregator = await start(root.path);
      deepStrictEqual(
        tests.map((test) => aggregator.count("p", test)),
        tests.map(() => count),
      );
      for (const [n, test] of count === 0 ? tests.entries() : []) {
        const artifacts = artifactsOf(`${root.path}/${form}${n}`, test);
        await aggregator.ingest("p", test, artifacts);
      }
    }
  }
});

Deno.test("JsonLinesAggregator knows tests of earlier processes as its own", async () => {
  await using root = temporary();
  const { path } = root;
  {
    await using aggregator = await open(path);
    await aggregator.ingest("p", "/a", artifactsOf(`${path}/1`, "/a"));
  }
  await using aggregator = await open(path);
  await rejects(
    aggregator.ingest("p", "/a", artifactsOf(`${path}/2`, "/a")),
    { name: "DuplicateResultError" },
  );
});

async function killAt(args: readonly string[]): Promise<boolean> {
  const { code, signal, stdout, stderr } = await new Deno.Command(
    Deno.execPath(),
    {
      args: [
        "run",
        "-qA",
        "--no-check",
        new URL("_continued_until.ts", import.meta.url).pathname,
        ...args,
      ],
      stdin: "null",
    },
  ).output();
  const decoder = new TextDecoder();
  if (signal !== "SIGKILL") strictEqual(code, 0, decoder.decode(stderr));
  return decoder.decode(stdout).includes("stopped");
}

/** Where artifacts are, and how the second test is called. */
const CASES: [what: string, second: string, elsewhere: boolean][] = [
  ["to a place of its own", "/b", false],
  ["among files of another test", "/a/d", false],
  ["from another file system", "/b", true],
];

for (const [what, second, elsewhere] of CASES) {
  Deno.test(`JsonLinesAggregator goes on after it was killed at any step of moving files ${what}`, async () => {
    let steps = 0;
    for (let stopped = false; !stopped; steps++) {
      await using root = temporary();
      await using other = temporary(elsewhere ? inMemory.dir : undefined);
      const artifacts = elsewhere ? other.path : `${root.path}/artifacts`;
      artifactsOf(`${artifacts}/first`, "/a");
      const directory = layOut(`${artifacts}/second`, RESULTS, {
        "own/log": "own",
        "other": "other",
      });
      const before = contents(directory);
      const step = String(steps);
      stopped = await killAt([root.path, artifacts, "/a", second, step]);
      {
        await using aggregator = await open(root.path);
        strictEqual(aggregator.count("p", "/a"), 1);
        if (aggregator.count("p", second) === 0) {
          deepStrictEqual(contents(directory), before, "all is taken back");
          await aggregator.ingest("p", second, directory);
        }
      }
      deepStrictEqual(await testsIn(root.path), ["/a", second]);
      const own = `p${second}`;
      deepStrictEqual(
        Object.entries(contents(`${root.path}/out/files`)).sort(),
        [
          ["p/a/d/log", "d/log of /a"],
          ["p/a/log", "log of /a"],
          [`${own}/other`, "other"],
          [`${own}/own/log`, "own"],
        ].sort(),
      );
    }
    ok(steps > 5, `it was killed at ${steps} steps only`);
  });
}

Deno.test("JsonLinesAggregator removes what was moved for a test whose artifacts are gone", async () => {
  await using root = temporary();
  const { path } = root;
  const artifacts = `${path}/artifacts`;
  artifactsOf(`${artifacts}/first`, "/a");
  artifactsOf(`${artifacts}/second`, "/b");
  for (let step = 0;; step++) {
    ok(step < 10);
    ok(!await killAt([path, artifacts, "/a", "/b", `${step}`]));
    if (contents(`${path}/out/files`)["p/b/log"]) break;
    await Deno.remove(`${path}/out`, { recursive: true });
    await Deno.remove(artifacts, { recursive: true });
    artifactsOf(`${artifacts}/first`, "/a");
    artifactsOf(`${artifacts}/second`, "/b");
  }
  await Deno.remove(artifacts, { recursive: true });
  await (await open(path)).stop();
  deepStrictEqual(Object.keys(contents(`${path}/out/files`)).sort(), [
    "p/a/d/log",
    "p/a/log",
  ]);
});

Deno.test("MultiAggregator gives a test to those that lack it, and counts what all have", async () => {
  await using root = temporary();
  const { path } = root;
  const make = () =>
    ["x", "y"].map((name) =>
      new JsonLinesAggregator({
        results: `${path}/${name}/out/results.jsonl`,
        files: `${path}/${name}/out/files`,
        existing: "continue",
      })
    );
  {
    // killed between the two
    await using x = await make()[0]!.start();
    await x.ingest("p", "/a", artifactsOf(`${path}/1`, "/a"));
  }
  await using multi = await new MultiAggregator([...make(), new Tally()])
    .start();
  const aggregator: Aggregator = multi;
  strictEqual(aggregator.count!("p", "/a"), 0);
  await multi.ingest("p", "/a", artifactsOf(`${path}/2`, "/a"));
  strictEqual(aggregator.count!("p", "/a"), 1);
  await rejects(
    multi.ingest("p", "/a", artifactsOf(`${path}/3`, "/a")),
    { name: "ChildFailedError" },
  );
  await multi.stop();
  for (const name of ["x", "y"]) {
    deepStrictEqual(await testsIn(`${path}/${name}`), ["/a"]);
  }
  strictEqual(new MultiAggregator([new Tally()]).count, undefined);
});
