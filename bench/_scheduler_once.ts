/**
 * Runs tests that only wait, on systems that only pretend, in a process of its own:
 *
 *     _scheduler_once.ts TESTS REMOTES MS RULE
 *
 * prints what it cost and what came of it.
 */
import { AdHocOrchestrator } from "../orchestrators/adhoc.ts";
import type { NextRule } from "../orchestrators/orchestrator.ts";
import { byPriority, longestFirst } from "../orchestrators/policies.ts";
import {
  PretendedAggregator,
  PretendedExecutor,
  PretendedPool,
} from "../tests/orchestrators/_pretend.ts";
import { measure, temporaryDirectory } from "./_once.ts";

const [tests, remotes, ms] = Deno.args.slice(0, 3).map(Number);
const rule = Deno.args[3];

const names = Array.from({ length: tests }, (_, i) => `/t${i}`);
const data = new Map(names.map((name, i) => [name, {
  duration: `${1 + i % 60}m`,
  "extra-priority": i % 60,
}]));
const rules: Record<string, () => NextRule[]> = {
  none: () => [],
  priority: () => [byPriority({ data })],
  duration: () => [longestFirst({ data })],
};

/** Runs all tests on so many systems. */
async function run(remotes: number, artifacts: string) {
  const began = performance.now();
  const gaps: number[] = [];
  const order: string[] = [];
  const ends = new Map<string, number>();
  let first = 0;
  const aggregator = new PretendedAggregator();
  const finished = await new AdHocOrchestrator({
    platform: "pretended",
    tests: names,
    provisioners: [new PretendedPool({ maxRemotes: remotes })],
    executor: (remote) =>
      new PretendedExecutor(remote, async (test) => {
        const now = performance.now();
        const end = ends.get(remote.id);
        if (end === undefined) first ||= now - began;
        else gaps.push(now - end);
        order.push(test);
        if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
        ends.set(remote.id, performance.now());
        return 0;
      }),
    aggregator,
    next: rules[rule](),
    concurrency: { setup: remotes, release: remotes },
    artifacts,
  }).run().finished;
  const { passed } = finished;
  if (passed !== aggregator.tests.length) throw new Error("tests were lost");
  return { passed, gaps, first, order, used: ends.size };
}

const directory = temporaryDirectory();
try {
  const cost = measure();
  const { passed, gaps, first, used } = await run(remotes, directory);
  const measured = cost();
  gaps.sort((a, b) => a - b);
  const at = (share: number) => gaps[Math.floor(share * (gaps.length - 1))];
  let check = `${passed} passed`;
  if (rule !== "none") {
    const { order } = await run(1, directory);
    const bytes = new TextEncoder().encode(order.join("\n"));
    const digest = await crypto.subtle.digest("SHA-256", bytes);
    check += `, in the order ${new Uint8Array(digest).toHex()}`;
  }
  console.log(JSON.stringify({
    ...measured,
    tests_per_s: passed / measured.wall_ms * 1000,
    efficiency: Math.ceil(tests / remotes) * ms / measured.wall_ms,
    gap_p50_ms: at(0.5),
    gap_p95_ms: at(0.95),
    gap_max_ms: at(1),
    first_test_ms: first,
    remotes_used: used,
    check,
  }));
} finally {
  Deno.removeSync(directory); // fails if a run left something there
}
