import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import type { IngestInfo } from "../../aggregators/aggregator.ts";
import { JsonLinesAggregator } from "../../aggregators/jsonl.ts";
import { isFailing, NO_RESULT, readResults } from "../../aggregators/reader.ts";
import { Tally } from "../../aggregators/tally.ts";
import { BadResultsError, type Result } from "../../executors/results.ts";
import { rejected } from "../_thrown.ts";
import { contents } from "./_artifacts.ts";
import { Place } from "./_place.ts";

const FLAKY: IngestInfo = {
  attempt: 2,
  earlier: [{ status: "fail", note: "exit code 1" }],
};

Deno.test("Tally counts by platform and status, and names what somebody has to look at", async () => {
  await using place = new Place();
  const tally = await place.start(new Tally());
  const tests: [string, string, Result[], IngestInfo?][] = [
    ["p", "/pass", [{ status: "pass" }], { attempt: 1, earlier: [] }],
    ["p", "/info", [{ status: "info" }]],
    ["q", "/warn", [{ status: "warn" }], FLAKY],
    ["p", "/fail", [{ status: "fail", note: "why" }], FLAKY],
    ["p", "/error", [{ name: "s", status: "pass" }, { status: "error" }]],
    ["p", "/infra", [{ status: "infra" }]],
    ["p", "/skip", [{ status: "skip" }], FLAKY],
    ["p", "/custom", [{ status: "toString" }]],
    ["p", "/none", [{ note: "no status" }]],
    ["p", "/empty", [{ status: "" }]],
    ["p", "/parts", [{ name: "s", status: "fail" }]],
    ["p", "/nothing", []],
    ["q", "/flaky", [{ status: "fail" }, { status: "pass" }], FLAKY],
  ];
  for (const [platform, test, results, info] of tests) {
    await tally.ingest(platform, test, place.artifacts(results), info);
  }
  const counts = Object.fromEntries(
    [...tally.counts].map((
      [platform, counts],
    ) => [platform, Object.fromEntries(counts)]),
  );
  deepStrictEqual(counts, {
    p: {
      pass: 1,
      info: 1,
      fail: 1,
      error: 1,
      infra: 1,
      skip: 1,
      toString: 1,
      none: 2,
      [NO_RESULT]: 2,
    },
    q: { warn: 1, pass: 1 },
  });
  const { total, passed, failed } = tally;
  deepStrictEqual({ total, passed, failed }, {
    total: 13,
    passed: 4,
    failed: 5,
  });
  const failing = tally.counts.values().flatMap((counts) => [...counts])
    .filter(([status]) => isFailing(status));
  strictEqual(failing.reduce((sum, [, count]) => sum + count, 0), failed);
  deepStrictEqual(tally.failures, [
    {
      platform: "p",
      test: "/fail",
      status: "fail",
      note: "why",
      attempt: 2,
    },
    { platform: "p", test: "/error", status: "error" },
    { platform: "p", test: "/infra", status: "infra" },
  ]);
  deepStrictEqual(tally.unfinished.map(({ test }) => test), [
    "/parts",
    "/nothing",
  ]);
  deepStrictEqual(tally.flaky.map(({ test }) => test), ["/warn", "/flaky"]);
});

Deno.test("Tally leaves artifacts alone, counts what could be read, and keeps it after stop()", async () => {
  await using place = new Place();
  const tally = new Tally();
  ok(tally.readsOnly);
  const artifacts = place.artifacts([{ status: "fail" }], { f: "1" });
  await rejected(tally.ingest("p", "/t", artifacts), Error, "not started");
  strictEqual(await tally.start(), tally);
  await rejected(tally.start(), Error, "twice");
  const before = contents(artifacts);
  const done = tally.ingest("p", "/t", artifacts);
  await tally.stop();
  strictEqual(tally.failed, 1);
  await done;
  deepStrictEqual(contents(artifacts), before);
  await tally.stop();
  await rejected(tally.ingest("p", "/t", artifacts), Error, "not started");

  // a second life begins from nothing
  await place.start(tally);
  deepStrictEqual([tally.failed, tally.total, tally.counts.size], [0, 0, 0]);
  Deno.writeTextFileSync(`${artifacts}/results`, "nonsense");
  await rejected(tally.ingest("p", "/t", artifacts), BadResultsError);
  Deno.removeSync(`${artifacts}/results`);
  await rejected(tally.ingest("p", "/t", artifacts), Deno.errors.NotFound);
  strictEqual(tally.total, 0);
});

Deno.test("Tally goes on with what is stored, and counts what is ingested again once", async () => {
  await using place = new Place();
  const { results } = place.paths();
  const lines = new JsonLinesAggregator({
    ...place.paths(),
    fields: ["attempt", "earlier"],
  });
  const none = await place.start(new Tally({ stored: readResults(results) }));
  strictEqual(none.total, 0);
  await place.start(lines);
  const tests: [string, Result[], IngestInfo?][] = [
    ["/fail", [{ status: "fail", note: "why" }], FLAKY],
    ["/infra", [{ status: "infra" }]],
    ["/parts", [{ name: "s", status: "pass" }]],
    ["/flaky", [{ status: "pass" }], FLAKY],
    ["/pass", [{ status: "pass" }]],
    ["/skip", [{ status: "skip" }]],
  ];
  for (const [test, own, info] of tests) {
    await lines.ingest("p", test, place.artifacts(own), info);
  }
  await lines.stop();
  const tally = await place.start(new Tally({ stored: readResults(results) }));
  const seen = () => [
    tally.total,
    tally.passed,
    tally.failed,
    ...[tally.failures, tally.unfinished, tally.flaky].map((list) =>
      list.map(({ test }) => test).join(" ")
    ),
    Object.fromEntries(tally.counts.get("p")!),
  ];
  const counts = { fail: 1, infra: 1, [NO_RESULT]: 1, pass: 2, skip: 1 };
  deepStrictEqual(seen(), [
    6,
    2,
    3,
    "/fail /infra",
    "/parts",
    "/flaky",
    counts,
  ]);
  const { failures } = tally;
  const first = { platform: "p", test: "/fail", status: "fail", note: "why" };
  deepStrictEqual(failures[0], { ...first, attempt: 2 });
  for (const [test, own, info] of tests) {
    await tally.ingest("p", test, place.artifacts(own), info);
  }
  deepStrictEqual(seen(), [
    6,
    2,
    3,
    "/fail /infra",
    "/parts",
    "/flaky",
    counts,
  ]);
  for (const [test] of tests) {
    await tally.ingest("p", test, place.artifacts([{ status: "warn" }]));
  }
  // whatever this process ingests counts
  strictEqual(tally.total, 12);
});

Deno.test("Tally.start() that fails can be repeated", async () => {
  let broken = true;
  const tally = new Tally({
    stored: {
      async *[Symbol.asyncIterator]() {
        if (broken) throw new Error("not now");
        yield { platform: "p", test: "/a", status: "fail", files: [] };
      },
    },
  });
  await rejected(tally.start(), Error, "not now");
  broken = false;
  await tally.start();
  await tally.stop();
  strictEqual(tally.failed, 1);
});
