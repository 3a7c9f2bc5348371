/** Disks that are full or slow, too few descriptors, clocks that jump. */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { JUnitAggregator } from "../../aggregators/junit.ts";
import { JsonLinesAggregator } from "../../aggregators/jsonl.ts";
import { MultiAggregator } from "../../aggregators/multi.ts";
import { FunctionExecutor } from "../../executors/function.ts";
import { AdHocOrchestrator } from "../../orchestrators/adhoc.ts";
import { LocalProvisioner } from "../../provisioners/local.ts";
import { cannotRun } from "../_parts.ts";
import { onSmallDisk, smallDiskAvailable } from "../_small_disk.ts";
import { checkOutcome, follow, storedIn, temporary } from "./_checks.ts";
import { sleep } from "./_faults.ts";

const noDisk = cannotRun(
  "runs on a full disk",
  smallDiskAvailable ? undefined : "no file system can be mounted",
);

interface Scarce {
  first: { kind?: string; why: string; stored: number };
  second?: { kind?: string; why: string; stored: number };
  tests: number;
  stored: number;
  distinct: number;
  outputs: number;
  left: number;
}

/** In the end everything is stored once, and nothing else is there. */
function checkEnd({ tests, stored, distinct, left }: Scarce): void {
  deepStrictEqual([stored, distinct, left], [tests, tests, 0]);
}

Deno.test({
  name:
    "a full disk of results and journal loses nothing, and the next run goes on",
  ignore: noDisk,
  async fn() {
    await using disk = await temporary();
    await using other = await temporary();
    const outcome = onSmallDisk(
      disk.path,
      "1m",
      "faults/_scarce_run.ts",
      [disk.path, other.path, `${disk.path}/ballast`, `${860 * 1024}`],
    ) as Scarce;
    const { first, second, tests, outputs } = outcome;
    ok(first.kind === "IngestFailed" || first.kind === "JournalFailed");
    match(first.why, /No space left on device/);
    ok(first.stored < tests, `${first.stored} were stored on a full disk`);
    strictEqual(second?.kind, undefined, second?.why);
    strictEqual(outputs, tests);
    checkEnd(outcome);
  },
});

Deno.test({
  name:
    "a full disk of artifacts ends a run that says so, and the next one goes on",
  ignore: noDisk,
  async fn() {
    await using disk = await temporary();
    await using results = await temporary();
    const outcome = onSmallDisk(
      disk.path,
      "1m",
      "faults/_scarce_run.ts",
      [results.path, disk.path, `${disk.path}/ballast`, `${1010 * 1024}`],
    ) as Scarce;
    const { first, second } = outcome;
    match(first.why, /No space left on device/);
    ok(first.stored < outcome.tests, `${first.stored} were stored`);
    strictEqual(second?.kind, undefined, second?.why);
    checkEnd(outcome);
  },
});

Deno.test("a run with 64 descriptors ends, and one with more goes on with it", async () => {
  await using place = await temporary();
  const script = new URL("_scarce_run.ts", import.meta.url).pathname;
  const { stdout, stderr } = await new Deno.Command("sh", {
    args: [
      "-c",
      'ulimit -n 64; exec "$@"',
      "sh",
      Deno.execPath(),
      ...["run", "-qA", "--no-check", script],
      ...[`${place.path}/out`, `${place.path}/artifacts`],
    ],
    stdin: "null",
  }).output();
  const text = new TextDecoder().decode(stdout);
  ok(text.startsWith("{"), text + new TextDecoder().decode(stderr));
  const outcome: Scarce = JSON.parse(text);
  checkEnd(outcome);
});

Deno.test("a clock that jumps changes neither the order nor the number of things", async () => {
  await using place = await temporary();
  const tests = Object.fromEntries(
    Array.from({ length: 12 }, (_, i) => [`/t${i}`, () => sleep(5)]),
  );
  const names = Object.keys(tests);
  const now = Date.now;
  let calls = 0;
  const DAY = 86_400_000;
  Date.now = () => now() + [0, DAY, -DAY, 3 * DAY][calls++ % 4];
  try {
    await using aggregator = await new MultiAggregator([
      new JsonLinesAggregator({
        results: `${place.path}/results.jsonl`,
        files: `${place.path}/files`,
        existing: "continue",
      }),
      new JUnitAggregator({
        target: `${place.path}/junit.xml`,
        existing: "continue",
      }),
    ]).start();
    await using pool = await new LocalProvisioner({ maxRemotes: 3 }).start();
    const outcome = await follow(
      new AdHocOrchestrator({
        platform: "here",
        tests: names,
        provisioners: [pool],
        executor: (remote) => new FunctionExecutor(remote, { tests }),
        aggregator,
        journal: `${place.path}/run.journal`,
      }).run(),
    );
    checkOutcome(outcome, names, {
      reruns: 0,
      concurrency: { setup: 10, ingest: 4, release: 10 },
    });
    strictEqual(outcome.error, undefined);
    strictEqual(outcome.summary.passed, names.length);
  } finally {
    Date.now = now;
  }
  deepStrictEqual(storedIn(`${place.path}/results.jsonl`).sort(), names.sort());
  const xml = await Deno.readTextFile(`${place.path}/junit.xml`);
  ok(!/time="-/.test(xml), xml);
});

Deno.test("a slow disk only costs time", async () => {
  await using place = await temporary();
  const tests = Object.fromEntries(
    Array.from({ length: 6 }, (_, i) => [`/t${i}`, () => {}]),
  );
  const names = Object.keys(tests);
  const { writeSync, syncData, sync } = Deno.FsFile.prototype;
  const file = Deno.FsFile.prototype;
  file.syncData = async function () {
    await sleep(60);
    await syncData.call(this);
  };
  file.sync = async function () {
    await sleep(200);
    await sync.call(this);
  };
  file.writeSync = function (bytes) {
    const end = performance.now() + 10;
    while (performance.now() < end);
    // and never all at once
    return writeSync.call(
      this,
      bytes.subarray(0, Math.max(1, bytes.length / 2)),
    );
  };
  try {
    await using aggregator = await new JsonLinesAggregator({
      results: `${place.path}/results.jsonl`,
      files: `${place.path}/files`,
      existing: "continue",
    }).start();
    await using pool = await new LocalProvisioner({ maxRemotes: 3 }).start();
    const outcome = await follow(
      new AdHocOrchestrator({
        platform: "here",
        tests: names,
        provisioners: [pool],
        executor: (remote) => new FunctionExecutor(remote, { tests }),
        aggregator,
        journal: `${place.path}/run.journal`,
      }).run(),
    );
    strictEqual(outcome.error, undefined);
  } finally {
    Object.assign(file, { writeSync, syncData, sync });
  }
  deepStrictEqual(storedIn(`${place.path}/results.jsonl`).sort(), names.sort());
});
