/** What is made of results that were stored: JUnit, and what changed. */
import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { compareResults } from "../../aggregators/compare.ts";
import { JsonLinesAggregator } from "../../aggregators/jsonl.ts";
import { JUnitAggregator, writeJUnit } from "../../aggregators/junit.ts";
import { MultiAggregator } from "../../aggregators/multi.ts";
import { readResults, type StoredResult } from "../../aggregators/reader.ts";
import { rejected } from "../_thrown.ts";
import { layOut, temporary } from "./_artifacts.ts";

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
        fields: ["attempt", "earlier", "remote", "startedAt", "finishedAt"],
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
  deepStrictEqual(Array.from(Deno.readDirSync(`${path}/new`)).length, 1);

  await rejected(
    writeJUnit(stored(), { target: `${path}/new/stored.xml` }),
    Deno.errors.AlreadyExists,
  );
  async function* broken() {
    yield* stored();
    throw new Error("no more");
  }
  const target = `${path}/broken.xml`;
  await rejects(writeJUnit(broken(), { target }), /no more/);
  deepStrictEqual(
    Array.from(Deno.readDirSync(path), ({ name }) => name)
      .filter((name) => name.startsWith("broken")),
    [],
  );
});

function result(
  platform: string,
  test: string,
  status: string,
  more: Partial<StoredResult> = {},
): StoredResult {
  return { platform, test, status, files: [], ...more };
}

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
