/**
 * All scenarios of orchestrators with blocks between that can fail, hang, slow down and
 * lie: without faults nothing changes, and with them nothing is broken.
 *
 * `ATEX_FAULT_RUNS` and `ATEX_FAULT_SEED` make another search; a failure tells the seed.
 */
import { deepStrictEqual, ok } from "node:assert/strict";
import fc from "fast-check";
import { problemsOf } from "../conformance/orchestrator.ts";
import { scenarios } from "../orchestrators/simulation/arbitrary.ts";
import { broken } from "../orchestrators/simulation/invariants.ts";
import type { Scenario } from "../orchestrators/simulation/scenario.ts";
import { simulate, type Wrap } from "../orchestrators/simulation/simulate.ts";
import type { World } from "../orchestrators/simulation/world.ts";
import {
  FaultPlan,
  type Faults,
  FaultyAggregator,
  FaultyExecutor,
  FaultyProvisioner,
} from "./_faults.ts";
import file from "../conformance/cases/orchestrator/scenarios.json" with {
  type: "json",
};

const numRuns = Number(Deno.env.get("ATEX_FAULT_RUNS") ?? 1000);
const seed = Number(Deno.env.get("ATEX_FAULT_SEED") ?? Date.now() % 2 ** 31);

/** Blocks around those of a simulated world, whose faults take its time. */
function wrapWith(
  options: { seed: number; rate: number; faults?: Faults },
  plans: FaultPlan[] = [],
): (world: World) => Wrap {
  return ({ clock }) => {
    const plan = new FaultPlan({
      ...options,
      slow: 40,
      sleep: (ms, signal) => clock.sleep(ms, signal).catch(() => {}),
    });
    plans.push(plan);
    return {
      provisioner: (inner) => new FaultyProvisioner(inner, plan),
      executor: (inner, id) => new FaultyExecutor(inner, plan, id),
      aggregator: (inner) => new FaultyAggregator(inner, plan),
    };
  };
}

const cases = file.scenarios as unknown as Parameters<typeof problemsOf>[0][];

Deno.test("blocks without faults change nothing in any conformance case", async () => {
  for (const one of cases) {
    const problems = await problemsOf(one, wrapWith({ seed: 1, rate: 0 }));
    deepStrictEqual(problems, [], one.id);
  }
  ok(cases.length > 30, `${cases.length}`);
});

Deno.test(`blocks without faults change nothing in ${numRuns} random runs (seed ${seed})`, async () => {
  const check = fc.asyncProperty(scenarios, async (scenario) => {
    const wrap = wrapWith({ seed: 1, rate: 0 });
    deepStrictEqual([...broken(await simulate(scenario, wrap))], []);
  });
  await fc.assert(check, { numRuns, seed });
});

/** Faults after which it is still clear what must be so. */
const FAULTS: Faults = {
  getRemote: ["hang", "slow", "lie"],
  release: ["fail", "hang", "slow"],
  start: ["fail", "hang", "slow"],
  runTest: ["fail", "slow", "lie"],
  stop: ["fail", "hang", "slow"],
  ingest: ["fail", "slow"],
};

/** How long everything takes is up to the faults, and so is how many systems are needed. */
const ABOUT_TIME =
  /^aborted at|^the last test ended at|setups for|was cleaned up \d+ times/;

/** What is broken in a scenario, with faults beside its own. */
async function brokenWith(
  scenario: Scenario,
  seed: number,
  rate: number,
  plans: FaultPlan[],
): Promise<string[]> {
  const { options = {} } = scenario;
  const patient = {
    ...scenario,
    options: {
      // who waits for somebody who hangs needs a limit
      stallTimeoutMs: 5_000,
      setupTimeoutMs: 1_000,
      releaseTimeoutMs: 100,
      cancelGraceMs: 300,
      ...options,
    },
  };
  const wrap = wrapWith({ seed, rate, faults: FAULTS }, plans);
  const found = [...broken(await simulate(patient, wrap))];
  return found.filter((one) => !ABOUT_TIME.test(one));
}

Deno.test(`no fault in a block breaks a promise in ${numRuns} random runs (seed ${seed})`, async () => {
  const plans: FaultPlan[] = [];
  const check = fc.asyncProperty(
    scenarios,
    fc.nat(),
    fc.constantFrom(0.02, 0.1, 0.4),
    async (scenario, seed, rate) => {
      deepStrictEqual(await brokenWith(scenario, seed, rate, plans), []);
    },
  );
  await fc.assert(check, { numRuns, seed });
  for (const [call, faults] of Object.entries(FAULTS)) {
    for (const fault of faults) {
      const hits = plans.reduce(
        (sum, plan) => sum + plan.count(call as keyof Faults, fault),
        0,
      );
      ok(hits > numRuns / 100, `${call} was to ${fault} ${hits} times only`);
    }
  }
});

Deno.test("no fault in a block breaks a promise in any conformance case", async () => {
  for (const { id, expect: _, ...scenario } of cases) {
    const adhoc = scenario as unknown as Scenario;
    if (adhoc.kind !== "adhoc") continue;
    for (let seed = 1; seed <= 10; seed++) {
      const found = await brokenWith(adhoc, seed, 0.2, []);
      deepStrictEqual(found, [], `${id}, seed ${seed}`);
    }
  }
});
