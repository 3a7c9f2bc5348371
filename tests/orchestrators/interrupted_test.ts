import { deepStrictEqual } from "node:assert/strict";
import fc from "fast-check";
import { faultsOf, interruptedScenarios } from "./simulation/interrupted.ts";

/** `ATEX_FUZZ_RUNS` and `ATEX_FUZZ_SEED` make another search. */
const numRuns = Math.ceil(
  Number(Deno.env.get("ATEX_FUZZ_RUNS") ?? 20_000) / 10,
);
const seed = Number(Deno.env.get("ATEX_FUZZ_SEED") ?? Date.now() % 2 ** 31);

Deno.test(`a run with a journal that is interrupted anywhere stores each test exactly once: ${numRuns} random runs (seed ${seed})`, async () => {
  const check = fc.asyncProperty(interruptedScenarios, async (scenario) => {
    deepStrictEqual(await Array.fromAsync(faultsOf(scenario)), []);
  });
  await fc.assert(check, { numRuns, seed });
});
