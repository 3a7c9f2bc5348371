import type { Executor } from "../executors/executor.ts";
import type {
  Provisioner,
  ReleaseReason,
  Remote,
} from "../provisioners/provisioner.ts";
import type {
  DestructiveRule,
  NextRule,
  OrchestratorErrorKind,
  RerunRule,
  SetupInfo,
  TestOutcome,
} from "./orchestrator.ts";
import type { RunEventBody } from "./_event_body.ts";
import { Demand, type Supplier } from "./_demand.ts";
import type { Ending } from "./_ending.ts";
import { TestQueue } from "./_queue.ts";
import type { Ends } from "./_waiting.ts";

/** A system in use. */
export interface Station {
  readonly remote: Remote;
  readonly provisioner: Provisioner;
  /** There as soon as its setup began. */
  executor?: Executor;
  /** Waits for its tests; there with the first one. */
  ends?: Ends;
}

/** A system of the run. */
export interface System extends Station {
  readonly supplier: Supplier;
  phase: "set-up" | "idle" | "running" | "released";
  /** What rules are told; there after the setup. */
  info?: SetupInfo;
  /** The test that runs, or ran last. */
  test?: string;
  /** True if what is under way on it was told to end. */
  cancelled: boolean;
  /** Why it vanished. */
  lost?: Error;
}

/** What is asked for cannot be done, and that is known before anything was tried. */
export class RefusedError extends Error {
  readonly kind: OrchestratorErrorKind;

  /** The message is the end of a sentence. */
  constructor(kind: OrchestratorErrorKind, why: string, cause?: unknown) {
    super(why, { cause });
    this.name = "RefusedError";
    this.kind = kind;
  }
}

/** What the decisions of a run depend on. */
export interface State {
  readonly limits: Limits;
  readonly rules: Rules;
  queue: TestQueue;
  readonly demand: Demand;
  readonly settingUp: Set<System>;
  /** Systems that are set up and unused, the oldest first. */
  readonly idle: Set<System>;
  readonly running: Set<System>;
  /** How often tests that run again were run. */
  readonly attempts: Map<string, number>;
  mode: "active" | "draining" | "stopped" | "over" | "done";
  aborted: boolean;
  /** What went wrong first; an abort counts more. */
  end?: Ending;
  failedSetups: number;
  ingesting: number;
  releasing: number;
}

export interface Limits {
  readonly maxSpares: number;
  readonly maxFailedSetups: number;
  readonly maxProvisionFailures: number;
  /** As soon as so many results wait to be stored, no test is started. */
  readonly maxPendingIngests: number;
}

export interface Rules {
  readonly next: readonly NextRule[];
  readonly destructive: DestructiveRule;
  readonly rerun: RerunRule;
}

/** Something that happened. */
export type Happening =
  | { type: "begin" }
  | { type: "journal-failed"; error: Error }
  /** What is asked for cannot be done. */
  | { type: "refused"; error: RefusedError }
  | { type: "ready"; supplier: Supplier; remote: Remote }
  | {
    type: "reservation-failed";
    supplier: Supplier;
    error: Error;
    fatal: boolean;
  }
  /** Asking threw. */
  | { type: "request-failed"; supplier: Supplier; error: Error }
  /** Waiting for the next system was ended. */
  | { type: "left"; supplier: Supplier }
  | { type: "set-up"; system: System }
  /** `ms` is absent if the setup was not begun. */
  | { type: "setup-failed"; system: System; error: Error; ms?: number }
  /** A test could not be started, because there is no place for its artifacts. */
  | { type: "no-artifacts"; system: System; error: Error }
  | {
    type: "test-ended";
    system: System;
    outcome: TestOutcome;
    artifacts: string;
  }
  | { type: "lost"; system: System; error: Error }
  | { type: "ingest-ended" }
  | { type: "release-ended" }
  | { type: "abort"; reason: unknown }
  | { type: "stall"; ms: number };

/** Something to do. */
export type Action =
  | { type: "tell"; event: RunEventBody }
  | { type: "request"; supplier: Supplier; count: number }
  | { type: "clear"; suppliers: readonly Supplier[] }
  /** Wait for the next system. */
  | { type: "take"; supplier: Supplier }
  /** End all waiting for systems. */
  | { type: "leave" }
  | { type: "set-up"; system: System }
  /** End the setup or the test. */
  | { type: "cancel"; system: System; reason: unknown }
  | { type: "run"; system: System; test: string; attempt: number }
  | {
    type: "ingest";
    system: System;
    outcome: TestOutcome;
    artifacts: string;
    /** True if the test runs once more. */
    earlier: boolean;
  }
  /** Remove results that do not count. */
  | { type: "drop"; artifacts: string }
  | {
    type: "release";
    system: System;
    reason: ReleaseReason;
    /** False if its executor may fail to clean it up before. */
    usable: boolean;
  }
  | { type: "finish" };

/** The state before anything happened. */
export function newState(
  tests: readonly string[],
  provisioners: readonly Provisioner[],
  limits: Limits,
  rules: Rules,
): State {
  return {
    limits,
    rules,
    queue: new TestQueue(tests, rules.next),
    demand: new Demand(provisioners, limits.maxProvisionFailures),
    settingUp: new Set(),
    idle: new Set(),
    running: new Set(),
    attempts: new Map(),
    mode: "active",
    aborted: false,
    failedSetups: 0,
    ingesting: 0,
    releasing: 0,
  };
}

/** What earlier processes leave to do, before anything happened in this one. */
export function resumeState(
  state: State,
  { tests, attempts }: {
    /** The tests to run. */
    tests: readonly string[];
    /** How often they were run. */
    attempts: ReadonlyMap<string, number>;
  },
): void {
  state.queue = new TestQueue(tests, state.rules.next);
  for (const [test, count] of attempts) state.attempts.set(test, count);
}
