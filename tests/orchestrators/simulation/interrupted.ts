/** Simulated runs that are interrupted and started again until they are done. */
import fc from "fast-check";
import {
  OrchestratorError,
  type RunSummary,
} from "../../../orchestrators/orchestrator.ts";
import type { Scenario } from "./scenario.ts";
import { start } from "./simulate.ts";
import { Kept, World } from "./world.ts";

/** How a process ends early. */
export type Interruption =
  /** It is killed after so many changes of what outlives it, perhaps by a fault of the host. */
  | { kind: "kill" | "host"; after: number; seed: number }
  /** Somebody aborts the run after so many events. */
  | { kind: "abort"; after: number };

export interface InterruptedScenario {
  scenario: Scenario;
  interruptions: Interruption[];
  /** Aggregators cannot tell what they have. */
  countless: boolean;
}

const MAX_STEPS = 20_000;

const remote = fc.record({
  readyMs: fc.nat(50),
  setupMs: fc.nat(50),
  releaseMs: fc.nat(20),
  lostMs: fc.option(fc.nat(300), { nil: undefined, freq: 9 }),
});

const testRun = fc.record({
  ms: fc.nat(60),
  exit: fc.constantFrom(0, 0, 1),
  throws: fc.constantFrom(undefined, undefined, "connection lost"),
  noResults: fc.boolean(),
});

const scenario: fc.Arbitrary<Scenario> = fc.record({
  tests: fc.array(fc.array(testRun, { minLength: 1, maxLength: 3 }), {
    minLength: 1,
    maxLength: 6,
  }),
  remotes: fc.array(remote, { maxLength: 4 }),
  capacity: fc.integer({ min: 1, max: 3 }),
  ingestMs: fc.nat(40),
  old: fc.boolean(),
  maxReruns: fc.nat(2),
  ingest: fc.integer({ min: 1, max: 3 }),
  failing: fc.nat(2),
}).map(
  (
    { tests, remotes, capacity, ingestMs, old, maxReruns, ingest, failing },
  ) => ({
    kind: "adhoc",
    options: { maxReruns, concurrency: { ingest } },
    tests: tests.map((runs, index) => ({ name: `/t${index}`, runs })),
    provisioners: [{ name: "p", capacity, remotes, then: { setupMs: 5 } }],
    aggregator: { ingestMs, ...(!failing && { fail: { "/t0": 1 } }) },
    ...(old && { oldAggregator: { ingestMs } }),
  }),
);

export const interruptedScenarios: fc.Arbitrary<InterruptedScenario> = fc
  .boolean().chain((countless) =>
    fc.record({
      scenario,
      countless: fc.constant(countless),
      interruptions: fc.array(
        fc.oneof(
          fc.record({
            // an aggregator that cannot tell is at a loss after a fault of the host
            kind: countless
              ? fc.constant("kill" as const)
              : fc.constantFrom("kill" as const, "host" as const),
            after: fc.nat(80),
            seed: fc.nat(),
          }),
          fc.record({ kind: fc.constant("abort" as const), after: fc.nat(60) }),
        ),
        { minLength: 1, maxLength: 5 },
      ),
    })
  );

/** What is wrong with what came of it. */
export async function* faultsOf(
  { scenario, interruptions, countless }: InterruptedScenario,
): AsyncGenerator<string> {
  const kept = new Kept();
  let failed = 0;
  for (const interruption of [...interruptions, undefined, undefined]) {
    const world = new World(scenario, {
      kept,
      countless,
      ...(interruption && interruption.kind !== "abort" &&
        { killAfter: interruption.after }),
    });
    const wasDone = kept.ingested.length === scenario.tests.length;
    const result = await runIn(world, scenario, interruption);
    yield* world.violations;
    if (result instanceof OrchestratorError) {
      if (result.kind === "IngestFailed") failed++;
      else if (interruption?.kind !== "abort") yield `${result}`;
    } else if (result === "stuck") yield "the run does not end";
    if (wasDone && world.remotes.length > 0) yield "a run that was done ran";
    if (result === "killed" && interruption?.kind === "host") {
      fault(kept, interruption.seed);
    }
    if (interruption || result === "killed" || result === "stuck") continue;
    if (result instanceof OrchestratorError) continue;
    yield* faultsOfSummary(result, scenario, kept);
  }
  // an aggregator that refused once is given everything by the next process
  const names = kept.ingested.map(({ test }) => test).sort();
  const wanted = scenario.tests.map(({ name }) => name).sort();
  if (`${names}` !== `${wanted}`) yield `stored: ${names}, wanted: ${wanted}`;
  const { maxReruns = 0 } = scenario.options!;
  for (const [test, attempts] of kept.attempts) {
    const most = 1 + maxReruns + interruptions.length + failed;
    if (attempts > most) yield `${test} ran ${attempts} times`;
  }
  if (kept.contents.size > 0) yield `left: ${[...kept.contents.keys()]}`;
}

function* faultsOfSummary(
  { ingested, passed, failed, notRun, tests }: RunSummary,
  scenario: Scenario,
  kept: Kept,
): Generator<string> {
  if (passed + failed !== tests || notRun.length > 0) {
    yield `${passed} + ${failed} of ${tests}, not run: ${notRun}`;
  }
  for (const { test, info } of kept.ingested) {
    const outcome = ingested.get(test);
    if (outcome?.attempt !== info.attempt) {
      yield `${test} is stored as attempt ${info.attempt}, told as ${outcome?.attempt}`;
    }
  }
  if (ingested.size !== scenario.tests.length) yield "some are not told of";
}

async function runIn(
  world: World,
  scenario: Scenario,
  interruption?: Interruption,
): Promise<RunSummary | OrchestratorError | "killed" | "stuck"> {
  const abort = new AbortController();
  const run = start(scenario, world, new Map(), abort.signal);
  let events = 0;
  const listening = (async () => {
    for await (const _ of run) {
      const { kind, after } = interruption ?? {};
      if (kind === "abort" && events++ === after) abort.abort();
    }
  })();
  const finished = run.finished.catch((error) => {
    if (error instanceof OrchestratorError) return error;
    throw error;
  });
  const ended = Promise.all([finished, listening]).then(([result]) => result);
  const result = Promise.race([
    world.killed.then(() => "killed" as const),
    ended,
  ]);
  // code is loaded and digests are made in real time
  for (let turn = 0; turn < 500; turn++) {
    if (await world.clock.run(result, MAX_STEPS)) return await result;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return "stuck";
}

/** What was not flushed is there, or not. */
function fault(kept: Kept, seed: number): void {
  kept.boot++;
  const unflushed = kept.journal.length - kept.flushed;
  const length = kept.flushed + seed % (unflushed + 1);
  kept.journal = kept.journal.slice(0, length);
  // an attempt of which nothing is known any more was not
  kept.attempts.clear();
  for (const line of kept.journal.split("\n").slice(0, -1)) {
    const { type, test, attempt } = JSON.parse(line);
    if (type === "started") kept.attempts.set(test, attempt);
  }
  let bits = seed;
  for (const [directory, content] of kept.contents) {
    if (bits % 3 === 0) kept.contents.delete(directory);
    else if (bits % 3 === 1) content.result = false;
    bits = Math.floor(bits / 3);
  }
}
