/** How long runs take by the clock of a simulation. */
import { ok, strictEqual } from "node:assert/strict";
import { type Plan, simulateRun } from "../../bench/_simulated_run.ts";
import { heavyTailed } from "../../bench/_durations.ts";
import { startAdHoc } from "../../orchestrators/_adhoc_run.ts";
import type { Environment } from "../../orchestrators/_environment.ts";
import { settingsOf } from "../../orchestrators/_settings.ts";
import { byRank, reruns } from "../../orchestrators/policies.ts";
import {
  PretendedAggregator,
  PretendedExecutor,
  PretendedPool,
} from "../orchestrators/_pretend.ts";
import { FakeClock } from "../orchestrators/simulation/clock.ts";

const plan: Plan = {
  durations: heavyTailed(200),
  systems: 7,
  reservation: () => 0,
  setup: 0,
  reruns: 1,
  fails: (test, attempt) => test.endsWith("3") && attempt === 1,
};
const longest = byRank((test) => -plan.durations.get(test)!);

/** The same by the orchestrator itself, on a clock that is set. */
async function runOnFakeClock(): Promise<number> {
  const clock = new FakeClock();
  const environment: Environment = {
    now: () => clock.now(),
    after: (ms, call) => clock.after(ms, call),
    pause: () => clock.pause(),
    openArtifacts: () => ({
      open: () => {},
      make: () => "artifacts",
      reserve: () => "",
      addOwnResult: () => Promise.resolve(),
      remove: () => Promise.resolve(),
      keep: () => {},
      close: () => Promise.resolve(),
      look: () => undefined,
      sweep: () => Promise.resolve(),
    }),
    openJournal: () => Promise.reject(new Error("there is none")),
    boot: () => undefined,
  };
  const settings = settingsOf({
    platform: "here",
    tests: plan.durations.keys(),
    provisioners: [new PretendedPool({ maxRemotes: plan.systems })],
    executor: (remote) =>
      new PretendedExecutor(remote, async (test, _, { attempt = 1 }) => {
        await clock.sleep(plan.durations.get(test)!);
        return Number(plan.fails(test, attempt));
      }),
    aggregator: new PretendedAggregator(),
    next: longest,
    rerun: reruns(plan.reruns),
  });
  const { finished } = startAdHoc(settings, {}, environment);
  ok(await clock.run(finished, 10_000));
  return clock.now();
}

Deno.test("a simulated run takes as long as the orchestrator would", async () => {
  const { makespan, ran } = simulateRun(plan, [longest]);
  strictEqual(ran, 220);
  ok(Math.abs(makespan - await runOnFakeClock()) < 1e-6);
});

Deno.test("the longest first is faster than the order of the list", () => {
  const { makespan } = simulateRun(plan, [longest]);
  ok(makespan < simulateRun(plan, []).makespan);
});
