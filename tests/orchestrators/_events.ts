/** An event of each type, and runs of which the events are interesting. */
import type { Aggregator } from "../../aggregators/aggregator.ts";
import { AdHocOrchestrator } from "../../orchestrators/adhoc.ts";
import type {
  Run,
  RunEvent,
  RunSummary,
  TestOutcome,
} from "../../orchestrators/orchestrator.ts";
import { reruns } from "../../orchestrators/policies.ts";
import {
  PretendedAggregator,
  PretendedExecutor,
  PretendedPool,
} from "./_pretend.ts";

const remote = "pool#1";
const error = new TypeError('broken\n"so"', {
  cause: Object.assign(new Error("inner", { cause: "why" }), {
    output: "last words",
  }),
});

const outcome: TestOutcome = {
  test: "/a",
  attempt: 2,
  exitCode: 0,
  remote,
  startedAt: 1,
  finishedAt: 2,
};

/** A summary with something in every list. */
export const SUMMARY: RunSummary = {
  platform: "here",
  tests: 2,
  passed: 1,
  failed: 0,
  flaky: 1,
  ingested: new Map([["/a", outcome]]),
  earlier: [{ ...outcome, attempt: 1, exitCode: 3 }],
  notRun: ["/b"],
  ingestErrors: [{ test: "/b", attempt: 1, error, artifacts: "/tmp/x" }],
  releaseErrors: [{ remote, error }],
  handedOut: 1,
  systems: 1,
  released: 0,
  setups: 1,
  reruns: 1,
  startedAt: 0,
  finishedAt: 3,
};

const events: {
  [T in RunEvent["type"]]: Omit<RunEvent & { type: T }, "time">;
} = {
  "run-started": {
    type: "run-started",
    platform: "here",
    tests: ["/a", "/\ud800\n\u2028"],
    journal: "out/run.journal",
  },
  "run-resumed": {
    type: "run-resumed",
    done: ["/a"],
    failed: ["/a"],
    outputs: { "/a": "out/files/a" },
    interrupted: ["/\ud800\n\u2028"],
    reruns: 1,
  },
  "requested": { type: "requested", provisioner: "pool", count: 3 },
  "demand-cancelled": { type: "demand-cancelled", provisioners: ["pool"] },
  "reservation-failed": {
    type: "reservation-failed",
    provisioner: "pool",
    error: new AggregateError([error, new RangeError("2")], "several"),
    failures: 1,
    dead: false,
  },
  "remote-ready": {
    type: "remote-ready",
    remote,
    provisioner: "pool",
    attributes: { image: "x", name: "TypeError", message: "no error" },
  },
  "remote-surplus": { type: "remote-surplus", remote },
  "setup-started": { type: "setup-started", remote },
  "setup-finished": { type: "setup-finished", remote, ms: 1 },
  "setup-failed": {
    type: "setup-failed",
    remote,
    ms: 1,
    error,
    left: Infinity,
  },
  "remote-idle": { type: "remote-idle", remote },
  "remote-lost": { type: "remote-lost", remote, error },
  "test-started": {
    type: "test-started",
    test: "/a",
    attempt: 1,
    remote,
    artifacts: "/tmp/a",
  },
  "test-finished": {
    type: "test-finished",
    test: "/a",
    attempt: 1,
    remote,
    error,
    ms: 1,
    destroyed: true,
    rerun: true,
  },
  "ingest-started": {
    type: "ingest-started",
    test: "/a",
    attempt: 1,
    earlier: true,
  },
  "ingest-finished": {
    type: "ingest-finished",
    test: "/a",
    attempt: 1,
    earlier: true,
    ms: 1,
    stored: { directory: "/out", output: "/out/output.txt" },
  },
  "ingest-failed": {
    type: "ingest-failed",
    test: "/a",
    attempt: 1,
    earlier: false,
    ms: 1,
    error,
    artifacts: "/tmp/a",
  },
  "release-started": { type: "release-started", remote, reason: "destroyed" },
  "release-finished": {
    type: "release-finished",
    remote,
    reason: "done",
    ms: 1,
  },
  "release-failed": {
    type: "release-failed",
    remote,
    reason: "abort",
    ms: 1,
    error,
    givenBack: true,
  },
  "draining": { type: "draining", kind: "NoRemotes", why: "no pool", error },
  "aborting": { type: "aborting", reason: error },
  "stalled": { type: "stalled", waitingFor: ["pool"], ms: 600_000 },
  "run-finished": { type: "run-finished", kind: "Aborted", summary: SUMMARY },
};

/** An event of each type. */
export const ONE_OF_EACH: readonly RunEvent[] = Object.values(events)
  .map((event, time) => ({ time, ...event } as RunEvent));

/** Gives events as a run does. */
export async function* given(
  events: Iterable<RunEvent>,
): AsyncGenerator<RunEvent> {
  for (const event of events) yield await Promise.resolve(event);
}

/**
 * A run of some tests of which `/flaky` passes at its second attempt, `/bad` fails, and
 * the first setup, too. `/a` runs until `/flaky` does, on another system.
 */
export function eventfulRun(
  aggregator: Aggregator = new PretendedAggregator(),
): Run {
  let setups = 0;
  const both = Promise.withResolvers<void>();
  return new AdHocOrchestrator({
    platform: "here",
    tests: ["/a", "/flaky", "/bad", "/b", "/c"],
    provisioners: [new PretendedPool({ maxRemotes: 2 })],
    executor: (remote) => {
      const first = setups++ === 0;
      const executor = new PretendedExecutor(
        remote,
        async (test, _artifacts, { attempt }) => {
          if (test === "/flaky") both.resolve();
          if (test === "/a") await both.promise;
          const fails = test === "/bad" || test === "/flaky" && attempt === 1;
          return fails ? 1 : 0;
        },
      );
      if (first) executor.start = () => Promise.reject(new Error("no luck"));
      return executor;
    },
    aggregator,
    rerun: (info) => info.test === "/flaky" && reruns(1)(info),
  }).run();
}
