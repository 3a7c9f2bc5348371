import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { readResults } from "../../aggregators/reader.ts";
import { JsonLinesAggregator } from "../../aggregators/jsonl.ts";
import { JUnitAggregator } from "../../aggregators/junit.ts";
import { MultiAggregator } from "../../aggregators/multi.ts";
import { Tally } from "../../aggregators/tally.ts";
import { YamlAggregator } from "../../aggregators/yaml.ts";
import { FunctionExecutor } from "../../executors/function.ts";
import type { TestFunctions } from "../../executors/function.ts";
import { AdHocOrchestrator } from "../../orchestrators/adhoc.ts";
import { reruns } from "../../orchestrators/policies.ts";
import { runAll } from "../../orchestrators/run_all.ts";
import { LocalProvisioner } from "../../provisioners/local.ts";
import { contents } from "./_artifacts.ts";
import { decompressed } from "./_decompressed.ts";
import { parseReport } from "./_junit.ts";
import { Place } from "./_place.ts";

const PLATFORMS = ["fedora-42@x86_64", "centos-10@x86_64", "1.0"];
const COUNT = 25;

/** Each reports a part with a file; every fifth one passes at the second attempt, one fails. */
const tests: TestFunctions = Object.fromEntries(
  Array.from({ length: COUNT }, (_, i) => [
    `/suite/${i}`,
    ({ report, attempt, log }) => {
      log(`attempt ${attempt}`);
      report({ name: "part", status: "pass", files: { "x.txt": `${i}` } });
      if (i === 7 || i % 5 === 0 && attempt === 1) throw new Error("again");
    },
  ]),
);

Deno.test("several orchestrators ingest into the same aggregators at once", async () => {
  await using place = new Place();
  const { root } = place;
  const tally = new Tally();
  const aggregator = await place.start(
    new MultiAggregator([
      new YamlAggregator({
        results: `${root}/results.yaml`,
        files: `${root}/files-yaml`,
      }),
      tally,
      new JUnitAggregator({ target: `${root}/junit.xml` }),
      new JsonLinesAggregator({
        ...place.paths(".jsonl.gz"),
        fields: ["attempt"],
        compression: { format: "gzip" },
      }),
    ]),
  );
  {
    await using pools = new AsyncDisposableStack();
    const started = await Promise.all(
      PLATFORMS.map(() => new LocalProvisioner({ maxRemotes: 2 }).start()),
    );
    for (const pool of started) pools.use(pool);
    const runs = runAll(
      PLATFORMS.map((platform, index) =>
        new AdHocOrchestrator({
          platform,
          tests: Object.keys(tests),
          provisioners: [started[index]],
          executor: (remote) => new FunctionExecutor(remote, { tests }),
          aggregator,
          rerun: reruns(1),
        })
      ),
    );
    const { errors, summaries } = await runs.finished;
    deepStrictEqual(errors, []);
    for (const { ingestErrors } of summaries) deepStrictEqual(ingestErrors, []);
  }
  await aggregator.stop();

  strictEqual(tally.total, PLATFORMS.length * COUNT);
  deepStrictEqual(
    tally.failures.map(({ platform, test }) => [platform, test]).sort(),
    PLATFORMS.map((platform) => [platform, "/suite/7"]).sort(),
  );
  strictEqual(tally.flaky.length, PLATFORMS.length * Math.ceil(COUNT / 5));

  const stored = new Map<string, Map<string, string | undefined>>();
  for (const results of ["results.jsonl.gz", "results.yaml"]) {
    const seen = new Map<string, string | undefined>();
    for await (const result of readResults(`${root}/${results}`)) {
      const { platform, test, subtest, status, fields } = result;
      seen.set(JSON.stringify([platform, test, subtest]), status);
      const i = Number(test.slice("/suite/".length));
      const isFlaky = i % 5 === 0;
      if (fields) {
        strictEqual(fields.attempt, isFlaky || i === 7 ? 2 : 1);
      }
      if (subtest && fields) {
        const file = `${place.files}/${platform}${test}/part/x.txt.gz`;
        strictEqual(decompressed(file, "gzip"), `${i}`);
      }
    }
    strictEqual(seen.size, PLATFORMS.length * COUNT * 2);
    stored.set(results, seen);
  }
  const [lines, documents] = [...stored.values()].map((seen) =>
    [...seen].sort()
  );
  deepStrictEqual(documents, lines);

  const report = parseReport(`${root}/junit.xml`);
  deepStrictEqual(
    report.children.map(({ attributes }) => attributes.name).sort(),
    PLATFORMS.toSorted(),
  );
  const { tests: cases, failures, errors, skipped } = report.attributes;
  deepStrictEqual([cases, failures, errors, skipped].map(Number), [
    PLATFORMS.length * COUNT * 2,
    PLATFORMS.length,
    0,
    0,
  ]);
  for (const { children } of report.children) {
    const marks = children.flatMap(({ children }) =>
      children.filter(({ name }) => /^(?:flaky|rerun)/.test(name))
    ).map(({ name }) => name);
    strictEqual(marks.filter((name) => name === "rerunFailure").length, 1);
    strictEqual(
      marks.filter((name) => name === "flakyFailure").length,
      Math.ceil(COUNT / 5),
    );
  }
  strictEqual(
    Object.keys(contents(`${root}/files-yaml`)).length,
    Object.keys(contents(place.files)).length,
  );
  ok(!place.entries().some((name) => /part|atex-/.test(name)));
});
