/**
 * Runs many short tests on systems with faults, in a process of its own:
 *
 *     _soak_once.ts TESTS SIMULATED PODMAN MS FAULTS SEED OUT
 *
 * prints what it held at some moments, what went wrong and what came of it. All temporary files are
 * below `TMPDIR`, results in the directory OUT.
 */
import { delay } from "@std/async/delay";
import type { Aggregator } from "../aggregators/aggregator.ts";
import { JsonLinesAggregator } from "../aggregators/jsonl.ts";
import { readResults } from "../aggregators/reader.ts";
import { ConnectionLostError } from "../connections/connection.ts";
import { run } from "../connections/process.ts";
import { FunctionExecutor, type TestFunction } from "../executors/function.ts";
import { AdHocOrchestrator } from "../orchestrators/adhoc.ts";
import {
  OrchestratorError,
  type RunSummary,
} from "../orchestrators/orchestrator.ts";
import { reruns } from "../orchestrators/policies.ts";
import { getRunId } from "../provisioners/_run.ts";
import { PodmanProvisioner } from "../provisioners/podman.ts";
import type { Provisioner, Remote } from "../provisioners/provisioner.ts";
import { imageName, podman as callPodman } from "../tests/_podman.ts";
import { measure } from "./_once.ts";
import { Chance, killContainer, SimulatedPool } from "./_soak_faults.ts";
import { course, type Sample, sample } from "./_soak_samples.ts";

const [tests, simulated, podman, ms, faults, seed] = Deno.args.slice(0, 6).map(
  Number,
) as [
  number,
  number,
  number,
  number,
  number,
  number,
];
const SAMPLES = 40;

const temporary = Deno.env.get("TMPDIR")!;
const out = Deno.args[6]!;
const chance = new Chance(seed, faults);
const pool = new SimulatedPool(simulated, chance);

/** A test: some output, a subtest with a file, and now and then a fault. */
const test: TestFunction<Remote> = async (
  { remote, name, log, report, artifacts, signal },
) => {
  const vanish = pool.vanish.get(remote.id);
  if (chance.strikes("lost")) {
    if (vanish) vanish();
    else await killContainer(remote.attributes.container!);
    await delay(60_000, { signal });
  }
  if (chance.strikes("aborted")) {
    throw new ConnectionLostError(`the connection to ${remote.id} is gone`);
  }
  if (vanish) await delay(ms * (0.5 + chance.next()), { signal });
  else log(await run(remote, ["uname"], { signal }));
  await Deno.writeTextFile(`${artifacts}/log.txt`, `${name}\n`);
  report({ name: "part", status: "pass", files: ["log.txt"] });
  if (chance.strikes("failed")) throw new Error("it did not work");
};

/** Fails now and then. */
function failing(aggregator: Aggregator): Aggregator {
  return {
    start: () => Promise.resolve(failing(aggregator)),
    stop: () => aggregator.stop(),
    ingest(platform, test, artifacts, info) {
      if (chance.strikes("ingest")) {
        return Promise.reject(new Error("no results today"));
      }
      return aggregator.ingest(platform, test, artifacts, info);
    },
    [Symbol.asyncDispose]: () => aggregator[Symbol.asyncDispose](),
  } as Aggregator;
}

async function soak(samples: Sample[]): Promise<RunSummary> {
  await using resources = new AsyncDisposableStack();
  const provisioners: Provisioner[] = [];
  if (simulated > 0) provisioners.push(resources.use(await pool.start()));
  if (podman > 0) {
    const containers = new PodmanProvisioner({
      image: imageName("tiny"),
      maxRemotes: podman,
      runOptions: ["--network=none"],
    });
    provisioners.push(resources.use(await containers.start()));
  }
  const results = resources.use(
    await new JsonLinesAggregator({
      results: `${out}/results.jsonl`,
      files: `${out}/files`,
    }).start(),
  );
  const names = Array.from({ length: tests }, (_, i) => `/soak/${i}`);
  const functions = Object.fromEntries(names.map((name) => [name, test]));
  const going = new AdHocOrchestrator({
    platform: "soak",
    tests: names,
    provisioners,
    executor: (remote) =>
      new FunctionExecutor(remote, {
        tests: functions,
        setup() {
          if (chance.strikes("setup")) throw new Error("bad luck");
        },
      }),
    aggregator: failing(results),
    rerun: reruns(1),
    maxFailedSetups: Infinity,
    maxProvisionFailures: Infinity,
    artifacts: temporary,
  }).run();
  let ended = 0;
  const every = Math.max(1, Math.floor(tests / SAMPLES));
  for await (const { type } of going) {
    if (type !== "ingest-finished" && type !== "ingest-failed") continue;
    if (++ended % every === 0) samples.push(sample(ended, temporary));
  }
  try {
    return await going.finished;
  } catch (error) {
    // of failed ingests the run says that it is not complete
    if (error instanceof OrchestratorError && error.kind === "IngestFailed") {
      return error.summary;
    }
    throw error;
  }
}

/** Throws unless each test is stored once, or its artifacts were kept. */
async function check(summary: RunSummary): Promise<string> {
  const kept = new Set(summary.ingestErrors.map(({ test }) => test));
  const found = new Map<string, number>();
  for await (const { test, subtest } of readResults(`${out}/results.jsonl`)) {
    if (!subtest) found.set(test, (found.get(test) ?? 0) + 1);
  }
  for (let i = 0; i < tests; i++) {
    const times = found.get(`/soak/${i}`) ?? 0;
    if (times !== (kept.has(`/soak/${i}`) ? 0 : 1)) {
      throw new Error(`/soak/${i} is stored ${times} times`);
    }
  }
  for (const { artifacts } of summary.ingestErrors) Deno.statSync(artifacts);
  return `each of ${tests} tests is stored once, or kept where the error says`;
}

const cost = measure();
const before = sample(0, temporary);
const samples: Sample[] = [];
const summary = await soak(samples);
const done = await check(summary);
for (const { artifacts } of summary.ingestErrors) {
  Deno.removeSync(artifacts, { recursive: true });
}
await delay(200); // processes that were told to end need a moment
const after = sample(tests, temporary);
const containers = podman === 0 ? "" : await callPodman(
  ...["ps", "--all", "--quiet", `--filter=label=atex.run=${getRunId()}`],
);
const { passed, failed, setups, handedOut, released, reruns: again } = summary;
const heap = course(samples, "heap_mib");
console.log(JSON.stringify({
  ...cost(),
  passed,
  failed,
  reruns: again,
  setups,
  lent: handedOut,
  released,
  faults: chance.counts,
  before,
  heap_mib: heap,
  heap_bytes_per_test: Math.round(
    (heap.late - heap.early) * 2 ** 20 / (tests * 0.75),
  ),
  rss_mib: course(samples, "rss_mib"),
  descriptors: course(samples, "descriptors"),
  processes: course(samples, "processes"),
  files: course(samples, "files"),
  after: {
    ...after,
    containers: containers.split("\n").filter(Boolean).length,
  },
  check: done,
  samples,
}));
