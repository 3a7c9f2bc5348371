import { deepStrictEqual, ok } from "node:assert/strict";
import fc from "fast-check";
import { scenarios, simpleScenarios } from "./simulation/arbitrary.ts";
import { broken } from "./simulation/invariants.ts";
import type { Scenario } from "./simulation/scenario.ts";
import { simulate } from "./simulation/simulate.ts";
import file from "../conformance/cases/orchestrator/scenarios.json" with {
  type: "json",
};

/** `ATEX_FUZZ_RUNS` and `ATEX_FUZZ_SEED` make another search. */
const numRuns = Number(Deno.env.get("ATEX_FUZZ_RUNS") ?? 20_000);
const seed = Number(Deno.env.get("ATEX_FUZZ_SEED") ?? Date.now() % 2 ** 31);

Deno.test(`AdHocOrchestrator keeps its promises in ${numRuns} random runs (seed ${seed})`, async () => {
  const check = fc.asyncProperty(scenarios, async (scenario) => {
    deepStrictEqual([...broken(await simulate(scenario))], []);
  });
  await fc.assert(check, { numRuns, seed });
});

Deno.test(`SimpleOrchestrator keeps its promises in random runs (seed ${seed})`, async () => {
  const check = fc.asyncProperty(simpleScenarios, async (scenario) => {
    deepStrictEqual([...broken(await simulate(scenario))], []);
  });
  await fc.assert(check, { numRuns: Math.ceil(numRuns / 4), seed });
});

Deno.test("AdHocOrchestrator can be aborted at any event", async () => {
  let runs = 0;
  for (const { id, expect: _, ...data } of file.scenarios) {
    const scenario = data as unknown as Scenario;
    if (scenario.kind !== "adhoc" || scenario.abort) continue;
    const { events } = await simulate(scenario);
    for (let afterEvents = 1; afterEvents <= events.length; afterEvents++) {
      const aborted = await simulate({ ...scenario, abort: { afterEvents } });
      deepStrictEqual([...broken(aborted)], [], `${id} at ${afterEvents}`);
      runs++;
    }
  }
  ok(runs > 800, `${runs}`);
});
