import {
  deepStrictEqual as equal,
  doesNotMatch,
  match,
  ok,
  strictEqual,
} from "node:assert/strict";
import fc from "fast-check";
import {
  DuplicateResultError,
  type IngestInfo,
} from "../../aggregators/aggregator.ts";
import {
  HtmlReportAggregator,
  type HtmlReportAggregatorOptions,
  type StoredResult,
  writeHtmlReport,
} from "../../aggregators/html.ts";
import { JsonLinesAggregator } from "../../aggregators/jsonl.ts";
import { MultiAggregator } from "../../aggregators/multi.ts";
import { readResults } from "../../aggregators/reader.ts";
import { BadResultsError, type Result } from "../../executors/results.ts";
import { eventfulRun } from "../orchestrators/_events.ts";
import type { RunEvent } from "../../orchestrators/orchestrator.ts";
import { onSmallDisk, smallDiskAvailable } from "../_small_disk.ts";
import { rejected, thrown } from "../_thrown.ts";
import { until } from "../_wait.ts";
import { contents, layOut, temporary } from "./_artifacts.ts";
import { Excerpts } from "../../aggregators/_html_logs.ts";
import { ReportModel } from "../../aggregators/_html_model.ts";
import { Timelines } from "../../aggregators/_html_timeline.ts";
import { dataOf, readPage } from "./_html.ts";

/** Ingests tests into a report of its own; gives the data of the page. */
async function reportOf(
  tests: readonly {
    platform?: string;
    test: string;
    results: readonly Result[];
    files?: Record<string, string>;
    info?: IngestInfo;
  }[],
  options: Partial<HtmlReportAggregatorOptions> = {},
) {
  await using directory = temporary();
  const report = `${directory.path}/out/report.html`;
  await using aggregator = await new HtmlReportAggregator({
    report,
    ...options,
  })
    .start();
  for (
    const [n, { platform = "p", test, results, files, info }] of tests.entries()
  ) {
    const artifacts = layOut(`${directory.path}/${n}`, results, files);
    await aggregator.ingest(platform, test, artifacts, info);
  }
  await aggregator.stop();
  return {
    data: await readPage(report),
    page: await Deno.readTextFile(report),
  };
}

Deno.test("HtmlReportAggregator puts what is known of a test into the page", async () => {
  const { data } = await reportOf([
    {
      test: "/a",
      results: [
        { name: "sub/one", status: "pass" },
        { name: "two", status: "fail", note: "why", files: ["x"] },
        { name: "three" },
        { status: "pass", note: "first" },
        { status: "fail", files: ["output.txt", "y"] },
      ],
      files: { "output.txt": "printed\n", "two/x": "" },
      info: {
        attempt: 2,
        earlier: [{ status: "infra", note: "gone" }],
        remote: "r#1",
        startedAt: 1000,
        finishedAt: 3500,
      },
    },
    { test: "/b", results: [{ name: "part", status: "pass" }] },
    {
      platform: "q",
      test: "/c",
      results: [{}],
    },
  ]);
  equal([data.platforms, data.systems, data.final, data.leftOut], [
    ["p", "q"],
    ["r#1"],
    true,
    0,
  ]);
  equal(data.tests, [
    {
      p: 0,
      t: "/a",
      s: "fail",
      n: "first",
      f: [["output.txt", 8, "printed\n"], "y"],
      r: 0,
      b: 1000,
      d: 2500,
      a: 2,
      e: [["infra", "gone"]],
      u: [
        ["sub/one", "pass"],
        ["two", "fail", "why", [["x", 0]]],
        ["three", null],
      ],
    },
    { p: 0, t: "/b", x: 1, u: [["part", "pass"]] },
    { p: 1, t: "/c" },
  ]);
});

Deno.test("HtmlReportAggregator leaves the artifacts as they are", async () => {
  await using directory = temporary();
  const artifacts = layOut(`${directory.path}/a`, [
    { status: "pass", files: ["f"] },
  ], { f: "1" });
  const before = contents(artifacts);
  const report = `${directory.path}/report.html`;
  await using aggregator = await new HtmlReportAggregator({ report }).start();
  await aggregator.ingest("p", "/a", artifacts);
  equal(contents(artifacts), before);
  ok(aggregator.readsOnly);
});

Deno.test("HtmlReportAggregator takes each test once, or under a new name", async () => {
  await using directory = temporary();
  const artifacts = layOut(`${directory.path}/a`, [{ status: "pass" }]);
  for (const allowDuplicate of [false, true]) {
    const report = `${directory.path}/${allowDuplicate}.html`;
    await using aggregator = await new HtmlReportAggregator({
      report,
      allowDuplicate,
    }).start();
    await aggregator.ingest("p", "/a", artifacts);
    const again = aggregator.ingest("p", "/a", artifacts);
    if (allowDuplicate) await again;
    else await rejected(again, DuplicateResultError);
    await aggregator.stop();
    equal(
      (await readPage(report)).tests.map(({ t }) => t),
      allowDuplicate ? ["/a", "/a (1)"] : ["/a"],
    );
  }
});

Deno.test("HtmlReportAggregator takes a test again after it could not be read", async () => {
  await using directory = temporary();
  const report = `${directory.path}/report.html`;
  await using aggregator = await new HtmlReportAggregator({ report }).start();
  const artifacts = layOut(`${directory.path}/a`, [{ status: "pass" }]);
  await Deno.writeTextFile(`${artifacts}/results`, '{"status":"pass"}\nno\n');
  await rejected(aggregator.ingest("p", "/a", artifacts), BadResultsError);
  await rejected(
    aggregator.ingest("p", "/b", `${directory.path}/none`),
    Deno.errors.NotFound,
  );
  await Deno.writeTextFile(`${artifacts}/results`, '{"status":"pass"}\n');
  await aggregator.ingest("p", "/a", artifacts);
  await aggregator.stop();
  equal((await readPage(report)).tests, [{ p: 0, t: "/a", s: "pass" }]);
});

Deno.test("HtmlReportAggregator only takes tests between start() and stop()", async () => {
  await using directory = temporary();
  const report = `${directory.path}/report.html`;
  const aggregator = new HtmlReportAggregator({ report });
  await aggregator.stop();
  await rejected(aggregator.ingest("p", "/a", "x"), Error, "is not started");
  await aggregator.start();
  await rejected(aggregator.start(), Error, "twice");
  await aggregator.stop();
  await aggregator.stop();
  await rejected(aggregator.ingest("p", "/a", "x"), Error, "is not started");
  await rejected(
    new HtmlReportAggregator({ report }).start(),
    Deno.errors.AlreadyExists,
    `Cannot write the report to "${report}": it is there already`,
  );
  equal((await readPage(report)).tests, []);
});

Deno.test("HtmlReportAggregator refuses numbers that make no sense", () => {
  for (const option of ["excerpts", "maxRows", "refresh"]) {
    for (const value of [-1, NaN]) {
      thrown(
        () => new HtmlReportAggregator({ report: "x", [option]: value }),
        RangeError,
        `${option} ${value}`,
      );
    }
  }
});

Deno.test("HtmlReportAggregator takes many tests at once", async () => {
  await using directory = temporary();
  const report = `${directory.path}/report.html`;
  await using aggregator = await new HtmlReportAggregator({
    report,
    refresh: 1,
  })
    .start();
  const names = Array.from({ length: 200 }, (_, n) => `/t${n}`);
  await Promise.all(names.map((test) =>
    aggregator.ingest(
      "p",
      test,
      layOut(`${directory.path}/${test}`, [{ status: "pass" }]),
    )
  ));
  await aggregator.stop();
  equal((await readPage(report)).tests.map(({ t }) => t).sort(), names.sort());
  equal(
    [...Deno.readDirSync(directory.path)].filter(({ isFile }) => isFile).map((
      { name },
    ) => name),
    ["report.html"],
  );
});

const numbered = (n: number) =>
  Array.from({ length: n }, (_, i) => `line ${i + 1}\n`).join("");

Deno.test("an HTML report has the beginning and the end of long files of failed tests", async () => {
  const text = numbered(20_000);
  const files = { "output.txt": text };
  const { data: { tests: [failed, passed] } } = await reportOf([
    { test: "/f", results: [{ status: "fail", files: ["output.txt"] }], files },
    { test: "/p", results: [{ status: "pass", files: ["output.txt"] }], files },
  ]);
  const [[name, size, beginning, end]] = failed!.f as [
    [string, number, string, string],
  ];
  equal([name, size], ["output.txt", text.length]);
  ok(text.startsWith(beginning) && beginning.endsWith("\n"));
  ok(text.endsWith(end) && /^line \d+\n/.test(end));
  ok(beginning.length > 16_000 && end.length > 48_000);
  equal(passed!.f, [["output.txt", text.length]]);
});

Deno.test("an HTML report has as much of what tests printed as it may", async () => {
  const some = (status: string, n: number) => ({
    test: `/${status}${n}`,
    results: [{ status, files: ["o"] }],
    files: { o: "x".repeat(999) + "\n" },
  });
  const tests = [1, 2, 3, 4].flatMap((
    n,
  ) => [some("pass", n), some("fail", n)]);
  const texts = async (excerpts: number) =>
    (await reportOf(tests, { excerpts })).data.tests.map(({ f }) =>
      f![0]!.length - 2
    );
  equal(await texts(100_000), [1, 1, 1, 1, 1, 1, 1, 1]);
  equal(await texts(5_000), [1, 1, 1, 1, 0, 1, 0, 0]);
  equal(await texts(0), [0, 0, 0, 0, 0, 0, 0, 0]);
});

Deno.test("an HTML report finds files where they are stored, whatever way they are listed", async () => {
  await using directory = temporary();
  const files = ["/abs.log", "..//s/./x", "\u0007"];
  const artifacts = layOut(
    `${directory.path}/a`,
    [{ status: "fail", files }, { name: "/../n", status: "fail", files }],
    {
      "abs.log": "1",
      "s/x": "2",
      "_": "3",
      "n/abs.log": "4",
      "n/s/x": "5",
      "n/_": "6",
    },
  );
  const report = `${directory.path}/report.html`;
  await using aggregator = await new HtmlReportAggregator({ report }).start();
  await aggregator.ingest("p", "/a", artifacts);
  await aggregator.stop();
  const [test] = (await readPage(report)).tests;
  equal(test!.f, files.map((file, n) => [file, 1, `${n + 1}`]));
  equal(test!.u![0]![3], files.map((file, n) => [file, 1, `${n + 4}`]));
});

Deno.test("an HTML report has nothing of files that are no text, or not of the test", async () => {
  await using directory = temporary();
  const secret = `${directory.path}/secret`;
  await Deno.writeTextFile(secret, "secret");
  const artifacts = layOut(`${directory.path}/a`, [{
    status: "fail",
    files: [
      "binary",
      "link",
      "inner",
      "loop",
      "none",
      "folder",
      "../../secret",
      secret,
      "",
      "x".repeat(300),
    ],
  }], { binary: "a\0b", real: "inside" });
  await Deno.symlink(secret, `${artifacts}/files/link`);
  await Deno.symlink("real", `${artifacts}/files/inner`);
  await Deno.symlink("loop", `${artifacts}/files/loop`);
  await Deno.mkdir(`${artifacts}/files/folder`);
  const report = `${directory.path}/report.html`;
  await using aggregator = await new HtmlReportAggregator({ report }).start();
  await aggregator.ingest("p", "/a", artifacts);
  await aggregator.stop();
  equal((await readPage(report)).tests[0]!.f, [
    ["binary", 3],
    "link",
    ["inner", 6, "inside"],
    "loop",
    "none",
    "folder",
    "../../secret",
    secret,
    "",
    "x".repeat(300),
  ]);
  doesNotMatch(await Deno.readTextFile(report), /[^/]secret\b(?!")/);
});

Deno.test("an HTML report leaves out subtests that passed, then all, and counts them", async () => {
  const results: Result[] = [1, 2, 3, 4, 5, 6].flatMap((n) => [
    { name: `p${n}`, status: "pass" },
    { name: `f${n}`, status: "fail" },
  ]);
  const { data } = await reportOf([
    { test: "/a", results: [...results, { status: "fail" }] },
  ], { maxRows: 4 });
  equal(data.tests[0]!.u!.map(([name]) => name), [
    "p1",
    "f1",
    "p2",
    "f2",
    "f3",
    "f4",
    "f5",
  ]);
  equal([data.tests[0]!.o, data.leftOut], [5, 5]);
});

Deno.test("an HTML report cuts notes that are logs", async () => {
  const { data } = await reportOf([
    { test: "/a", results: [{ status: "fail", note: "x".repeat(1e6) }] },
  ]);
  strictEqual(data.tests[0]!.n, "x".repeat(10_000) + " […]");
});

const stored = (test: string, status?: string): StoredResult => ({
  platform: "p",
  test,
  files: [],
  ...(status && { status }),
});

Deno.test("an HTML report tells what differs from earlier results", async () => {
  const ended = (test: string, status?: string) => ({
    test,
    results: [status ? { status } : {}],
  });
  const { data } = await reportOf([
    ended("/broken", "fail"),
    ended("/fixed", "pass"),
    ended("/failing", "fail"),
    ended("/worse", "infra"),
    ended("/skipped", "skip"),
    ended("/same", "pass"),
    ended("/new", "pass"),
    { test: "/parts only", results: [{ name: "x", status: "pass" }] },
  ], {
    compareWith: [
      stored("/broken", "pass"),
      stored("/fixed", "fail"),
      stored("/failing", "fail"),
      stored("/worse", "fail"),
      stored("/skipped", "fail"),
      stored("/skipped", "pass"), // the last one counts
      stored("/same", "pass"),
      { ...stored("/parts only", "fail"), subtest: "x" },
      stored("/gone", "pass"),
      { ...stored("/gone too", "fail"), subtest: "x" },
      stored("/gone as well"),
    ],
  });
  equal(data.tests.map(({ t, c, w }) => [t, c, w]), [
    ["/broken", "broken", "pass"],
    ["/fixed", "fixed", "fail"],
    ["/failing", "failing", "fail"],
    ["/worse", "failing", "fail"],
    ["/skipped", "changed", "pass"],
    ["/same", undefined, undefined],
    ["/new", "new", undefined],
    ["/parts only", "failing", "no result"],
  ]);
  equal(data.gone, [
    ["p", "/gone", "pass"],
    ["p", "/gone too", "no result"],
    ["p", "/gone as well", "none"],
  ]);
  ok(data.compared);
});

Deno.test("an HTML report compares with the only other platform there is", async () => {
  const tests = [{ test: "/a", results: [{ status: "fail" }] }];
  const changes = async (...compareWith: StoredResult[]) => {
    const { data } = await reportOf(tests, { compareWith });
    return [data.tests[0]!.c, data.gone.length];
  };
  const before = stored("/a", "pass");
  equal(await changes({ ...before, platform: "old" }), ["broken", 0]);
  equal(
    await changes({ ...before, platform: "old" }, {
      ...before,
      platform: "older",
    }),
    ["new", 2],
  );
  equal(await changes(before, { ...before, platform: "old" }), ["broken", 1]);
});

Deno.test("an HTML report compares with another platform only if that is gone", async () => {
  const ended = (platform: string, test: string, status: string) => ({
    platform,
    test,
    results: [{ status }],
  });
  const other = [ended("q", "/t", "fail"), ended("q", "/v", "pass")];
  const changes = async (...tests: ReturnType<typeof ended>[]) => {
    const compareWith = [stored("/t", "pass"), stored("/v", "pass")];
    const { data } = await reportOf(tests, { compareWith });
    return [...data.tests.map(({ c }) => c), ...data.gone];
  };
  equal(await changes(...other, ended("p", "/t", "pass")), [
    "new",
    "new",
    undefined,
    ["p", "/v", "pass"],
  ]);
  equal(await changes(...other), ["broken", undefined]);
});

Deno.test("HtmlReportAggregator shows a run that goes on, and how it ended", async () => {
  await using directory = temporary();
  const report = `${directory.path}/report.html`;
  await using aggregator = await new HtmlReportAggregator({
    report,
    refresh: 1,
  })
    .start();
  const first = await readPage(report);
  equal([first.final, first.refresh, first.tests], [false, 1, []]);
  const next = Promise.withResolvers<RunEvent[]>();
  const end = Promise.withResolvers<RunEvent[]>();
  aggregator.follow((async function* () {
    yield* [
      {
        time: 1000,
        type: "run-started",
        platform: "p",
        tests: ["/a", "/b", "/c"],
      },
      {
        time: 1001,
        type: "remote-ready",
        remote: "r",
        provisioner: "x",
        attributes: {},
      },
      { time: 1002, type: "test-started", remote: "r", test: "/a", attempt: 1 },
    ];
    yield* await next.promise;
    yield* await end.promise;
  })());
  const page = () => readPage(report);
  await until(async () => (await page()).waiting[0]?.[2] === "running");
  equal((await page()).waiting, [
    [0, "/a", "running", 0, 1002],
    [0, "/b", "queued"],
    [0, "/c", "queued"],
  ]);
  next.resolve([
    {
      time: 1010,
      type: "test-finished",
      remote: "r",
      test: "/a",
      attempt: 1,
      exitCode: 0,
      ms: 8,
      destroyed: false,
      rerun: false,
    },
    {
      time: 1011,
      type: "test-started",
      remote: "r",
      test: "/b",
      attempt: 1,
      artifacts: "",
    },
  ]);
  await aggregator.ingest(
    "p",
    "/a",
    layOut(`${directory.path}/a`, [{ status: "pass" }]),
  );
  await until(async () => (await page()).tests.length === 1);
  await until(async () => (await page()).waiting[0]?.[1] === "/b");
  end.resolve([
    {
      time: 1012,
      type: "test-finished",
      remote: "r",
      test: "/b",
      attempt: 1,
      exitCode: 0,
      ms: 1,
      destroyed: false,
      rerun: false,
    },
    {
      time: 1013,
      type: "run-finished",
      kind: "IngestFailed",
      summary: {} as never,
    },
  ]);
  await aggregator.stop();
  const { final, waiting, runs } = await page();
  equal([final, waiting, runs[0]!.kind], [
    true,
    [[0, "/b", "not stored"], [0, "/c", "not run"]],
    "IngestFailed",
  ]);
});

Deno.test("HtmlReportAggregator.follow() bears events that fail", async () => {
  await using directory = temporary();
  const report = `${directory.path}/report.html`;
  await using aggregator = await new HtmlReportAggregator({ report }).start();
  await aggregator.follow((async function* () {
    yield await Promise.resolve({
      time: 1,
      type: "run-started",
      platform: "p",
      tests: ["/a"],
    });
    throw new Error("the source dried up");
  })());
  await aggregator.stop();
  equal((await readPage(report)).waiting, [[0, "/a", "not run"]]);
});

Deno.test("HtmlReportAggregator with `refresh: 0` writes only at the beginning and the end", async () => {
  await using directory = temporary();
  const report = `${directory.path}/report.html`;
  await using aggregator = await new HtmlReportAggregator({
    report,
    refresh: 0,
  })
    .start();
  const { ino } = await Deno.stat(report);
  await aggregator.ingest(
    "p",
    "/a",
    layOut(`${directory.path}/a`, [{ status: "pass" }]),
  );
  strictEqual((await Deno.stat(report)).ino, ino);
  await aggregator.stop();
  strictEqual((await readPage(report)).tests.length, 1);
});

Deno.test("a script that forgets stop() of an HTML report ends", async () => {
  await using directory = temporary();
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      `import { HtmlReportAggregator } from ${
        JSON.stringify(import.meta.resolve("../../aggregators/html.ts"))
      };
       await new HtmlReportAggregator({ report: Deno.args[0] }).start();`,
      `${directory.path}/report.html`,
    ],
    cwd: new URL("../..", import.meta.url),
    stdin: "null",
    signal: AbortSignal.timeout(60_000),
  }).output();
  ok(success, new TextDecoder().decode(stderr));
});

Deno.test("writeHtmlReport() makes the page that the aggregator made during the run", async () => {
  await using directory = temporary();
  const out = `${directory.path}/out`;
  const live = new HtmlReportAggregator({ report: `${out}/live.html` });
  await using aggregator = await new MultiAggregator([
    new JsonLinesAggregator({
      results: `${out}/results.jsonl`,
      files: `${out}/files`,
    }),
    live,
  ]).start();
  const events: RunEvent[] = [];
  const run = eventfulRun({
    start: () => aggregator.start(),
    stop: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
    ingest: (platform, test, artifacts, info) =>
      aggregator.ingest(
        platform,
        test,
        layOut(`${directory.path}/${info!.attempt}${test}`, [
          { name: "x", status: "pass", files: ["x.log"] },
          { status: test === "/bad" ? "fail" : "pass", files: ["output.txt"] },
        ], { "output.txt": `${test}\n`, "x/x.log": "x" }),
        artifacts ? info : undefined,
      ),
  });
  live.follow(run);
  for await (const event of run) events.push(event);
  await aggregator.stop();
  await writeHtmlReport(readResults(`${out}/results.jsonl`), {
    report: `${out}/after.html`,
    events,
  });
  const [during, after] = [
    await readPage(`${out}/live.html`),
    await readPage(`${out}/after.html`),
  ];
  strictEqual(during.tests.length, 5);
  const known = ({ tests, systems, runs }: typeof during) => ({
    tests: tests.map(({ r, ...test }) => ({
      ...test,
      system: systems[r!],
      // the moment of an event is not exactly that of the outcome
      b: undefined,
      d: undefined,
    })),
    runs: runs.map((run) =>
      run.systems.map(({ r, ...it }) => ({
        ...it,
        id: systems[r],
        bars: it.bars.map((bar) =>
          bar[0] === "test" ? tests[bar[3] as number]!.t : bar[0]
        ),
      }))
    ),
  });
  equal(known(after), known(during));
  const flaky = after.tests.find(({ t }) => t === "/flaky")!;
  equal([flaky.a, flaky.e], [2, [["fail", "exit code 1"]]]);
  match(JSON.stringify(after.runs[0]!.incidents), /setup failed: no luck/);
});

Deno.test("writeHtmlReport() takes what results were stored with, and distrusts it", async () => {
  await using directory = temporary();
  const report = `${directory.path}/report.html`;
  const fields = (fields: Record<string, unknown>) => ({
    ...stored("/a", "pass"),
    fields,
  });
  const tests = [
    fields({
      attempt: 2,
      remote: "r",
      startedAt: 5,
      finishedAt: 9,
      earlier: [{ status: "fail" }, 7, { status: "pass" }, null],
    }),
    fields({ attempt: "2", remote: 1, startedAt: {}, earlier: "x" }),
    fields({ attempt: NaN, finishedAt: Infinity }),
  ].map((it, n) => ({ ...it, test: `/${n}` }));
  await writeHtmlReport(tests, { report, files: null });
  const data = await readPage(report);
  equal(data.tests, [
    { p: 0, t: "/0", s: "pass", r: 0, b: 5, d: 4, a: 2, e: [["fail"]] },
    { p: 0, t: "/1", s: "pass" },
    { p: 0, t: "/2", s: "pass" },
  ]);
  strictEqual(data.files, null);
  for (
    const [files, link] of [
      ["https://ci.example/a b/files", "https://ci.example/a b/files"],
      ["my files/#1", "my%20files/%231"],
    ]
  ) {
    await writeHtmlReport([], { report, files, existing: "replace" });
    strictEqual((await readPage(report)).files, link);
  }
});

Deno.test("writeHtmlReport() replaces a file only if it is told to, and looks before it reads", async () => {
  await using directory = temporary();
  const report = `${directory.path}/new/report.html`;
  await writeHtmlReport([stored("/a", "pass")], { report });
  strictEqual((await readPage(report)).tests.length, 1);
  const before = contents(directory.path);
  let read = false;
  function* results() {
    read = true;
    yield stored("/b", "fail");
  }
  await rejected(
    writeHtmlReport(results(), { report }),
    Deno.errors.AlreadyExists,
    `Cannot write the report to "${report}": it is there already; choose another path or remove it`,
  );
  ok(!read);
  equal(contents(directory.path), before);
  // also one that appears meanwhile
  const late = `${directory.path}/late.html`;
  async function* meanwhile() {
    await Deno.writeTextFile(late, "precious");
    yield stored("/b", "fail");
  }
  await rejected(
    writeHtmlReport(meanwhile(), { report: late }),
    Deno.errors.AlreadyExists,
  );
  strictEqual(await Deno.readTextFile(late), "precious");
  await writeHtmlReport(results(), { report, existing: "replace" });
  equal((await readPage(report)).tests.map(({ t }) => t), ["/b"]);
});

Deno.test("HtmlReportAggregator goes on with what an earlier process stored", async () => {
  await using directory = temporary();
  const report = `${directory.path}/out/report.html`;
  const results = `${directory.path}/out/results.jsonl`;
  const start = async () => {
    const aggregator = new MultiAggregator([
      new JsonLinesAggregator({
        results,
        files: `${directory.path}/out/files`,
        existing: "continue",
      }),
      new HtmlReportAggregator({
        report,
        existing: "replace",
        stored: readResults(results),
        compareWith: [stored("/a", "pass"), stored("/b", "pass")],
      }),
    ]);
    return await aggregator.start();
  };
  let n = 0;
  const artifacts = (status: string) =>
    layOut(`${directory.path}/${n++}`, [{ status, files: ["o"] }], { o: "x" });
  {
    await using first = await start();
    await first.ingest("p", "/a", artifacts("fail"));
    await first.ingest("p", "/b", artifacts("fail"));
  }
  await using second = await start();
  equal((await readPage(report)).tests.map(({ t, c }) => [t, c]), [
    ["/a", "broken"],
    ["/b", "broken"],
  ]);
  await second.ingest("p", "/c", artifacts("pass"));
  await second.stop();
  const { tests } = await readPage(report);
  equal(tests.map(({ t, s, f }) => [t, s, f]), [
    ["/a", "fail", [["o", 1, "x"]]],
    ["/b", "fail", [["o", 1, "x"]]],
    ["/c", "pass", [["o", 1, "x"]]],
  ]);

  // a test that was stored in part only is ingested again
  const alone = new HtmlReportAggregator({
    report,
    existing: "replace",
    stored: readResults(results),
  });
  await alone.start();
  await alone.ingest("p", "/a", artifacts("pass"));
  await alone.stop();
  equal(
    (await readPage(report)).tests.map(({ t, s }) => [t, s]),
    [["/a", "pass"], ["/b", "fail"], ["/c", "pass"]],
  );
  match(await Deno.readTextFile(report), /<p>1 of 3 tests failed/);
});

Deno.test("writeHtmlReport() makes no report of results that are not there", async () => {
  await using directory = temporary();
  await rejected(
    writeHtmlReport(readResults(`${directory.path}/none`), {
      report: `${directory.path}/report.html`,
    }),
    Deno.errors.NotFound,
  );
  equal(contents(directory.path), {});
});

Deno.test("the timeline of a run that was killed goes on with the next process", async () => {
  await using directory = temporary();
  const report = `${directory.path}/report.html`;
  const tests = ["/a", "/b"];
  await writeHtmlReport([stored("/a", "pass"), stored("/b", "pass")], {
    report,
    events: [
      { time: 100, type: "run-started", platform: "p", tests },
      {
        time: 101,
        type: "remote-ready",
        remote: "r",
        provisioner: "x",
        attributes: {},
      },
      { time: 101, type: "test-started", remote: "r", test: "/a", attempt: 1 },
      {
        time: 102,
        type: "test-finished",
        remote: "r",
        test: "/a",
        attempt: 1,
        exitCode: 0,
        rerun: false,
      },
      { time: 103, type: "test-started", remote: "r", test: "/b", attempt: 1 },
      { time: 105, type: "remote-idle", remote: "other" },
      // killed
      { time: 200, type: "run-started", platform: "p", tests },
      {
        time: 200,
        type: "run-resumed",
        done: ["/a"],
        failed: [],
        interrupted: ["/b"],
        reruns: 0,
      },
      {
        time: 201,
        type: "remote-ready",
        remote: "s",
        provisioner: "x",
        attributes: {},
      },
      { time: 202, type: "test-started", remote: "s", test: "/b", attempt: 2 },
      {
        time: 204,
        type: "test-finished",
        remote: "s",
        test: "/b",
        attempt: 2,
        exitCode: 0,
        rerun: false,
      },
      {
        time: 204,
        type: "release-failed",
        remote: "elsewhere",
        error: new Error("busy"),
        givenBack: true,
      },
      {
        time: 204,
        type: "draining",
        kind: "PolicyFailed",
        why: 'the rule "rerun" threw',
        error: new Error("boom"),
      },
      { time: 205, type: "run-finished", kind: null },
    ] as never,
  });
  const { runs: [run], waiting, tests: rows, systems } = await readPage(report);
  equal(run!.incidents.at(-2)![1], "elsewhere was not cleaned up: busy");
  equal(run!.incidents.at(-1), [
    104,
    'no further test is started: the rule "rerun" threw: boom',
  ]);
  equal(waiting, []);
  equal(
    rows.map(({ t, r, b, d, a = 1 }) => [t, systems[r!], b, d, a]),
    [["/a", "r", 101, 1, 1], ["/b", "s", 202, 2, 2]],
  );
  equal([run!.startedAt, run!.finishedAt], [100, 205]);
  equal(run!.systems.map(({ to, bars }) => [to, bars]), [
    [5, [
      ["test", 1, 1, 0, 1, "pass"],
      ["test", 3, 2, 1, 1, "infra", "the script was killed"],
    ]],
    [undefined, [["test", 102, 2, 1, 2, "pass"]]],
  ]);
});

Deno.test("a test that neither of two processes could store is on the page", async () => {
  await using directory = temporary();
  const report = `${directory.path}/report.html`;
  await writeHtmlReport([], {
    report,
    events: [
      { time: 200, type: "run-started", platform: "p", tests: ["/a", "/b"] },
      { time: 200, type: "run-resumed", done: ["/a", "/b"] },
      {
        time: 201,
        type: "ingest-failed",
        test: "/a",
        error: new Error("disk full"),
      },
      { time: 202, type: "run-finished", kind: "IngestFailed" },
    ] as never,
  });
  equal((await readPage(report)).waiting, [[0, "/a", "not stored"]]);
});

Deno.test("a test that is stored while a page is written is in it once", () => {
  const model = new ReportModel({
    title: "t",
    files: null,
    refresh: 0,
    maxRows: 10,
    excerpts: new Excerpts(0),
    earlier: undefined,
  });
  const timelines = new Timelines();
  const tests = ["/a", "/b", "/c"];
  const event = { time: 1, type: "run-started", platform: "p", tests };
  const timeline = timelines.take(event)!;
  const add = (test: string) =>
    model.add({
      platform: "p",
      test,
      own: { status: "pass", files: [] },
      subtests: [],
    });
  add("/a");
  let page = "";
  for (const piece of model.page([timeline], false)) {
    page += piece;
    if (page.includes("/a") && !page.includes("/b")) add("/b");
  }
  const data = JSON.parse(page);
  equal(data.tests.map(({ t }: { t: string }) => t), ["/a", "/b"]);
  equal(data.waiting.map(([, test]: [number, string]) => test), ["/c"]);
});

Deno.test("the timeline knows the events of an orchestrator only, in whatever order", async () => {
  await using directory = temporary();
  const report = `${directory.path}/report.html`;
  const types = [
    "run-started",
    "remote-ready",
    "setup-started",
    "setup-finished",
    "test-started",
    "test-finished",
    "release-started",
    "release-finished",
    "run-finished",
    "something else",
  ];
  const event = fc.record({
    type: fc.constantFrom(...types),
    time: fc.nat(50),
    remote: fc.constantFrom("r", "s"),
    test: fc.constantFrom("/a", "/b", "/c"),
    exitCode: fc.nat(1),
    rerun: fc.boolean(),
  }).map((it) => ({
    platform: "p",
    tests: ["/a", "/b"],
    provisioner: "x",
    attributes: {},
    attempt: 1,
    kind: null,
    ...it,
  }));
  await fc.assert(
    fc.asyncProperty(fc.array(event, { maxLength: 30 }), async (events) => {
      await writeHtmlReport([], { report, events, existing: "replace" });
      await readPage(report);
    }),
    { numRuns: 100 },
  );
});

Deno.test("nothing that a test says can end the element of the data", async () => {
  await using directory = temporary();
  const report = `${directory.path}/report.html`;
  const hostile = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.array(
      fc.constantFrom(
        "</script>",
        "<!--",
        "<script>",
        "\u2028",
        "\ud800",
        "&lt;",
        "]]>",
        '"',
        "\\",
        "\0",
      ),
    ).map((parts) => parts.join("")),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        platform: hostile,
        test: hostile,
        status: hostile,
        note: hostile,
        files: fc.array(hostile),
        subtest: fc.option(hostile, { nil: undefined }),
      }),
      async (result) => {
        await writeHtmlReport([result as StoredResult], {
          report,
          existing: "replace",
          title: result.note,
        });
        const page = await Deno.readTextFile(report);
        // all that is markup is ours
        strictEqual(page.match(/<script/g)?.length, 2);
        strictEqual(page.match(/<\/script/g)?.length, 2);
        strictEqual(page.match(/<!--/g), null);
        const data = dataOf(page);
        const read = data.tests[0]!;
        equal(
          [data.platforms[0], read.t, data.title].map((text) =>
            text!.toWellFormed()
          ),
          [result.platform, result.test, result.note].map((text) =>
            text.toWellFormed()
          ),
        );
      },
    ),
    { numRuns: 300 },
  );
});

Deno.test("an HTML report has a table of failures for readers without script", async () => {
  const { page } = await reportOf([
    {
      test: '/<b>"&',
      results: [{ status: "fail", note: "<img src=x onerror=alert(1)>\u0007" }],
    },
    { test: "/fine", results: [{ status: "pass" }] },
  ]);
  const table = /<noscript>(.*?)<\/noscript>/s.exec(page)![1]!;
  match(table, /1 of 2 tests failed/);
  match(
    table,
    /<tr><td>fail<\/td><td>\/&lt;b&gt;&quot;&amp;<\/td><td>p<\/td><td>&lt;img src=x onerror=alert\(1\)&gt;\ufffd<\/td><\/tr>/,
  );
  doesNotMatch(table, /fine/);
  const { page: fine } = await reportOf([
    { test: "/fine", results: [{ status: "pass" }] },
  ]);
  doesNotMatch(/<noscript>(.*?)<\/noscript>/s.exec(fine)![1]!, /<table>/);
});

Deno.test({
  name:
    "an HTML report on a full disk is the page before; start() leaves nothing",
  ignore: !smallDiskAvailable,
  fn: async () => {
    await using disk = temporary();
    await using elsewhere = temporary();
    const { error, startError, same, left } = onSmallDisk(
      disk.path,
      "256k",
      "aggregators/_html_on_small_disk.ts",
      [disk.path, elsewhere.path],
    ) as Record<string, unknown>;
    match(String(error), /No space left/);
    match(String(startError), /No space left/);
    equal([same, left], [true, ["filler", "report.html"]]);
  },
});

Deno.test("an HTML report of a script that is killed is a whole page", async () => {
  await using directory = temporary();
  for (let wait = 0; wait < 5; wait++) {
    const place = `${directory.path}/${wait}`;
    await Deno.mkdir(place);
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-qA",
        "--no-check",
        new URL("_refresh_often.ts", import.meta.url).pathname,
        place,
      ],
      cwd: new URL("../..", import.meta.url),
      stdin: "null",
      stdout: "piped",
    }).spawn();
    const report = `${place}/report.html`;
    await until(() =>
      Deno.readTextFile(report).then(
        (page) => page.includes("/t3"),
        () => false,
      )
    );
    await new Promise((resolve) => setTimeout(resolve, wait * 7));
    child.kill("SIGKILL");
    await child.output();
    ok((await readPage(report)).tests.length > 3);
  }
});
