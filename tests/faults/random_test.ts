/**
 * Real runs on this machine, with files, processes and a journal, over blocks that fail,
 * hang, slow down and lie: what was promised of a run holds, and the next process goes on
 * with what is left.
 *
 * `ATEX_FAULT_REAL_RUNS` and `ATEX_FAULT_SEED` make another search; a failure tells the seed
 * that makes it again: `ATEX_FAULT_REAL_RUNS=1 ATEX_FAULT_SEED=…`.
 */
import { deepStrictEqual, ok } from "node:assert/strict";
import { JsonLinesAggregator } from "../../aggregators/jsonl.ts";
import { run } from "../../connections/process.ts";
import { FunctionExecutor } from "../../executors/function.ts";
import type { TestFunctions } from "../../executors/function.ts";
import { AdHocOrchestrator } from "../../orchestrators/adhoc.ts";
import { reruns } from "../../orchestrators/policies.ts";
import { SimpleOrchestrator } from "../../orchestrators/simple.ts";
import { LocalProvisioner } from "../../provisioners/local.ts";
import type { Remote } from "../../provisioners/provisioner.ts";
import { randomFrom } from "../_random.ts";
import {
  checkOutcome,
  follow,
  namesIn,
  type Outcome,
  storedIn,
  temporary,
} from "./_checks.ts";
import {
  FaultPlan,
  type Faults,
  FaultyAggregator,
  FaultyExecutor,
  FaultyProvisioner,
  sleep,
} from "./_faults.ts";

const RUNS = Number(Deno.env.get("ATEX_FAULT_REAL_RUNS") ?? 16);
const SEED = Number(Deno.env.get("ATEX_FAULT_SEED") ?? Date.now() % 1e6);
/** Runs at once: they wait more than they work. */
const AT_ONCE = 8;

const FAULTS: Faults = {
  getRemote: ["fail", "hang", "slow", "lie"],
  local: ["fail", "hang", "slow", "lie"],
  release: ["fail", "hang", "slow", "lie"],
  start: ["fail", "hang", "slow"],
  runTest: ["fail", "hang", "slow", "lie"],
  stop: ["fail", "hang", "slow"],
  ingest: ["fail", "hang", "slow", "lie"],
};

const LIMITS = {
  setupTimeout: 500,
  ingestTimeout: 200,
  releaseTimeout: 150,
  cancelGrace: 100,
};
const CONCURRENCY = { setup: 2, ingest: 2, release: 2 };

const tests: TestFunctions = Object.fromEntries(
  Array.from({ length: 12 }, (_, i) => [
    `/t${i}`,
    async ({ remote, signal, report }) => {
      await run(remote, ["sh", "-c", `echo ${i}`], { signal, grace: 50 });
      if (i % 2 === 0) {
        report({ name: "part", status: "pass", files: { x: "" } });
      }
      if (i % 5 === 0) throw new Error("it fails");
    },
  ]),
);
const NAMES = Object.keys(tests);

interface Setup {
  plan: FaultPlan;
  directory: string;
  /** Whether what takes long is given up soon. */
  hasty: boolean;
  signal?: AbortSignal;
  onEvent?: (count: number) => void;
}

/** Runs all tests once over blocks with faults. */
async function runOnce(
  kind: "adhoc" | "simple" | "simple, going on",
  { plan, directory, hasty, signal, onEvent = () => {} }: Setup,
): Promise<Outcome & { lied: ReadonlySet<string> }> {
  await using results = await new JsonLinesAggregator({
    results: `${directory}/results.jsonl`,
    files: `${directory}/files`,
    existing: "continue",
  }).start();
  const aggregator = new FaultyAggregator(results, plan);
  await using local = await new LocalProvisioner({ maxRemotes: 4 }).start();
  const provisioner = new FaultyProvisioner(local, plan);
  const common = {
    platform: "here",
    tests: NAMES,
    executor: (remote: Remote) =>
      new FaultyExecutor(
        new FunctionExecutor(remote, {
          tests,
          ...(hasty && { timeout: 400, grace: 50 }),
        }),
        plan,
        remote.id,
      ),
    aggregator,
    ...(hasty && LIMITS),
  };
  const orchestrator = kind === "adhoc"
    ? new AdHocOrchestrator({
      ...common,
      provisioners: [provisioner],
      rerun: reruns(1),
      concurrency: CONCURRENCY,
      maxSpares: 1,
      ...(hasty && { stallTimeout: 1000 }),
      journal: `${directory}/run.journal`,
    })
    : new SimpleOrchestrator({
      ...common,
      provisioner,
      onError: kind === "simple" ? "stop" : "continue",
      artifacts: `${directory}/artifacts`,
    });
  // who waits for a system that never comes needs a signal
  const patience = AbortSignal.timeout(hasty ? 10_000 : 60_000);
  const outcome = await follow(
    orchestrator.run({
      signal: signal ? AbortSignal.any([signal, patience]) : patience,
    }),
    { onEvent: (_, count) => onEvent(count) },
  );
  for (const { id, released } of provisioner.remotes) {
    ok(released === 1, `${id} was given back ${released} times`);
  }
  return { ...outcome, lied: aggregator.lied };
}

/** What is stored, and what is not said to be, of which there must be a reason. */
function checkStored(
  { summary }: Outcome,
  directory: string,
): void {
  const stored = new Set(storedIn(`${directory}/results.jsonl`));
  const doubted = new Map(
    summary.ingestErrors.map(({ test, artifacts }) => [test, artifacts]),
  );
  for (const test of summary.ingested.keys()) ok(stored.has(test), test);
  for (const test of stored) {
    ok(summary.ingested.has(test) || doubted.has(test), `${test} is stored`);
  }
  for (const [test, artifacts] of doubted) {
    // nothing that was collected is lost
    if (!stored.has(test)) ok(namesIn(artifacts).includes("results"), test);
  }
}

async function tryAdHoc(seed: number): Promise<void> {
  await using directory = await temporary();
  const { path } = directory;
  const random = randomFrom(seed ^ 0x5eed);
  const abort = new AbortController();
  const abortAt = random() < 0.3 ? random() * 100 : Infinity;
  const rate = [0.03, 0.1, 0.3][Math.floor(random() * 3)];
  const plan = new FaultPlan({ seed, rate, faults: FAULTS, slow: 400, sleep });
  try {
    const outcome = await runOnce("adhoc", {
      plan,
      directory: path,
      hasty: true,
      signal: abort.signal,
      onEvent: (count) => {
        if (count > abortAt) abort.abort();
      },
    });
    checkOutcome(outcome, NAMES, { reruns: 1, concurrency: CONCURRENCY });
    checkStored(outcome, path);

    const calm = new FaultPlan({ seed, rate: 0, slow: 0, sleep });
    const { error, summary } = await runOnce("adhoc", {
      plan: calm,
      directory: path,
      hasty: false,
    });
    ok(!error, `${error}`);
    deepStrictEqual(summary.notRun, []);
    deepStrictEqual(
      storedIn(`${path}/results.jsonl`).sort(),
      [...NAMES].sort(),
    );
    deepStrictEqual(namesIn(path), ["files", "results.jsonl", "run.journal"]);
  } catch (cause) {
    throw new Error(
      `seed ${seed}, after ${plan.done.length} faults:\n  ${
        plan.done.join("\n  ")
      }\n${Deno.inspect(cause)}`,
      { cause },
    );
  }
}

async function trySimple(seed: number): Promise<void> {
  await using directory = await temporary();
  const kind = seed % 2 === 0 ? "simple" : "simple, going on";
  const faults = { ...FAULTS, getRemote: ["fail", "slow", "lie"] as const };
  const plan = new FaultPlan({ seed, rate: 0.05, faults, slow: 300, sleep });
  try {
    const outcome = await runOnce(kind, {
      plan,
      directory: directory.path,
      hasty: true,
    });
    checkOutcome(outcome, NAMES, {
      reruns: 0,
      concurrency: { setup: 1, ingest: 1, release: 1 },
    });
    checkStored(outcome, directory.path);
  } catch (cause) {
    const done = plan.done.join("\n  ");
    const what = Deno.inspect(cause);
    throw new Error(`seed ${seed}, ${kind}:\n  ${done}\n${what}`, { cause });
  }
}

/** Tries seeds, several at once; the first failure ends it. */
async function trySeeds(
  count: number,
  attempt: (seed: number) => Promise<void>,
): Promise<void> {
  const seeds = Array.from({ length: count }, (_, i) => SEED + i);
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (let seed = seeds.pop(); seed !== undefined; seed = seeds.pop()) {
      await attempt(seed).catch((error) => {
        seeds.length = 0;
        throw error;
      });
    }
  }));
}

/** What was given up goes on for a moment. */
const sanitizers = { sanitizeOps: false, sanitizeResources: false };

Deno.test({
  name:
    `AdHocOrchestrator keeps its promises in ${RUNS} real runs with faults, and the next one goes on (seed ${SEED})`,
  ...sanitizers,
  fn: () => trySeeds(RUNS, tryAdHoc),
});

Deno.test({
  name:
    `SimpleOrchestrator keeps its promises in ${RUNS} real runs with faults (seed ${SEED})`,
  ...sanitizers,
  fn: () => trySeeds(RUNS, trySimple),
});
