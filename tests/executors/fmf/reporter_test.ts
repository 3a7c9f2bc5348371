import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { rejected, thrown } from "../../_thrown.ts";
import { onSmallDisk, smallDiskAvailable } from "../../_small_disk.ts";
import {
  BadControlError,
  BadReportJSONError,
  TestAbortedError,
} from "../../../executors/executor.ts";
import {
  Reporter,
  type ReporterOptions,
} from "../../../executors/fmf/reporter.ts";
import { CountedWrites } from "./_counted_writes.ts";
import { bytesOf, result } from "./_messages.ts";
import { play, Run } from "./_reported.ts";
import { splits, stream } from "./_streams.ts";

const ended = { exitCode: 0 };

Deno.test("Reporter makes the same artifacts however the stream is cut, never outside of them", async () => {
  await fc.assert(
    fc.asyncProperty(stream, splits, async (bytes, cut) => {
      deepStrictEqual(await play(cut(bytes)), await play([bytes]));
    }),
    { numRuns: 1000 },
  );
});

Deno.test("Reporter.open() touches nothing if there are artifacts already", () => {
  for (const entry of ["results", "files", "testout.temp"]) {
    const directory = Deno.makeTempDirSync({ prefix: "atex-test-" });
    try {
      Deno.writeTextFileSync(`${directory}/${entry}`, "mine");
      thrown(
        () => Reporter.open(directory),
        Deno.errors.AlreadyExists,
        `"${entry}"`,
      );
      deepStrictEqual(
        [...Deno.readDirSync(directory)].map(({ name }) => name),
        [entry],
      );
      strictEqual(Deno.readTextFileSync(`${directory}/${entry}`), "mine");
    } finally {
      Deno.removeSync(directory, { recursive: true });
    }
  }
  thrown(
    () => Reporter.open("/nonexistent/artifacts"),
    Deno.errors.NotFound,
    "/nonexistent/artifacts",
  );
});

Deno.test("ControlChannel.feed() resolves when all that was complete is on disk", async () => {
  await using run = new Run();
  await run.feed(
    result({ name: "a", files: [{ name: "f", length: 3 }] }),
    "abc",
    result({ name: "b" }),
    "result 5\n{",
  );
  deepStrictEqual(await run.results(), [
    { name: "a", files: ["f"] },
    { name: "b" },
  ]);
  deepStrictEqual(run.files(), { "a/f": "abc" });
});

Deno.test("ControlChannel.feed() keeps what came before a fault and ignores what comes after it", async () => {
  await using run = new Run();
  const error = await rejected(
    run.feed(result({ name: "a" }), "bogus\n", result({ name: "b" })),
    BadControlError,
    "bogus",
  );
  await run.feed(result({ name: "c" }));
  strictEqual(run.channel.end(), "");
  await run.reporter.finish({ error });
  deepStrictEqual(await run.results(), [
    { name: "a" },
    {
      status: "infra",
      note: `BadControlError(${error.message})`,
      files: ["output.txt"],
    },
  ]);
});

Deno.test("ControlChannel tells the executor what it needs to know", async () => {
  await using run = new Run();
  const channel = run.reporter.channel({ duration: run.duration, nonce: "n" });
  await channel.feed(bytesOf("motd\n"));
  deepStrictEqual([channel.started, channel.dropped], [false, "motd\n"]);
  await channel.feed(bytesOf("noop atex-start n\nduration +5\nexitcode 3\n"));
  deepStrictEqual([channel.started, channel.ended], [true, false]);
  await channel.feed(bytesOf("noop atex-end n\nunfin"));
  deepStrictEqual([channel.ended, channel.exitCode], [true, 3]);
  strictEqual(channel.disconnected, false);
  strictEqual(channel.end(), "unfin");
  deepStrictEqual(run.duration.calls, ["increment 5000"]);
});

Deno.test("Reporter goes on with chains, results and output after a restart of the test", async () => {
  await using run = new Run();
  run.print("one\n");
  await run.feed(
    result({ partial: true, files: [{ name: "log", length: 2 }] }),
    "a\ndisconnect\nnoop\nbogus\n",
  );
  ok(run.channel.disconnected);
  run.channel = run.reporter.channel({ duration: run.duration });
  run.print("two\n");
  await run.feed(
    result({
      status: "pass",
      testout: "out",
      files: [{ name: "log", length: 1 }],
    }),
    "b",
  );
  await run.reporter.finish(ended);
  deepStrictEqual(await run.results(), [{
    status: "pass",
    files: ["out", "log"],
  }]);
  deepStrictEqual(run.files(), { log: "a\nb", out: "one\ntwo\n" });
});

Deno.test("Reporter keeps the beginning of a file whose stream ends, and loses its result", async () => {
  await using run = new Run();
  await run.feed(result({ files: [{ name: "f", length: 9 }] }), "abc");
  const error = thrown(
    () => run.channel.end(),
    BadControlError,
    "end of stream",
  );
  await run.reporter.finish({ error });
  deepStrictEqual(run.files(), { f: "abc", "output.txt": "" });
  strictEqual((await run.results()).length, 1);
});

Deno.test("Reporter makes a file when its turn has come, before any byte of it", async () => {
  const files = [{ name: "f", length: 4 }, { name: "g", length: 1 }, {
    name: "h",
    length: 1,
  }];
  for (
    const [bytes, made] of [["", { f: "" }], ["abc", { f: "abc" }], [
      "abcd",
      { f: "abcd", g: "" },
    ]] as const
  ) {
    for (
      const pieces of [[result({ files }) + bytes], [result({ files }), bytes]]
    ) {
      await using run = new Run();
      await run.feed(...pieces);
      deepStrictEqual(run.files(), made);
      thrown(() => run.channel.end(), BadControlError, "end of stream");
    }
  }
});

Deno.test("Reporter refuses a file that cannot be before any byte of it", async () => {
  await using run = new Run();
  await run.feed(result({ name: "s", files: [{ name: "a", length: 1 }] }), "x");
  const clash = result({ name: "s", files: [{ name: "a/b", length: 5 }] });
  await rejected(run.feed(clash), BadReportJSONError);
});

Deno.test("Reporter stores large files as they come", async () => {
  await using run = new Run();
  const bytes = crypto.getRandomValues(new Uint8Array(65536));
  const count = 50;
  await run.feed(
    result({ name: "before" }),
    result({ files: [{ name: "big", length: count * bytes.length }] }),
  );
  for (let i = 0; i < count; i++) {
    await run.channel.feed(bytes);
    const { size } = Deno.statSync(`${run.directory}/files/big`);
    strictEqual(size, (i + 1) * bytes.length);
  }
  await run.reporter.finish(ended);
  const stored = Deno.readFileSync(`${run.directory}/files/big`);
  for (let at = 0; at < stored.length; at += bytes.length) {
    deepStrictEqual(stored.subarray(at, at + bytes.length), bytes);
  }
  deepStrictEqual(await run.results(), [{ name: "before" }, {
    files: ["big"],
  }]);
});

Deno.test("Reporter lets others go on while a slow disk takes a large file", async () => {
  let time = 0;
  await using run = new Run({ now: () => time += 6 });
  using writes = new CountedWrites("write");
  const large = { name: "big", length: 2 ** 21 };
  await run.feed(result({ files: [large] }), "a".repeat(2 ** 20));
  await run.feed(
    "b".repeat(2 ** 20),
    result({ name: "small", files: [{ name: "f", length: 1 }] }),
    "x",
    result({ name: "c", files: [large] }),
    "c".repeat(2 ** 21),
  );
  strictEqual(writes.calls, 2);
  strictEqual(run.files().big, "a".repeat(2 ** 20) + "b".repeat(2 ** 20));
  deepStrictEqual(
    (await run.results()).map((result) => (result as { name?: string }).name),
    [undefined, "small", "c"],
  );
  strictEqual(
    run.files()["c/big"],
    "c".repeat(2 ** 21),
  );
});

Deno.test("Reporter writes finished results before it waits for a large file", async () => {
  let time = 0;
  await using run = new Run({ now: () => time += 6 });
  const fed = run.feed(
    result({ name: "a", files: [{ name: "small", length: 1 }] }),
    "x",
    result({ name: "b", files: [{ name: "big", length: 2 ** 21 }] }),
    "x".repeat(2 ** 21),
  );
  // nothing else has had a turn yet
  strictEqual(
    Deno.readTextFileSync(`${run.directory}/results`),
    '{"name":"a","files":["small"]}\n',
  );
  await fed;
});

Deno.test("Reporter tries again whether a slow disk has become fast", async () => {
  let time = 0;
  let step = 6;
  await using run = new Run({ now: () => time += step });
  const length = 2 ** 21;
  const block = new Uint8Array(1024);
  await run.feed(result({ files: [{ name: "big", length }] }));
  using writes = new CountedWrites("write");
  await run.channel.feed(block);
  step = 0;
  for (let n = 0; n < 300; n++) await run.channel.feed(block);
  strictEqual(writes.calls, 256);
});

Deno.test("Reporter writes a large file at once where the disk is fast", async () => {
  await using run = new Run({ now: () => 0 });
  using writes = new CountedWrites("write");
  await run.feed(
    result({ name: "b", files: [{ name: "big", length: 2 ** 21 }] }),
    "x".repeat(2 ** 21),
  );
  strictEqual(writes.calls, 0);
});

Deno.test("Reporter appends where two names share a place", async () => {
  await using run = new Run();
  await run.feed(
    result({ name: "a", files: [{ name: "b/c", length: 1 }] }) + "1",
    result({ name: "a/b", files: [{ name: "c", length: 1 }] }) + "2",
    result({ name: "//a/./b", files: [{ name: "c", length: 1 }] }) + "3",
  );
  deepStrictEqual(run.files(), { "a/b/c": "123" });
});

Deno.test("Reporter refuses files that clash with others", async () => {
  const upload = (name: string) =>
    result({ files: [{ name, length: 1 }] }) + "x";
  const attach = (testout: string) => result({ testout });
  const cases: [string, string][] = [
    [upload("a"), upload("a/b")],
    [upload("a/b"), upload("a")],
    [upload("a"), attach("a")],
    [upload("a"), attach("a/b")],
    [upload("a/b"), attach("a")],
    [attach("a"), upload("a")],
    [attach("a"), attach("a")],
    [attach("a"), attach("a/b")],
    ["", upload("x/".repeat(2100) + "x")],
    ["", attach("x/".repeat(2100) + "x")],
  ];
  for (const [before, clash] of cases) {
    await using run = new Run();
    await run.feed(before);
    const count = (await run.results()).length;
    const files = run.files();
    await rejected(run.feed(clash), BadReportJSONError);
    strictEqual((await run.results()).length, count);
    deepStrictEqual(run.files(), files);
    strictEqual(Deno.readTextFileSync(run.reporter.output), "");
  }
});

Deno.test("Reporter follows no link and opens nothing special that somebody put there", async () => {
  const plants: ((files: string, elsewhere: string) => void)[] = [
    (files, elsewhere) => Deno.symlinkSync(elsewhere, `${files}/d`),
    (files, elsewhere) => {
      Deno.mkdirSync(`${files}/d`);
      Deno.symlinkSync(`${elsewhere}/f`, `${files}/d/f`);
    },
    (files, elsewhere) => {
      Deno.mkdirSync(`${files}/d`);
      Deno.symlinkSync(`${elsewhere}/new`, `${files}/d/f`);
    },
    (files) => {
      Deno.mkdirSync(`${files}/d`);
      const { success } = new Deno.Command("mkfifo", {
        args: [`${files}/d/f`],
      }).outputSync();
      ok(success);
    },
  ];
  for (const plant of plants) {
    await using run = new Run();
    const elsewhere = `${run.parent}/elsewhere`;
    Deno.mkdirSync(elsewhere);
    Deno.writeTextFileSync(`${elsewhere}/f`, "precious");
    plant(`${run.directory}/files`, elsewhere);
    const error = await rejected(
      run.feed(result({ name: "d", files: [{ name: "f", length: 1 }] }), "x"),
      TestAbortedError,
    );
    strictEqual(error.reason, "storage");
    deepStrictEqual(run.files(elsewhere), { f: "precious" });
  }
});

Deno.test("Reporter shows later output in an attached file", async () => {
  await using run = new Run();
  run.print("first\n");
  await run.feed(result({ testout: "log/out" }));
  run.print("second\n");
  deepStrictEqual(run.files(), { "log/out": "first\nsecond\n" });
});

Deno.test("Reporter copies the output at the end where there are no hard links", async () => {
  const link = () => {
    throw Object.assign(new Error("no links here"), { code: "EPERM" });
  };
  await using run = new Run({ link });
  run.print("first\n");
  await run.feed(result({ name: "s", testout: "out" }));
  await rejected(
    run.feed(result({ name: "s", files: [{ name: "out", length: 1 }] }), "x"),
    BadReportJSONError,
  );
  run.print("second\n");
  await run.reporter.finish(ended);
  deepStrictEqual(await run.results(), [
    { name: "s", files: ["out"] },
    { status: "pass", files: ["output.txt"] },
  ]);
  deepStrictEqual(run.files(), {
    "s/out": "first\nsecond\n",
    "output.txt": "first\nsecond\n",
  });
});

Deno.test("Reporter keeps a chain as it was when its last result is refused", async () => {
  await using run = new Run();
  await run.feed(
    result({ name: "s", files: [{ name: "taken", length: 1 }] }) + "x",
    result({ name: "s", status: "error", list: [1], partial: true }),
  );
  const error = await rejected(
    run.feed(
      result({ name: "s", status: "pass", list: [2], testout: "taken" }),
    ),
    BadReportJSONError,
    "taken",
  );
  await run.reporter.finish({ error });
  deepStrictEqual((await run.results()).slice(1, 2), [
    { name: "s", status: "error", list: [1] },
  ]);
});

Deno.test("Reporter merges keys of any name", async () => {
  await using run = new Run();
  const report = (json: string) => `result ${bytesOf(json).length}\n${json}`;
  await run.feed(
    report('{"__proto__":{"a":1,"b":[1]},"toString":1,"partial":true}'),
    report(
      '{"__proto__":{"a":null,"b":[2],"__proto__":3},"constructor":{"x":1},"partial":true}',
    ),
    report(
      '{"n":12345678901234567890,"constructor":{"x":{"y":1}},"hasOwnProperty":null}',
    ),
  );
  strictEqual(
    Deno.readTextFileSync(`${run.directory}/results`),
    '{"__proto__":{"b":[1,2],"__proto__":3},"toString":1,' +
      '"constructor":{"x":{"y":1}},"n":12345678901234567890}\n',
  );
  strictEqual(({} as { a?: number }).a, undefined);
});

Deno.test("Reporter finds a free name for the output of a made-up result", async () => {
  const upload = (name: string) =>
    result({ name: "..", files: [{ name, length: 1 }] }) + "x";
  const numbered = (count: number) =>
    Array.from({ length: count }, (_, i) => upload(`output-${i + 1}.txt`)).join(
      "",
    );
  const cases: [string, string[] | undefined][] = [
    ["", ["output.txt"]],
    [upload("output.txt"), ["output-1.txt"]],
    [upload("output.txt/x"), ["output-1.txt"]],
    [upload("output.txt") + numbered(8), ["output-9.txt"]],
    [upload("output.txt") + numbered(9), undefined],
    // an unfinished result is served first, whatever its name
    [
      result({ name: "..", testout: "output.txt", partial: true }),
      ["output-1.txt"],
    ],
  ];
  for (const [before, files] of cases) {
    await using run = new Run();
    run.print("o");
    await run.feed(before);
    await run.reporter.finish({ exitCode: 7 });
    deepStrictEqual(
      (await run.results()).at(-1),
      files ? { status: "fail", files } : { status: "fail" },
    );
    if (files) strictEqual(run.files()[files[0]!], "o");
  }
});

Deno.test("Reporter.write() stores results of the executor with their files", async () => {
  await using run = new Run();
  run.reporter.write({ name: "s", status: "info" });
  strictEqual(run.reporter.hasOwnResult, false);
  const own = { status: "infra", note: "TestSetupError(no space)" };
  run.reporter.write(own, {
    "setup.txt": "df: ž\n",
    "raw": new Uint8Array([65]),
  });
  strictEqual(run.reporter.hasOwnResult, true);
  await run.reporter.finish({ error: new Error("no space") });
  deepStrictEqual(await run.results(), [
    { name: "s", status: "info" },
    { ...own, files: ["setup.txt", "raw"] },
  ]);
  deepStrictEqual(run.files(), { "setup.txt": "df: ž\n", raw: "A" });
});

Deno.test("Reporter.hasStatus() looks at written and at unfinished results", async () => {
  await using run = new Run();
  await run.feed(
    result({ name: "a", status: "warn" }),
    result({ name: "b", status: "fail", partial: true }),
    result({ name: "c", status: "own", partial: true }),
  );
  const { reporter } = run;
  ok(reporter.hasStatus("warn"));
  ok(reporter.hasStatus("error", "fail"));
  ok(reporter.hasStatus("own"));
  ok(!reporter.hasStatus("error", "pass"));
  await run.feed(result({ name: "b", status: "pass" }));
  ok(!reporter.hasStatus("fail"));
  ok(reporter.hasStatus("pass"));
});

Deno.test("Reporter.finish() ends what is open, once", async () => {
  await using run = new Run();
  await run.feed(
    result({ name: "s", files: [{ name: "f", length: 9 }] }),
    "abc",
  );
  await run.reporter.finish({ exitCode: 3 });
  await run.reporter.finish({ exitCode: 0 });
  run.reporter.close();
  deepStrictEqual(await run.results(), [
    { status: "fail", files: ["output.txt"] },
  ]);
});

Deno.test("Reporter.close() leaves what was reported, and no output file", async () => {
  await using run = new Run();
  await run.feed(result({ name: "s" }), result({ partial: true, note: "n" }));
  run.reporter.close();
  deepStrictEqual(await run.results(), [{ name: "s" }]);
  deepStrictEqual(
    [...Deno.readDirSync(run.directory)].map(({ name }) => name).sort(),
    ["files", "results"],
  );
});

Deno.test("a result with very many files holds nobody up", async () => {
  await using run = new Run();
  let turns = 0;
  const timer = setInterval(() => turns++, 0);
  try {
    const files = Array.from(
      { length: 2000 },
      (_, index) => ({ name: `${index}/f`, length: 0 }),
    );
    await run.feed(result({ status: "pass", files }));
  } finally {
    clearInterval(timer);
  }
  ok(turns > 1, `${turns}`);
  strictEqual(Object.keys(run.files()).length, 2000);
});

Deno.test("Reporter takes as much as its limits allow", async () => {
  const upload = (length: number) =>
    result({ name: "s", files: [{ name: "f", length }] }) + "x".repeat(length);
  const cases: [ReporterOptions["limits"], string, string][] = [
    [{ bytes: 10 }, upload(6) + upload(4), upload(1)],
    [
      { results: 2 },
      result({ name: "a" }) + result({ partial: true }),
      result({}),
    ],
    [
      { partials: 1 },
      result({ partial: true }) + result({ partial: true }),
      result({ name: "a", partial: true }),
    ],
  ];
  for (const [limits, enough, more] of cases) {
    await using run = new Run({ limits: limits! });
    await run.feed(enough);
    await rejected(run.feed(more), BadReportJSONError, "more than");
  }
});

for (const what of ["files", "large", "results"] as const) {
  Deno.test({
    name:
      `Reporter on a full disk keeps whole results and blames the storage (${what})`,
    ignore: !smallDiskAvailable,
    fn() {
      const directory = Deno.makeTempDirSync({ prefix: "atex-test-" });
      try {
        const seen = onSmallDisk(
          directory,
          "256k",
          "executors/fmf/_disk_full.ts",
          [directory, what],
        ) as Record<string, unknown>;
        const { error, whole, fed, results, left } = seen;
        deepStrictEqual({ error, whole, left, results }, {
          error: "storage",
          whole: true,
          left: ["files", "results"],
          results: fed,
        }, Deno.inspect(seen));
        ok(what === "large" || (fed as number) > 100);
      } finally {
        Deno.removeSync(directory);
      }
    },
  });
}

Deno.test({
  name: "Reporter.finish() writes what a full disk had no room for",
  ignore: !smallDiskAvailable,
  fn() {
    const directory = Deno.makeTempDirSync({ prefix: "atex-test-" });
    try {
      deepStrictEqual(
        onSmallDisk(directory, "128k", "executors/fmf/_disk_freed.ts", [
          directory,
        ]),
        {
          reason: "storage",
          hasOwnResult: false,
          results: '{"status":"pass"}\n',
        },
      );
    } finally {
      Deno.removeSync(directory);
    }
  },
});
