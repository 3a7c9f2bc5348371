/** What is made of results that were stored: JUnit, and what changed. */
import {
  deepStrictEqual,
  match,
  ok,
  rejects,
  strictEqual,
} from "node:assert/strict";
import { compareResults } from "../../aggregators/compare.ts";
import { gitHubSummary } from "../../aggregators/github.ts";
import { writeHtmlReport } from "../../aggregators/html.ts";
import { JsonLinesAggregator } from "../../aggregators/jsonl.ts";
import { JUnitAggregator, writeJUnit } from "../../aggregators/junit.ts";
import { MultiAggregator } from "../../aggregators/multi.ts";
import {
  failedTests,
  readResults,
  type StoredResult,
} from "../../aggregators/reader.ts";
import { Tally } from "../../aggregators/tally.ts";
import { rejected } from "../_thrown.ts";
import { layOut, temporary } from "./_artifacts.ts";
import { readPage } from "./_html.ts";
import { Place } from "./_place.ts";

Deno.test("writeJUnit() makes of stored results what JUnitAggregator made of the run", async () => {
  await using directory = temporary();
  const { path } = directory;
  const attachments = "out/files";
  {
    await using all = await new MultiAggregator([
      new JUnitAggregator({ target: `${path}/run.xml`, attachments }),
      new JsonLinesAggregator({
        results: `${path}/results.jsonl`,
        files: `${path}/files`,
        fields: [
          "attempt",
          "earlier",
          "remote",
          "startedAt",
          "finishedAt",
          "exitCode",
        ],
      }),
    ]).start();
    await all.ingest(
      "p@x",
      "/one",
      layOut(`${path}/1`, [
        { name: "part", status: "fail", note: "<&>", files: ["log"] },
        { status: "fail", files: ["output.txt"] },
      ], { "output.txt": "said\u001b[31m this\n", "part/log": "x" }),
      {
        attempt: 2,
        earlier: [{ status: "infra", note: "lost" }],
        remote: "podman:1",
        startedAt: 1_700_000_000_000,
        finishedAt: 1_700_000_001_500,
        exitCode: 3,
      },
    );
    await all.ingest("p@x", "/two", layOut(`${path}/2`, [{ name: "only" }]));
    await all.ingest("q", "/one", layOut(`${path}/3`, [{ status: "pass" }]));
  }
  const stored = () => readResults(`${path}/results.jsonl`);
  await writeJUnit(stored(), {
    target: `${path}/new/stored.xml`,
    files: `${path}/files`,
    attachments,
  });
  const xml = await Deno.readTextFile(`${path}/new/stored.xml`);
  strictEqual(xml, await Deno.readTextFile(`${path}/run.xml`));
  ok(xml.includes("said this"));
  ok(xml.includes('<failure message="exit code 3" type="fail">exit code 3<'));
  deepStrictEqual(Array.from(Deno.readDirSync(`${path}/new`)).length, 1);

  await rejected(
    writeJUnit(stored(), { target: `${path}/new/stored.xml` }),
    Deno.errors.AlreadyExists,
  );
  async function* broken() {
    yield* stored();
    throw new Error("no more");
  }
  const again = {
    target: `${path}/new/stored.xml`,
    existing: "replace",
  } as const;
  await rejects(writeJUnit(broken(), again), /no more/);
  strictEqual(await Deno.readTextFile(again.target), xml);
  await writeJUnit(stored(), { ...again, name: "second" });
  ok((await Deno.readTextFile(again.target)).includes('name="second"'));
  deepStrictEqual(Array.from(Deno.readDirSync(`${path}/new`)).length, 1);
  // results of a killed run stay
  await Deno.writeTextFile(`${again.target}.part`, "");
  await rejected(
    writeJUnit(stored(), again),
    Deno.errors.AlreadyExists,
    `stored.xml.part" of an earlier run is there`,
  );
  await Deno.remove(`${again.target}.part`);
  const target = `${path}/broken.xml`;
  await rejects(writeJUnit(broken(), { target }), /no more/);
  deepStrictEqual(
    Array.from(Deno.readDirSync(path), ({ name }) => name)
      .filter((name) => name.startsWith("broken")),
    [],
  );
});

Deno.test("how long tests ran is told from what was stored, whatever of it was", async () => {
  await using directory = temporary();
  const { path } = directory;
  const results = [
    result("p", "/times", "pass", {
      fields: { startedAt: 1000, finishedAt: 3000, durationMs: "long" },
    }),
    result("p", "/begin", "pass", {
      fields: { startedAt: 2000, durationMs: 60_000 },
    }),
    result("p", "/span", "pass", { fields: { durationMs: 61_234 } }),
    result("p", "/back", "pass", { fields: { durationMs: -1 } }),
    result("p", "/none", "pass", { fields: { startedAt: 1000 } }),
  ];
  await writeJUnit(results, { target: `${path}/junit.xml` });
  deepStrictEqual(
    [...(await Deno.readTextFile(`${path}/junit.xml`))
      .matchAll(/<testcase name="(.*?)".* time="(.*?)"/g)]
      .map(([, ...found]) => found),
    [
      ["/times", "2.000"],
      ["/begin", "60.000"],
      ["/span", "61.234"],
      ["/back", "0.000"],
      ["/none", "0.000"],
    ],
  );
  const report = `${path}/report.html`;
  await writeHtmlReport(results, { report });
  const { tests } = await readPage(report);
  deepStrictEqual(tests.map(({ d }) => d), [
    2000,
    60_000,
    61_234,
    0,
    undefined,
  ]);
  const summary = await gitHubSummary(results);
  match(summary, /\*\*5 passed in 1 min 1 s\*\*/); // from the first begin to the last known end
  match(
    summary,
    /\/span<\/code> \| 1 min 1 s \|\n.*\/begin<\/code> \| 1 min 0 s \|\n.*\/times/,
  );
});

Deno.test("a result may have more files than a call can take", async () => {
  await using place = new Place();
  const files = Array.from({ length: 200_000 }, (_, n) => `f${n}`);
  const results = [{ status: "pass", files }];
  for (
    const aggregator of [
      new JsonLinesAggregator(place.paths()),
      new JUnitAggregator({ target: `${place.root}/junit.xml` }),
      new Tally(),
    ]
  ) {
    await aggregator.start();
    await aggregator.ingest("p", "/t", place.artifacts(results));
    await aggregator.stop();
  }
  const stored = readResults(place.paths().results);
  const tally = await place.start(new Tally({ stored }));
  strictEqual(tally.passed, 1);
});

function result(
  platform: string,
  test: string,
  status: string,
  more: Partial<StoredResult> = {},
): StoredResult {
  return { platform, test, status, files: [], ...more };
}

Deno.test("failedTests() tells of all that did not pass, also of what could not be carried out or said nothing", async () => {
  const results = [
    result("p", "/part", "fail", { subtest: "a" }),
    result("p", "/part", "pass"),
    result("p", "/fail", "fail", { note: "why" }),
    result("p", "/skip", "skip"),
    result("p", "/warn", "warn"),
    result("p", "/error", "error"),
    result("q", "/infra", "infra"),
    result("q", "/silent", "pass", { subtest: "a" }),
    result("q", "/later", "fail"), // the last one of a test counts
    result("q", "/later", "pass"),
    { platform: "q", test: "/none", files: [] },
  ];
  deepStrictEqual(await Array.fromAsync(failedTests(results)), [
    { platform: "p", test: "/fail", status: "fail", note: "why" },
    { platform: "p", test: "/error", status: "error" },
    { platform: "q", test: "/infra", status: "infra" },
    { platform: "q", test: "/silent", status: "no result" },
  ]);
});

Deno.test("compareResults() tells what is broken, fixed, failing, changed, new, gone and flaky", async () => {
  const earlier = [
    result("p", "/same", "pass"),
    result("p", "/broken", "pass"),
    result("p", "/fixed", "fail"),
    result("p", "/failing", "fail"),
    result("p", "/worse", "fail"),
    result("p", "/changed", "pass"),
    result("p", "/gone", "skip"),
    result("p", "/flaky", "pass"),
    result("p", "/silent", "pass"),
  ];
  const now = [
    result("p", "/same", "pass", { subtest: "part" }),
    result("p", "/same", "pass"),
    result("p", "/broken", "error"),
    result("p", "/fixed", "pass"),
    result("p", "/failing", "fail"),
    result("p", "/worse", "infra"),
    result("p", "/changed", "warn"),
    result("p", "/new", "pass"),
    result("p", "/flaky", "pass", {
      fields: { earlier: [{ status: "fail" }] },
    }),
    result("p", "/silent", "pass", { subtest: "part" }),
  ];
  const changes = await Array.fromAsync(compareResults(now, earlier));
  deepStrictEqual(
    changes.map(({ change, test, before, status }) => [
      change,
      test,
      before,
      status,
    ]),
    [
      ["broken", "/broken", "pass", "error"],
      ["fixed", "/fixed", "fail", "pass"],
      ["failing", "/failing", "fail", "fail"],
      ["failing", "/worse", "fail", "infra"],
      ["changed", "/changed", "pass", "warn"],
      ["new", "/new", undefined, "pass"],
      ["flaky", "/flaky", undefined, "pass"],
      ["broken", "/silent", "pass", "no result"],
      ["gone", "/gone", "skip", undefined],
    ],
  );
  deepStrictEqual(await Array.fromAsync(compareResults([], [])), []);
});

Deno.test("compareResults() takes another platform for the one before only if that is gone", async () => {
  const earlier = [result("p", "/t", "pass"), result("p", "/v", "pass")];
  const changes = async (...now: StoredResult[]) => {
    const all = await Array.fromAsync(compareResults(now, earlier));
    return all.map(({ change, platform, test }) =>
      `${change} ${platform} ${test}`
    );
  };
  const other = [result("q", "/t", "fail"), result("q", "/v", "pass")];
  for (
    const now of [[result("p", "/t", "pass"), ...other], [
      ...other,
      result("p", "/t", "pass"),
    ]]
  ) {
    deepStrictEqual(await changes(...now), [
      "new q /t",
      "new q /v",
      "gone p /v",
    ]);
  }
  deepStrictEqual(await changes(...other), ["broken q /t"]);
});

Deno.test("compareResults() takes an empty status for none", async () => {
  const earlier = [result("p", "/a", ""), result("p", "/b", "fail")];
  const now = [result("p", "/a", "pass"), result("p", "/b", "")];
  const changes = await Array.fromAsync(compareResults(now, earlier));
  deepStrictEqual(changes.map(({ before, status }) => [before, status]), [
    ["none", "pass"],
    ["fail", "none"],
  ]);
});
