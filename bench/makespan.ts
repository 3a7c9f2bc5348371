/**
 * How long runs take: tests that are given out ad hoc by the real scheduler, on a
 * clock that jumps, against a list that is cut into equal parts beforehand, and
 * against what is possible at all.
 *
 *     bench/makespan.ts [--largest N] [--svg FILE] [--against COMMAND] [--pairs N]
 *
 * N is the number of tests of the largest run: 1 000 000 if not given.
 */
import { byRank } from "../orchestrators/policies.ts";
import {
  heavyTailed,
  randomNumbers,
  shortened,
  suiteDurations,
} from "./_durations.ts";
import { limited } from "./_goals.ts";
import { plotMakespans } from "./_makespan_plot.ts";
import { measure } from "./_once.ts";
import { benchmark } from "./_program.ts";
import { type Plan, simulateRun } from "./_simulated_run.ts";

/** A run that is simulated, and what is known of its tests before. */
interface Case {
  name: string;
  limits: ReadonlyMap<string, number>;
  plan: Plan;
}

/** How long it takes, in minutes. */
export interface Makespans {
  name: string;
  tests: number;
  systems: number;
  bound: number;
  /** The same, given that tests cannot be cut into pieces. */
  wholeTests: number;
  longestFirst: number;
  given: number;
  split: number;
}

const SETUP = 1;
const SUITE = "suite";
const TAIL = "heavy tail";

/** Reservations take 2 to 4 minutes. */
function delays(): (n: number) => number {
  const random = randomNumbers(4);
  const drawn: number[] = [];
  return (n) => {
    while (drawn.length <= n) drawn.push(2 + 2 * random.next().value);
    return drawn[n];
  };
}

function caseOf(
  name: string,
  limits: ReadonlyMap<string, number>,
  systems: number,
  { failing = 0, durations = limits } = {},
): Case {
  const plan: Plan = {
    durations,
    systems,
    reservation: delays(),
    setup: SETUP,
    reruns: failing > 0 ? 1 : 0,
    fails: (test, attempt) =>
      failing > 0 && Number(test.slice(2)) % Math.round(1 / failing) === 0 &&
      attempt === 1,
  };
  return { name, limits, plan };
}

function* cases(largest: number): Generator<Case> {
  const suite = suiteDurations();
  for (const systems of [1, 2, 4, 8, 16, 32, 64]) {
    yield caseOf(SUITE, suite, systems);
  }
  for (const systems of [4, 16, 64]) {
    const durations = shortened(suite);
    yield caseOf("suite, tests end early", suite, systems, { durations });
  }
  for (const systems of [4, 16, 64]) {
    const name = "suite, 5 % fail, destroy, rerun";
    yield caseOf(name, suite, systems, { failing: 0.05 });
  }
  const tail = heavyTailed(Math.min(10_000, largest));
  for (const systems of [1, 4, 16, 64, 256, 1000]) {
    yield caseOf(TAIL, tail, systems);
  }
  if (largest <= 10_000) return;
  const many = heavyTailed(largest);
  for (const systems of [1000, 10_000]) yield caseOf(TAIL, many, systems);
}

/** What one test takes in all. */
function timeOf({ durations, fails, reruns }: Plan, test: string): number {
  const once = durations.get(test)!;
  return reruns > 0 && fails(test, 1) ? 2 * once : once;
}

/** No run can be shorter: all systems work from when they can be ready to the end, or one test takes that long. */
function lowerBound(plan: Plan): number {
  const { durations, systems, reservation, setup } = plan;
  let total = 0;
  let longest = 0;
  for (const test of durations.keys()) {
    const time = timeOf(plan, test);
    total += time;
    longest = Math.max(longest, time);
  }
  const ready = Array.from(
    { length: systems },
    (_, n) => reservation(n) + setup,
  )
    .sort((a, b) => a - b);
  let bound = Infinity;
  let waited = 0;
  for (const [n, time] of ready.entries()) {
    waited += time;
    bound = Math.min(bound, (total + waited) / (n + 1));
  }
  return Math.max(bound, ready[0] + longest);
}

/**
 * Tests that take multiples of the same time fill a system only up to a multiple of it:
 * so many of them have to fit.
 */
function boundOfWholeTests(plan: Plan): number {
  let bound = lowerBound(plan);
  const { durations, systems, reservation, setup } = plan;
  const grains = new Set(durations.values());
  if (grains.size > 10) return bound; // no two take the same time
  const ready = Array.from(
    { length: systems },
    (_, n) => reservation(n) + setup,
  );
  for (const grain of grains) {
    let grainsToRun = 0;
    for (const [test, time] of durations) {
      if (time % grain === 0) grainsToRun += timeOf(plan, test) / grain;
    }
    const fits = (time: number) =>
      ready.reduce(
        (sum, from) => sum + Math.max(0, Math.floor((time - from) / grain)),
        0,
      ) >= grainsToRun;
    let [low, high] = [bound, 2 * bound + grain];
    if (fits(low)) continue;
    while (high - low > 0.01) {
      const middle = (low + high) / 2;
      if (fits(middle)) high = middle;
      else low = middle;
    }
    bound = low;
  }
  return bound;
}

/** Each system gets its part of the list beforehand; one that a test has destroyed is made anew. */
function fixedSplit(plan: Plan): number {
  const { durations, systems, reservation, setup, fails } = plan;
  const tests = [...durations.keys()];
  let reserved = systems;
  let longest = 0;
  for (let n = 0; n < systems; n++) {
    const from = Math.floor(tests.length * n / systems);
    const to = Math.floor(tests.length * (n + 1) / systems);
    let time = reservation(n) + setup;
    for (const test of tests.slice(from, to)) {
      time += timeOf(plan, test);
      if (fails(test, 1)) time += reservation(reserved++) + setup;
    }
    longest = Math.max(longest, time);
  }
  return longest;
}

await benchmark({
  name: "makespan",
  defaults: { largest: 1_000_000, svg: "" },
  prepare({ largest, svg }) {
    return {
      warm: false,
      ours() {
        const cost = measure();
        const found: Makespans[] = [];
        let tests = 0;
        for (const { name, limits, plan } of cases(largest)) {
          const longest = byRank((test) => -limits.get(test)!);
          const runs = [simulateRun(plan, [longest]), simulateRun(plan, [])];
          tests += runs[0].ran + runs[1].ran;
          found.push({
            name,
            tests: plan.durations.size,
            systems: plan.systems,
            bound: lowerBound(plan),
            wholeTests: boundOfWholeTests(plan),
            longestFirst: runs[0].makespan,
            given: runs[1].makespan,
            split: fixedSplit(plan),
          });
        }
        const measured = cost();
        if (svg !== "") {
          Deno.writeTextFileSync(svg, plotMakespans([SUITE, TAIL], found));
        }
        const times = (one: Makespans) =>
          [one.wholeTests, one.longestFirst, one.given, one.split]
            .map((time) => (time / one.bound).toFixed(3));
        return Promise.resolve({
          n: tests,
          ...measured,
          tests_per_s: Math.round(tests / measured.wall_ms * 1000),
          table: [
            [
              "tests",
              "number",
              "systems",
              "bound (h)",
              "whole tests",
              "longest first",
              "given order",
              "fixed split",
            ],
            ...found.map((one) => [
              one.name,
              String(one.tests),
              String(one.systems),
              (one.bound / 60).toFixed(2),
              ...times(one),
            ]),
          ],
          found,
          check: found.map((one) => Math.round(one.longestFirst)).join(" "),
        });
      },
      goals(measured) {
        const found = (measured.found as Makespans[]).filter(
          ({ name, systems }) => name === SUITE && systems >= 4,
        );
        const goal = (what: string, bound: "bound" | "wholeTests") =>
          limited(2, {
            what: `suite, 4 to 64 systems, longest first above ${what}`,
            value: 100 *
              Math.max(
                ...found.map((one) => one.longestFirst / one[bound] - 1),
              ),
            unit: "%",
          });
        return Promise.resolve({
          goals: [
            goal("the bound", "bound"),
            goal("that of whole tests", "wholeTests"),
          ],
        });
      },
    };
  },
});
