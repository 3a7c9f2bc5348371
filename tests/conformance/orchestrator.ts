/** Runs orchestrator scenarios on a fake clock; the schema is in `cases/orchestrator/README.md`. */
import { broken } from "../orchestrators/simulation/invariants.ts";
import {
  simulate,
  type Simulation,
} from "../orchestrators/simulation/simulate.ts";
import type { Scenario } from "../orchestrators/simulation/scenario.ts";
import type { Runner } from "./case.ts";

type Range = number | [from: number, to: number];

interface Expectations {
  error: string | null;
  ingested: Record<string, { attempt: number; exit?: number; threw?: true }>;
  old?: Record<string, number[]>;
  ingestFailed?: string[];
  notRun?: string[];
  attempts?: Record<string, number>;
  handedOut?: Range;
  setups?: Range;
  releaseFailed?: Range;
  maxParallel?: Range;
  peak?: Partial<Record<"setup" | "ingest" | "release", number>>;
  cleared?: boolean;
  sameRemote?: string[][];
  differentRemote?: string[][];
  happensBefore?: [string, string][];
  makespan?: [number, number];
}

const KNOWN = new Set([
  "error",
  "ingested",
  "old",
  "ingestFailed",
  "notRun",
  "attempts",
  "handedOut",
  "setups",
  "releaseFailed",
  "maxParallel",
  "peak",
  "cleared",
  "sameRemote",
  "differentRemote",
  "happensBefore",
  "makespan",
]);

export const run: Runner = async function* (cases) {
  for (const one of cases) {
    const { id } = one;
    const problems = await problemsOf(one);
    yield problems.length === 0
      ? { name: id, outcome: "passed" }
      : { name: id, outcome: "failed", why: problems.join("; ") };
  }
};

/** What does not come out of a case as it should. */
export async function problemsOf(
  { id: _, expect, ...scenario }: { id: string; expect: Expectations },
  ...wrap: Parameters<typeof simulate> extends [Scenario, ...infer Wrap] ? Wrap
    : never
): Promise<string[]> {
  try {
    const plain = withoutNulls(scenario) as Scenario;
    const provisioners = plain.provisioners.map((provisioner) => ({
      ...{ remotes: [], then: {} },
      ...provisioner,
    }));
    const simulation = await simulate({ ...plain, provisioners }, ...wrap);
    return [...broken(simulation), ...differences(simulation, expect)];
  } catch (error) {
    return [Deno.inspect(error)];
  }
}

function* differences(
  { summary, world, kind, endedAt }: Simulation,
  expect: Expectations,
): Generator<string> {
  for (const key of Object.keys(expect)) {
    if (!KNOWN.has(key)) yield `the expectation "${key}" is unknown`;
  }
  const ingested = [...summary.ingested].map(
    ([test, { attempt, exitCode, error }]) => [
      test,
      error ? { attempt, threw: true } : { attempt, exit: exitCode },
    ],
  );
  const old: Record<string, number[]> = {};
  for (const { test, info } of world.oldAggregator?.ingested ?? []) {
    (old[test] ??= []).push(info.attempt!);
  }
  const failed = summary.ingestErrors.map(({ test }) => test);
  yield* differ("error", kind, expect.error);
  yield* differ("ingested", Object.fromEntries(ingested), expect.ingested);
  yield* differ("ingestFailed", set(failed), set(expect.ingestFailed ?? []));
  if (expect.notRun) {
    yield* differ("notRun", set(summary.notRun), set(expect.notRun));
  }
  if (expect.old) yield* differ("old", old, expect.old);
  if (expect.attempts) {
    const attempts = Object.fromEntries(world.attempts);
    yield* differ("attempts", attempts, expect.attempts);
  }
  yield* outside("handedOut", summary.handedOut, expect.handedOut);
  yield* outside("setups", summary.setups, expect.setups);
  yield* outside("maxParallel", world.peak.test, expect.maxParallel);
  yield* outside("makespan", endedAt, expect.makespan);
  yield* outside(
    "releaseFailed",
    summary.releaseErrors.length,
    expect.releaseFailed ?? 0,
  );
  for (const [what, peak] of Object.entries(expect.peak ?? {})) {
    const reached = world.peak[what as keyof typeof world.peak];
    yield* outside(`peak ${what}`, reached, [0, peak]);
  }
  if (expect.cleared !== undefined) {
    yield* differ("cleared", world.cleared > 0, expect.cleared);
  }
  for (const group of expect.sameRemote ?? []) {
    const used = new Set(group.map((attempt) => world.ranOn.get(attempt)));
    if (used.size !== 1 || used.has(undefined)) {
      yield `${group} ran on ${[...used]}, not on one system`;
    }
  }
  for (const group of expect.differentRemote ?? []) {
    const used = new Set(group.map((attempt) => world.ranOn.get(attempt)));
    if (used.size !== group.length || used.has(undefined)) {
      yield `${group} ran on ${[...used]}, not on systems of their own`;
    }
  }
  for (const [first, second] of expect.happensBefore ?? []) {
    const a = world.indexOf.get(first);
    const b = world.indexOf.get(second);
    if (a === undefined || b === undefined || a >= b) {
      yield `${first} (${a}) is not before ${second} (${b})`;
    }
  }
}

/** What is null is as good as absent, but for the capacity of a provisioner. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key, item]) => item !== null || key === "capacity")
      .map(([key, item]) => [key, withoutNulls(item)]),
  );
}

/** Tests of which each counts once, in any order. */
function set(tests: readonly string[]): string[] {
  return [...new Set(tests)].sort();
}

function* differ(what: string, got: unknown, wanted: unknown) {
  const [a, b] = [got, wanted].map((value) => JSON.stringify(sorted(value)));
  if (a !== b) yield `${what}: ${a} instead of ${b}`;
}

/** With the keys of objects in order. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1)
    .map(([key, item]) => [key, sorted(item)]);
}

function* outside(what: string, got: number, wanted?: Range) {
  if (wanted === undefined) return;
  const [from, to] = typeof wanted === "number" ? [wanted, wanted] : wanted;
  if (got < from || got > to) yield `${what}: ${got} instead of ${wanted}`;
}
