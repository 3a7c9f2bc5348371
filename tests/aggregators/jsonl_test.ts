import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { rejected } from "../_thrown.ts";
import { onSmallDisk, smallDiskAvailable } from "../_small_disk.ts";
import { DuplicateResultError } from "../../aggregators/aggregator.ts";
import {
  JsonLinesAggregator,
  type JsonLinesAggregatorOptions,
  readJsonLines,
} from "../../aggregators/jsonl.ts";
import { BadResultsError, type Result } from "../../executors/results.ts";
import { inMemory } from "../_memory.ts";
import { contents, layOut, temporary } from "./_artifacts.ts";

/** An aggregator with its results in a directory of their own. */
class Case implements AsyncDisposable {
  readonly #root;
  readonly aggregator: JsonLinesAggregator;
  readonly results: string;
  readonly files: string;
  #count = 0;

  constructor(
    options: Partial<JsonLinesAggregatorOptions> = {},
    root = temporary(inMemory.dir),
  ) {
    this.#root = root;
    this.results = `${root.path}/results.jsonl`;
    this.files = `${root.path}/files`;
    this.aggregator = new JsonLinesAggregator({
      results: this.results,
      files: this.files,
      ...options,
    });
  }

  get root(): string {
    return this.#root.path;
  }

  async start(): Promise<this> {
    await this.aggregator.start();
    return this;
  }

  /** A new directory of artifacts. */
  artifacts(
    results: readonly Result[] = [{ status: "pass" }],
    files: Record<string, string> = {},
  ): string {
    return layOut(`${this.root}/artifacts/${this.#count++}`, results, files);
  }

  lines(): unknown[][] {
    const lines = Deno.readTextFileSync(this.results).split("\n");
    strictEqual(lines.pop(), "");
    return lines.map((line) => JSON.parse(line));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.aggregator.stop();
    await this.#root[Symbol.asyncDispose]();
  }
}

Deno.test("JsonLinesAggregator ingests between start() and stop() only", async () => {
  await using it = new Case();
  const { aggregator } = it;
  const artifacts = it.artifacts();
  const artifacts2 = it.artifacts();
  const ingest = () => aggregator.ingest("p", "/t", artifacts);
  await aggregator.stop();
  await rejected(ingest(), Error, "not started");
  strictEqual(await aggregator.start(), aggregator);
  await rejected(aggregator.start(), Error, "twice");
  const done = ingest();
  await Promise.all([aggregator.stop(), aggregator.stop(), done]);
  strictEqual(it.lines().length, 1);
  await rejected(aggregator.ingest("p", "/u", artifacts), Error, "not started");
  await rejected(aggregator.start(), Deno.errors.AlreadyExists, it.results);
  // a second life, without a memory of the first
  Deno.removeSync(it.results);
  Deno.removeSync(it.files);
  await aggregator.start();
  await aggregator.ingest("p", "/t", artifacts2);
  strictEqual(it.lines().length, 1);
});

Deno.test("JsonLinesAggregator.start() makes directories on the way and takes URLs", async () => {
  await using it = new Case();
  await using aggregator = await new JsonLinesAggregator({
    results: new URL(`file://${it.root}/a/b/results.jsonl`),
    files: new URL(`file://${it.root}/c/d/files`),
  }).start();
  await aggregator.ingest(
    "p",
    "/t",
    new URL(`file://${it.artifacts([{}], { f: "1" })}/`),
  );
  deepStrictEqual(contents(`${it.root}/c`), { "d/files/p/t/f": "1" });
  strictEqual(
    Deno.readTextFileSync(`${it.root}/a/b/results.jsonl`),
    '["p",null,"/t",null,[],null]\n',
  );
});

Deno.test("JsonLinesAggregator.start() says what to do about an existing path, and leaves nothing behind", async () => {
  await using it = new Case();
  const { root } = it;
  Deno.mkdirSync(`${root}/old`);
  Deno.symlinkSync("nowhere", `${root}/link`);
  const cases: [string, string, string][] = [
    [`${root}/old`, `${root}/new/files`, `results to "${root}/old"`],
    [`${root}/new/x/results`, `${root}/old`, `files to "${root}/old"`],
    [`${root}/link`, `${root}/new/files`, `results to "${root}/link"`],
  ];
  for (const [results, files, part] of cases) {
    const error = await rejected(
      new JsonLinesAggregator({ results, files }).start(),
      Deno.errors.AlreadyExists,
      part,
    );
    ok(error.message.includes("choose another path or remove it"));
  }
  // directories on the way are made, and then removed again
  Deno.writeTextFileSync(`${root}/file`, "");
  const aggregator = new JsonLinesAggregator({
    results: `${root}/new/x/results`,
    files: `${root}/file/files`,
  });
  await rejected(aggregator.start(), Error);
  deepStrictEqual(contents(root), {
    "file": "",
    "link": "-> nowhere",
    "old/": null,
  });
  Deno.removeSync(`${root}/file`);
  await aggregator.start();
  await aggregator.stop();
});

Deno.test("JsonLinesAggregator.ingest() tells where the files are", async () => {
  await using it = await new Case().start();
  const { aggregator, files } = it;
  deepStrictEqual(await aggregator.ingest("p", "/a", it.artifacts()), {});
  deepStrictEqual(
    await aggregator.ingest(
      "p",
      "/b",
      it.artifacts([
        { name: "s", files: ["first"] },
        { files: [] },
        { files: ["./log/output.txt", "z"] },
        { files: ["y"] },
      ], { "s/first": "", "log/output.txt": "o", "z": "" }),
    ),
    { directory: `${files}/p/b`, output: `${files}/p/b/log/output.txt` },
  );
  deepStrictEqual(
    await aggregator.ingest(
      "p",
      "/c",
      it.artifacts([{ files: ["ghost"] }], { f: "" }),
    ),
    { directory: `${files}/p/c` },
  );
});

Deno.test("JsonLinesAggregator.ingest() succeeds when everything is stored, whatever the first file is called", async () => {
  await using it = await new Case().start();
  const { aggregator, files } = it;
  for (const [n, file] of ["a/b", "x".repeat(300), "a\0"].entries()) {
    const artifacts = it.artifacts([{ files: [file] }], { a: "" });
    deepStrictEqual(
      await aggregator.ingest("p", `/${n}`, artifacts),
      { directory: `${files}/p/${n}` },
    );
  }
});

Deno.test("JsonLinesAggregator.ingest() leaves an empty directory to the caller", async () => {
  await using it = await new Case().start();
  const merged = it.artifacts([{}], { "a/b/f": "1" });
  await it.aggregator.ingest("p", "/x", it.artifacts([{}], { "a/b/g": "2" }));
  await it.aggregator.ingest("p", "x", merged);
  deepStrictEqual(contents(merged), {});
  const plain = it.artifacts();
  await it.aggregator.ingest("p", "/y", plain);
  deepStrictEqual(contents(plain), { "files/": null });
  deepStrictEqual(contents(it.files), { "p/x/a/b/f": "1", "p/x/a/b/g": "2" });
});

Deno.test("JsonLinesAggregator.ingest() makes directories again that somebody removed", async () => {
  await using it = await new Case().start();
  for (const test of ["/a/1", "/a/2"]) {
    await it.aggregator.ingest("p", test, it.artifacts([{}], { f: test }));
    if (test === "/a/1") Deno.removeSync(`${it.files}/p`, { recursive: true });
  }
  deepStrictEqual(contents(it.files), { "p/a/2/f": "/a/2" });
});

Deno.test("JsonLinesAggregator.ingest() refuses names that leave no path", async () => {
  await using it = await new Case().start();
  const artifacts = it.artifacts();
  for (
    const [platform, test] of [["", "/t"], ["p", ""], ["..", "/t"], [
      "p",
      "//.",
    ]]
  ) {
    await rejected(
      it.aggregator.ingest(platform!, test!, artifacts),
      TypeError,
      "nothing is left",
    );
  }
  await it.aggregator.ingest("p", "/t", artifacts);
});

Deno.test("JsonLinesAggregator writes a seventh item with the fields asked for", async () => {
  await using it = await new Case({
    fields: [
      "attempt",
      "remote",
      "durationMs",
      "startedAt",
      "exitCode",
      "group",
      "missing",
    ],
  }).start();
  await it.aggregator.ingest("p", "/a", it.artifacts([{ group: [1] }]), {
    attempt: 2,
    remote: "podman:1",
    startedAt: 1000,
    finishedAt: 3500,
    exitCode: 3,
  });
  await it.aggregator.ingest("p", "/b", it.artifacts());
  deepStrictEqual(it.lines(), [
    ["p", null, "/a", null, [], null, {
      attempt: 2,
      remote: "podman:1",
      durationMs: 2500,
      startedAt: 1000,
      exitCode: 3,
      group: [1],
    }],
    ["p", "pass", "/b", null, [], null, {}],
  ]);
});

Deno.test("JsonLinesAggregator counts duplicates by success, in the order of the calls", async () => {
  await using it = await new Case({ allowDuplicate: true }).start();
  const { aggregator } = it;
  const bad = it.artifacts([], { f: "bad" });
  Deno.writeTextFileSync(`${bad}/results`, "nonsense\n");
  const outcomes = await Promise.allSettled([
    aggregator.ingest("p", "/t", it.artifacts([{ note: "0" }], { f: "0" })),
    aggregator.ingest("p", "/t", bad),
    aggregator.ingest("p", "/t", it.artifacts([{ note: "1" }], { f: "1" })),
    aggregator.ingest("p", "/t", it.artifacts([{ note: "2" }], { f: "2" })),
  ]);
  deepStrictEqual(outcomes.map(({ status }) => status), [
    "fulfilled",
    "rejected",
    "fulfilled",
    "fulfilled",
  ]);
  deepStrictEqual(it.lines().map((line) => [line[2], line[5]]), [
    ["/t", "0"],
    ["/t (1)", "1"],
    ["/t (2)", "2"],
  ]);
  deepStrictEqual(contents(it.files), {
    "p/t/f": "0",
    "p/t (1)/f": "1",
    "p/t (2)/f": "2",
  });
});

Deno.test("JsonLinesAggregator refuses the second of two equal ingests at once", async () => {
  await using it = await new Case().start();
  const second = it.artifacts([{}], { f: "2" });
  const first = it.aggregator.ingest("p", "/t", it.artifacts([{}], { f: "1" }));
  const error = await rejected(
    it.aggregator.ingest("p", "/t", second),
    DuplicateResultError,
  );
  deepStrictEqual([error.platform, error.test], ["p", "/t"]);
  await first;
  deepStrictEqual(contents(second), { results: "{}\n", "files/f": "2" });
});

Deno.test("JsonLinesAggregator moves nothing onto or through what lies there", async () => {
  const elsewhere = temporary();
  await using _removed = elsewhere;
  await using it = await new Case().start();
  const link = it.artifacts([{}], { "b/x": "" });
  Deno.removeSync(`${link}/files/b`, { recursive: true });
  Deno.symlinkSync(elsewhere.path, `${link}/files/b`);
  await it.aggregator.ingest("p", "/link", link);
  await it.aggregator.ingest("p", "/dir", it.artifacts([{}], { "b/x": "1" }));
  await it.aggregator.ingest("p", "/file", it.artifacts([{}], { "b": "2" }));
  const before = contents(it.files);
  for (
    const [test, file] of [
      ["/link/b", "f"],
      ["/link/b/c", "f"],
      ["/link", "b/f"],
      ["/link", "b"],
      ["/file/b", "f"],
      ["/file/b/c", "f"],
      ["/file/b/c/d", "f"],
      ["/link/b/c/d/e", "f"],
      ["/file", "b/f"],
      ["/dir", "b/x/f"],
      ["//dir", "b"],
      ["/dir/b/x", "f"],
      ["/dir/b", "x"],
    ]
  ) {
    const artifacts = it.artifacts([{}], {
      [file!]: "mine",
      "q/other": "mine",
    });
    const laid = contents(artifacts);
    // a name of its own, so that only the place is the same
    await rejected(
      it.aggregator.ingest("p", `${test}/`, artifacts),
      Deno.errors.AlreadyExists,
      it.files,
    );
    deepStrictEqual(contents(artifacts), laid);
    deepStrictEqual(contents(it.files), before);
  }
  deepStrictEqual(contents(elsewhere.path), {});
  strictEqual(it.lines().length, 3);
});

Deno.test("JsonLinesAggregator leaves an empty directory where one was, also after a failure", async () => {
  await using it = await new Case().start();
  const ghost = [{ files: ["ghost"] }];
  const ingest = (test: string, artifacts = it.artifacts([{}], { f: test })) =>
    it.aggregator.ingest("p", test, artifacts);
  await ingest("/d/ghost", it.artifacts(ghost));
  await ingest("/e/full");
  await ingest("/e/ghost", it.artifacts(ghost));
  const inside = it.artifacts([{}], { f: "/x" });
  Deno.mkdirSync(`${inside}/files/sub`);
  await ingest("/x", inside);
  await ingest("/m/full");
  const merged = it.artifacts([{}], { f: "/m" });
  Deno.mkdirSync(`${merged}/files/sub`);
  await ingest("/m", merged);
  const places = ["d/ghost", "e/ghost", "x/sub", "m/sub"];
  const stored = contents(it.files);
  for (const place of places) strictEqual(stored[`p/${place}/`], null);

  const { removeSync } = Deno;
  for (const place of places) {
    const artifacts = it.artifacts([{}], { f: place });
    Deno.removeSync = (path, options) => {
      if (path === `${artifacts}/results`) throw new Error("it stays");
      removeSync(path, options);
    };
    try {
      await rejected(ingest(`${place}/`, artifacts), Error, "it stays");
    } finally {
      Deno.removeSync = removeSync;
    }
    deepStrictEqual(contents(it.files), stored);
    deepStrictEqual(contents(artifacts), { "files/f": place, results: "{}\n" });
    await ingest(`${place}/`, artifacts);
    strictEqual(contents(it.files)[`p/${place}/f`], place);
    stored[`p/${place}/f`] = place;
    delete stored[`p/${place}/`];
  }
});

Deno.test("JsonLinesAggregator refuses files that are no directory", async () => {
  await using it = await new Case().start();
  const artifacts = it.artifacts();
  Deno.removeSync(`${artifacts}/files`);
  Deno.symlinkSync(it.root, `${artifacts}/files`);
  await rejected(
    it.aggregator.ingest("p", "/t", artifacts),
    Deno.errors.NotADirectory,
    artifacts,
  );
  strictEqual(it.lines().length, 0);
});

Deno.test("JsonLinesAggregator takes all of a test or nothing, whatever runs at once", async () => {
  const name = fc.constantFrom("a", "b", "a/b", "/a", "a/b/c", "b/a");
  const test = fc.record({
    platform: fc.constantFrom("p", "p/a", "q"),
    test: name,
    files: fc.uniqueArray(
      fc.constantFrom("f", "b", "b/f", "b/c", "c/f", "b/c/f"),
      {
        maxLength: 3,
      },
    ),
    bad: fc.integer({ max: 9 }),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(test, { minLength: 2, maxLength: 7 }),
      fc.boolean(),
      async (tests, allowDuplicate) => {
        await using it = await new Case({ allowDuplicate }).start();
        const runs = tests.map(({ platform, test, files, bad }, index) => {
          const laid: Record<string, string> = {};
          for (const file of files) {
            // what cannot be in one directory cannot be ingested either
            if (!files.some((other) => other.startsWith(`${file}/`))) {
              laid[file] = `${index}`;
            }
          }
          const results = [{ name: "s", note: `${index}` }, {
            note: `${index}`,
          }];
          const artifacts = it.artifacts(results, laid);
          if (bad === 0) Deno.writeTextFileSync(`${artifacts}/results`, "bad");
          const before = contents(artifacts);
          return { platform, test, laid, artifacts, before };
        });
        const outcomes = await Promise.allSettled(
          runs.map(({ platform, test, artifacts }) =>
            it.aggregator.ingest(platform, test, artifacts)
          ),
        );
        const stored = contents(it.files);
        const lines = it.lines();
        let files = 0;
        outcomes.forEach((outcome, index) => {
          const { artifacts, before, laid } = runs[index]!;
          const mine = lines.flatMap((line, at) =>
            line[5] === `${index}` ? [at] : []
          );
          if (outcome.status === "rejected") {
            ok(
              [DuplicateResultError, BadResultsError, Deno.errors.AlreadyExists]
                .some((type) => outcome.reason instanceof type),
              Deno.inspect(outcome.reason),
            );
            deepStrictEqual(contents(artifacts), before);
            deepStrictEqual(mine, []);
            return;
          }
          strictEqual(mine.length, 2);
          strictEqual(mine[1], mine[0]! + 1);
          strictEqual(contents(artifacts).results, undefined);
          const { directory } = outcome.value;
          for (const [file, content] of Object.entries(laid)) {
            files++;
            strictEqual(
              stored[`${directory!.slice(it.files.length + 1)}/${file}`],
              content,
            );
          }
        });
        strictEqual(Object.values(stored).filter(Boolean).length, files);
        strictEqual(Object.values(stored).length, files);
      },
    ),
    { numRuns: 150 },
  );
});

/** Directories on different file systems, if there are some. */
function otherDevice(): string | undefined {
  const dev = (path: string) => {
    try {
      return Deno.statSync(path).dev;
    } catch {
      return undefined;
    }
  };
  const here = temporary();
  const mine = dev(here.path);
  Deno.removeSync(here.path);
  return ["/dev/shm", "/run", "/var/tmp"].find((path) =>
    dev(path) !== undefined && dev(path) !== mine
  );
}
const other = otherDevice();

Deno.test({
  name:
    "JsonLinesAggregator copies to another file system with modes, times and links",
  ignore: other === undefined,
  async fn() {
    await using it = await new Case({}, temporary(other)).start();
    await using here = temporary();
    const artifacts = layOut(`${here.path}/x`, [{ files: ["a/log"] }], {
      "a/log": "output",
      "run.sh": "#!/bin/sh\n",
    });
    const files = `${artifacts}/files`;
    Deno.chmodSync(`${files}/run.sh`, 0o751);
    Deno.utimeSync(`${files}/run.sh`, 1000, 2000);
    Deno.linkSync(`${files}/a/log`, `${files}/again`);
    Deno.symlinkSync("a/log", `${files}/link`);
    Deno.symlinkSync("/nonexistent", `${files}/dangling`);
    Deno.mkdirSync(`${files}/empty`);
    Deno.chmodSync(`${files}/a`, 0o500);
    Deno.utimeSync(`${files}/a`, 3000, 4000);

    await it.aggregator.ingest("p", "/t", artifacts);
    deepStrictEqual(contents(artifacts), {});
    const moved = `${it.files}/p/t`;
    deepStrictEqual(contents(it.files), {
      "p/t/a/log": "output",
      "p/t/again": "output",
      "p/t/dangling": "-> /nonexistent",
      "p/t/empty/": null,
      "p/t/link": "-> a/log",
      "p/t/run.sh": "#!/bin/sh\n",
    });
    const script = Deno.statSync(`${moved}/run.sh`);
    strictEqual(script.mode! & 0o7777, 0o751);
    strictEqual(script.mtime!.getTime(), 2_000_000);
    const directory = Deno.statSync(`${moved}/a`);
    strictEqual(directory.mode! & 0o7777, 0o500);
    strictEqual(directory.mtime!.getTime(), 4_000_000);
    strictEqual(
      Deno.statSync(`${moved}/a/log`).ino,
      Deno.statSync(`${moved}/again`).ino,
    );

    // another one into the same place, then one that clashes
    const more = layOut(`${here.path}/y`, [{}], { "empty/f": "1" });
    await it.aggregator.ingest("p", "t", more);
    const clash = layOut(`${here.path}/z`, [{}], { "q": "2", "run.sh": "3" });
    const stored = contents(it.files);
    await rejected(
      it.aggregator.ingest("p", "//t", clash),
      Deno.errors.AlreadyExists,
    );
    deepStrictEqual(contents(it.files), stored);
    deepStrictEqual(contents(clash), {
      results: "{}\n",
      "files/q": "2",
      "files/run.sh": "3",
    });
  },
});

async function ingestAtOnce(
  tests: number,
  filesEach: number,
  artifactsIn: string | undefined,
  filesIn: string | undefined,
): Promise<void> {
  await using it = await new Case({}, temporary(filesIn)).start();
  await using artifacts = temporary(artifactsIn);
  await Promise.all(Array.from({ length: tests }, (_, i) => {
    const files: Record<string, string> = {};
    const results: Result[] = [];
    for (let j = 0; j < filesEach; j++) {
      files[`sub${j % 5}/file${j}`] = `${i} ${j}`;
      results.push({ name: `sub${j % 5}`, files: [`file${j}`] });
    }
    const directory = layOut(`${artifacts.path}/${i}`, results, files);
    return it.aggregator.ingest("p", `/suite/${i}`, directory);
  }));
  const lines = it.lines();
  strictEqual(lines.length, tests * filesEach);
  const order: unknown[] = [];
  for (const [, , test, subtest, files] of lines) {
    if (order.at(-1) !== test) order.push(test);
    const [file] = files as string[];
    const [i, j] = Deno.readTextFileSync(
      `${it.files}/p${test}/${subtest}/${file}`,
    ).split(" ");
    strictEqual(`/suite/${i} file${j}`, `${test} ${file}`);
  }
  // no test between the lines of another
  strictEqual(order.length, tests);
  strictEqual(Object.keys(contents(it.files)).length, tests * filesEach);
}

Deno.test("JsonLinesAggregator ingests 200 tests with 50 files at once", () =>
  ingestAtOnce(200, 50, inMemory.dir, inMemory.dir));

Deno.test({
  name:
    "JsonLinesAggregator ingests many tests at once from another file system",
  ignore: other === undefined,
  fn: () => ingestAtOnce(100, 20, other, undefined),
});

Deno.test("JsonLinesAggregator appends tests that are larger than memory should be", async () => {
  await using it = await new Case().start();
  const note = "ž".repeat(5000);
  const large = it.artifacts(Array.from({ length: 2000 }, (_, i) => ({
    name: `s${i}`,
    note,
  })));
  await Promise.all([
    it.aggregator.ingest("p", "/large", large),
    it.aggregator.ingest("p", "/small", it.artifacts()),
  ]);
  let count = 0;
  for await (const line of readJsonLines(it.results)) {
    if (line.test === "/small") continue;
    deepStrictEqual(line, {
      platform: "p",
      test: "/large",
      subtest: `s${count++}`,
      files: [],
      note,
    });
  }
  strictEqual(count, 2000);
});

for (const what of ["lines", "line", "files"]) {
  Deno.test({
    name:
      `JsonLinesAggregator on a full disk leaves everything as it was (${what})`,
    ignore: !smallDiskAvailable,
    async fn() {
      await using disk = temporary();
      await using elsewhere = temporary();
      const seen = onSmallDisk(
        disk.path,
        what === "lines" ? "10m" : "256k",
        "aggregators/_disk_full.ts",
        [disk.path, elsewhere.path, what],
      ) as { error: string };
      const { error, ...rest } = seen;
      ok(error.includes("No space left"), error);
      deepStrictEqual(rest, {
        target: true,
        files: { "p/small/f": "1" },
        intact: true,
        lines: 2,
        after: { "p/large/a/f": "2", "p/large/a/g": "3", "p/small/f": "1" },
      });
    },
  });
}

Deno.test({
  name:
    "JsonLinesAggregator rejects artifacts that it cannot remove, and writes nothing",
  ignore: !smallDiskAvailable,
  async fn() {
    await using disk = temporary();
    await using elsewhere = temporary();
    const seen = onSmallDisk(disk.path, "1m", "aggregators/_read_only.ts", [
      disk.path,
      elsewhere.path,
    ]);
    deepStrictEqual(seen, {
      errors: ["Error", "Error"],
      intact: true,
      target: "",
      files: {},
    });
  },
});

Deno.test("readJsonLines() gives what was written, without a partial last line", async () => {
  await using it = await new Case({ fields: ["attempt"] }).start();
  await it.aggregator.ingest(
    "p",
    "/t",
    it.artifacts([
      { name: "s", status: "", note: "ž\n", files: ["a"] },
      {},
    ]),
    { attempt: 1 },
  );
  const whole = Deno.readFileSync(it.results);
  const records = await Array.fromAsync(readJsonLines(it.results));
  deepStrictEqual(records, [
    {
      platform: "p",
      test: "/t",
      subtest: "s",
      status: "",
      files: ["a"],
      note: "ž\n",
      fields: { attempt: 1 },
    },
    { platform: "p", test: "/t", files: [], fields: { attempt: 1 } },
  ]);
  const cut = `${it.root}/cut.jsonl`;
  const first = whole.indexOf(10);
  for (let end = 0; end <= whole.length; end++) {
    Deno.writeFileSync(cut, whole.subarray(0, end));
    const read = await Array.fromAsync(readJsonLines(new URL(`file://${cut}`)));
    const complete = end >= whole.length - 1 ? 2 : end >= first ? 1 : 0;
    deepStrictEqual(read, records.slice(0, complete));
  }
});

Deno.test("readJsonLines() decompresses by content", async () => {
  await using root = temporary();
  const line = '["p","pass","/t",null,["f"],null]\n';
  const plain = new TextEncoder().encode(line.repeat(30_000));
  const { zstdCompressSync, gzipSync } = await import("node:zlib");
  const path = `${root.path}/results`;
  for (const bytes of [plain, gzipSync(plain), zstdCompressSync(plain)]) {
    Deno.writeFileSync(path, bytes);
    let count = 0;
    for await (const { test, files } of readJsonLines(path)) {
      deepStrictEqual([test, files], ["/t", ["f"]]);
      count++;
    }
    strictEqual(count, 30_000);
    // whoever has enough leaves nothing open
    for await (const _line of readJsonLines(path)) break;
  }
});

Deno.test({
  name: "readJsonLines() decompresses xz by the program",
  ignore: !new Deno.Command("sh", { args: ["-c", "command -v xz"] })
    .outputSync().success,
  async fn() {
    await using root = temporary();
    const path = `${root.path}/-results`;
    Deno.writeTextFileSync(
      path,
      '["p","pass","/t",null,["f"],null]\n'.repeat(300_000),
    );
    const { success } = new Deno.Command("xz", { args: ["-1", path] })
      .outputSync();
    ok(success);
    let count = 0;
    for await (const _line of readJsonLines(`${path}.xz`)) count++;
    strictEqual(count, 300_000);
    for await (const _line of readJsonLines(`${path}.xz`)) break;

    const bytes = Deno.readFileSync(`${path}.xz`);
    Deno.writeFileSync(path, bytes.subarray(0, bytes.length - 20));
    await rejected(Array.fromAsync(readJsonLines(path)), Error, "xz ended");
  },
});

Deno.test("readJsonLines() names the line that it does not understand", async () => {
  await using root = temporary();
  const path = `${root.path}/results.jsonl`;
  const good = '["p",null,"/t",null,null,null]\n';
  for (
    const bad of [
      "nonsense",
      "{}",
      '["p",null,"/t",null,[]]',
      '[null,null,"/t",null,[],null]',
      '["p",3,"/t",null,[],null]',
      '["p",null,"/t",null,[3],null]',
      '["p",null,"/t",null,[],null,3]',
    ]
  ) {
    Deno.writeTextFileSync(path, `${good}\n${bad}\n${good}`);
    const error = await rejected(
      Array.fromAsync(readJsonLines(path)),
      BadResultsError,
      path,
    );
    strictEqual(error.line, 3);
  }
  await rejected(
    Array.fromAsync(readJsonLines(`${root.path}/nothing`)),
    Deno.errors.NotFound,
    "nothing",
  );
});
