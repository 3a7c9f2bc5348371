import type { RunEvent } from "../../../orchestrators/orchestrator.ts";
import type { Simulation } from "./simulate.ts";

/** What does not hold of a run, whatever its scenario was. */
export function* broken(simulation: Simulation): Generator<string> {
  yield* simulation.world.violations;
  yield* systems(simulation);
  yield* results(simulation);
  yield* attempts(simulation);
  yield* bounds(simulation);
  yield* told(simulation);
  yield* theEnd(simulation);
  yield* numberOfSystems(simulation);
  yield* listScheduling(simulation);
  yield* endOfAbort(simulation);
}

/** Every system is given back exactly once, and cleaned up if it is lent again. */
function* systems(
  { world, summary, executors, events }: Simulation,
): Generator<string> {
  for (const { id, released } of world.remotes) {
    if (released !== 1) yield `${id} was released ${released} times`;
  }
  if (summary.handedOut !== world.remotes.length) {
    yield `${summary.handedOut} of ${world.remotes.length} systems are counted`;
  }
  if (summary.released + summary.releaseErrors.length !== summary.handedOut) {
    yield `${summary.handedOut} systems were taken, ${summary.released} given back, ${summary.releaseErrors.length} not`;
  }
  const reasons = new Map(
    events.filter((event) => event.type === "release-started")
      .map(({ remote, reason }) => [remote, reason]),
  );
  const lost = new Set(
    events.filter((event) => event.type === "remote-lost")
      .map(({ remote }) => remote),
  );
  for (const [id, { stopped, remote }] of executors) {
    const reason = reasons.get(id)!;
    if (reason === "abort" && stopped < 2) continue; // depends on what was going on
    if (lost.has(id)) continue; // it depends on when it was lost
    const expected = remote.reusable ? 1 : 0;
    if (stopped !== expected) {
      yield `${id} was cleaned up ${stopped} times before its release (${reason})`;
    }
  }
}

/** Each test is stored, could not be stored, or was not run. */
function* results({ world, summary, kind }: Simulation): Generator<string> {
  const stored = new Set(summary.ingested.keys());
  const given = world.aggregator.ingested.map(({ test }) => test);
  if (given.length !== stored.size || given.some((test) => !stored.has(test))) {
    yield `stored: ${given}, reported: ${[...stored]}`;
  }
  const notRun = new Set(summary.notRun);
  const failed = new Set(
    summary.ingestErrors
      .filter(({ test, attempt }) =>
        !summary.earlier.some((earlier) =>
          earlier.test === test && earlier.attempt === attempt
        )
      ).map(({ test }) => test),
  );
  for (const test of world.tests.keys()) {
    const places = [stored, notRun, failed].filter((set) => set.has(test));
    if (places.length !== 1) yield `${test} is in ${places.length} places`;
  }
  const sizes = stored.size + notRun.size + failed.size;
  if (sizes !== world.tests.size) yield "there are results of no test";
  if (kind === null && stored.size !== world.tests.size) {
    yield "a run without error lacks results";
  }
  if (summary.passed + summary.failed + notRun.size !== summary.tests) {
    yield `${summary.passed} passed, ${summary.failed} failed, ${notRun.size} not run`;
  }
  for (const [test, { attempt, exitCode, error }] of summary.ingested) {
    if (attempt !== world.attempts.get(test)) yield `${test}: ${attempt}`;
    if ((exitCode === undefined) !== (error !== undefined)) {
      yield `${test} has an exit code of ${exitCode} and the error ${error}`;
    }
  }
}

/** Attempts are within the limit, and those before the last are all in the other aggregator, in order. */
function* attempts(
  { scenario, world, summary }: Simulation,
): Generator<string> {
  const limit = 1 + (scenario.options?.maxReruns ?? 0);
  for (const [test, count] of world.attempts) {
    if (count > limit) yield `${test} ran ${count} times`;
  }
  if (!world.oldAggregator) return;
  const old = world.oldAggregator.ingested;
  for (const [test, { attempt }] of summary.ingested) {
    const got = old.filter((one) => one.test === test)
      .map(({ info }) => info.attempt!);
    const failed = summary.ingestErrors.filter((one) => one.test === test)
      .map((one) => one.attempt);
    const all = [...got, ...failed].sort((a, b) => a - b);
    const expected = Array.from({ length: attempt - 1 }, (_, i) => i + 1);
    if (all.join() !== expected.join()) yield `earlier ${test}: ${all}`;
    if (got.some((n, i) => i > 0 && n < got[i - 1])) {
      yield `earlier ${test} out of order: ${got}`;
    }
  }
}

/** Permits are never exceeded, and all are returned. */
function* bounds({ scenario, world }: Simulation): Generator<string> {
  const simple = scenario.kind === "simple";
  const limits = simple
    ? { setup: 1, ingest: 1, release: 1 }
    : { setup: 10, ingest: 4, release: 10, ...scenario.options?.concurrency };
  for (const kind of ["setup", "ingest", "release"] as const) {
    if (world.peak[kind] > limits[kind]) {
      yield `${world.peak[kind]} of kind ${kind} at once`;
    }
    if (world.now[kind] !== 0) yield `${world.now[kind]} ${kind} left over`;
  }
}

/** The event that ends what another begins. */
const ENDS: Partial<Record<RunEvent["type"], RunEvent["type"]>> = {
  "setup-finished": "setup-started",
  "setup-failed": "setup-started",
  "test-finished": "test-started",
  "ingest-finished": "ingest-started",
  "ingest-failed": "ingest-started",
  "release-finished": "release-started",
  "release-failed": "release-started",
};

/** From events alone one can tell what goes on. */
function* told(
  { events, summary, kind, world }: Simulation,
): Generator<string> {
  if (events[0]?.type !== "run-started") yield "run-started is not first";
  const last = events.at(-1);
  if (last?.type !== "run-finished") yield "run-finished is not last";
  else if (last.kind !== kind) yield `run-finished tells ${last.kind}`;
  const open = new Set<string>();
  const subject = (event: RunEvent) => {
    if ("test" in event) return `${event.test}#${event.attempt}`;
    return "remote" in event ? event.remote : "";
  };
  for (const event of events) {
    const begin = ENDS[event.type];
    if (begin && !open.delete(`${begin} ${subject(event)}`)) {
      yield `${event.type} of ${subject(event)} was not begun`;
    }
    if (event.type.endsWith("-started") && event.type !== "run-started") {
      open.add(`${event.type} ${subject(event)}`);
    }
    if ("ms" in event && !(event.ms >= 0)) yield `${event.type}: ${event.ms}`;
  }
  if (open.size > 0) yield `begun and not ended: ${[...open]}`;
  const counted = (type: RunEvent["type"]) =>
    events.filter((event) => event.type === type).length;
  const counts = [
    ["remote-ready", summary.handedOut],
    ["setup-started", summary.setups],
    ["release-finished", summary.released],
    ["release-failed", summary.releaseErrors.length],
    ["ingest-failed", summary.ingestErrors.length],
    ["test-started", [...world.attempts.values()].reduce((a, b) => a + b, 0)],
  ] as const;
  for (const [type, count] of counts) {
    if (counted(type) !== count) yield `${counted(type)} ${type}, not ${count}`;
  }
}

/** When a run is to end, nothing begins, and what was cut short does not count. */
function* theEnd({ events, summary }: Simulation): Generator<string> {
  const ending = events.findIndex(({ type }) =>
    type === "draining" || type === "aborting"
  );
  const aborting = events.findIndex(({ type }) => type === "aborting");
  for (const [index, event] of events.entries()) {
    if (ending === -1 || index < ending) continue;
    if (["test-started", "setup-started", "requested"].includes(event.type)) {
      yield `${event.type} after the run was to end`;
    }
    if (event.type !== "test-finished") continue;
    if (event.rerun) yield `rerun of ${event.test} after the run was to end`;
    const cut = aborting !== -1 && index > aborting && event.error;
    if (cut && !summary.notRun.includes(event.test)) {
      yield `${event.test} counts although it was cut short`;
    }
  }
}

function isFaultless({ scenario }: Simulation): boolean {
  const { options = {}, tests, provisioners, abort } = scenario;
  const wipes = options.policies?.includes("destructive");
  const { destructiveExitCodes: codes = "nonzero" } = options;
  if (codes !== "nonzero" && codes.includes(0)) return false;
  return scenario.kind === "adhoc" && !abort && !options.policyThrows &&
    options.invalidNextTestWhenLeft === undefined &&
    tests.every(({ runs, tags }) =>
      runs[0].throws === undefined && !runs[0].exit && !(wipes && tags)
    ) &&
    provisioners.some(({ capacity }) => capacity !== 0) &&
    provisioners.every(({ remotes, then }) =>
      [...remotes, then].every(({ fail, setup = "ok", lostMs }) =>
        fail === undefined && setup === "ok" && lostMs === undefined
      )
    );
}

/** Without faults no more systems are set up than there is use for. */
function* numberOfSystems(simulation: Simulation): Generator<string> {
  if (!isFaultless(simulation)) return;
  const { scenario, summary } = simulation;
  const use = summary.tests + (scenario.options?.maxSpares ?? 0);
  if (summary.setups > use) yield `${summary.setups} setups for ${use}`;
}

/** Systems that arrive together are used as well as any schedule without foresight can. */
function* listScheduling(simulation: Simulation): Generator<string> {
  const { scenario, world, summary } = simulation;
  const { options = {}, provisioners } = scenario;
  const arrivals = new Set(
    provisioners.filter(({ capacity }) => capacity !== 0)
      .flatMap(({ remotes, then }) => [...remotes, then])
      .map(({ readyMs = 0, setupMs = 0 }) => `${readyMs} ${setupMs}`),
  );
  const together = arrivals.size === 1 &&
    options.maxWaitingIngests === undefined;
  if (!isFaultless(simulation) || !together) return;
  const systems = Math.min(
    summary.tests,
    provisioners.reduce((sum, { capacity }) => sum + (capacity ?? Infinity), 0),
  );
  if ((options.concurrency?.setup ?? 10) < systems) return;
  const [ready, setup] = [...arrivals][0].split(" ").map(Number);
  const times = scenario.tests.map(({ runs }) => runs[0].ms);
  const work = times.reduce((a, b) => a + b, 0);
  const bound = ready + setup + work / systems + Math.max(...times);
  if (world.lastEnd > bound) {
    yield `the last test ended at ${world.lastEnd}, not before ${bound}`;
  }
}

/** An aborted run ends as soon as what is under way can end. */
function* endOfAbort(simulation: Simulation): Generator<string> {
  const { scenario, summary, abortedAt, endedAt } = simulation;
  if (abortedAt === undefined || scenario.kind === "simple") return;
  const { options = {}, tests, provisioners } = scenario;
  const grace = options.cancelGraceMs ?? 30_000;
  const cancel = Math.max(
    ...tests.map(({ cancelMs = 0, deaf }) =>
      deaf === "for-ever"
        ? 2 * grace
        : deaf === "until-cut"
        ? grace
        : Math.min(cancelMs, grace)
    ),
  );
  const specs = provisioners.flatMap(({ remotes, then }) => [...remotes, then]);
  const setup = specs.some(({ setup }) => setup === "deaf") ? grace : 0;
  const timeout = options.releaseTimeoutMs ?? 300_000;
  const release = Math.max(...specs.map(
    ({ releaseMs = 0, release, stop }) =>
      Math.min(release === "hang" ? Infinity : releaseMs, timeout) +
      (stop === "hang" ? grace : 0),
  ));
  const { release: releases = 10, ingest: ingests = 4 } = options.concurrency ??
    {};
  const ingest = Math.max(
    scenario.aggregator?.ingestMs ?? 0,
    scenario.oldAggregator?.ingestMs ?? 0,
  );
  const stored = summary.tests + summary.reruns;
  const bound = abortedAt + Math.max(cancel, setup) +
    Math.ceil(summary.handedOut / releases) * release +
    (Math.ceil(stored / ingests) + summary.reruns) * ingest;
  if (endedAt > bound) {
    yield `aborted at ${abortedAt}, ended at ${endedAt}, not before ${bound}`;
  }
}
