/**
 * The contract of orchestrators: a {@linkcode Run} of many tests on many
 * systems, what happens in it as {@linkcode RunEvent}s, and what came out of it
 * as {@linkcode RunSummary}.
 *
 * @example What happens in a run, and what came out of it
 * ```ts
 * import { Tally } from "jsr:@atex/atex/aggregators/tally";
 * import { CommandExecutor } from "jsr:@atex/atex/executors/command";
 * import { AdHocOrchestrator } from "jsr:@atex/atex/orchestrators/adhoc";
 * import { OrchestratorError } from "jsr:@atex/atex/orchestrators/orchestrator";
 * import { LocalProvisioner } from "jsr:@atex/atex/provisioners/local";
 *
 * const tests = { "/boots": ["true"], "/disk": ["df", "/"] };
 * await using pool = await new LocalProvisioner().start();
 * await using run = new AdHocOrchestrator({
 *   platform: "here",
 *   tests: Object.keys(tests),
 *   provisioners: [pool],
 *   executor: (remote) => new CommandExecutor(remote, { tests }),
 *   aggregator: await new Tally().start(),
 * }).run();
 * for await (const event of run) {
 *   if (event.type === "test-finished") console.log(event.test, event.exitCode);
 * }
 * try {
 *   const { passed, failed } = await run.finished;
 *   console.log({ passed, failed });
 * } catch (error) {
 *   if (!(error instanceof OrchestratorError)) throw error;
 *   console.error(error.kind, error.summary.notRun); // incomplete, and why
 * }
 * ```
 *
 * @module
 */
import type { SignalOptions } from "../connections/connection.ts";
import type {
  Provisioner,
  ReleaseReason,
  Remote,
} from "../provisioners/provisioner.ts";
import type { Executor } from "../executors/executor.ts";
import type { Stored } from "../aggregators/aggregator.ts";

/** Brings provisioners, executors and aggregators together. */
export interface Orchestrator {
  /**
   * Begins to run everything; to be called once. Nothing happens before the
   * caller's current turn of the event loop is over, so that whoever listens
   * right away misses nothing.
   *
   * @throws {TypeError} if it was called before, or if another run has a provisioner of it and has not ended
   */
  run(options?: SignalOptions): Run;
}

/**
 * A run under way. Iterating gives its events from then on, until the run is
 * over; each iteration is a subscription of its own, and nothing is kept for
 * those who do not listen. Disposing aborts the run and waits for its end.
 */
export interface Run extends AsyncIterable<RunEvent>, AsyncDisposable {
  /**
   * Resolves when every test has run and is stored, all systems are given back
   * and nothing of the run is under way any more.
   *
   * @throws {OrchestratorError} if tests were left out or results could not be stored
   */
  readonly finished: Promise<RunSummary>;
  /** Counts at this moment. */
  readonly status: RunStatus;
}

/** Counts of a run: `queued + running + done` is `tests`. */
export interface RunStatus {
  /** Tests of the run. */
  readonly tests: number;
  /** Tests that wait for a system, reruns included. */
  readonly queued: number;
  /** Tests that run. */
  readonly running: number;
  /** Tests that have their final outcome. */
  readonly done: number;
  /** Those of them that failed: exit code other than 0, or an error. */
  readonly failed: number;
  /** Reruns asked for so far. */
  readonly reruns: number;
  /** Systems asked for and not yet there. */
  readonly requested: number;
  /** Systems being set up. */
  readonly settingUp: number;
  /** Systems that are set up and idle. */
  readonly spares: number;
}

/** How one attempt of a test ended. */
export interface TestOutcome {
  /** Name of the test. */
  readonly test: string;
  /** Which attempt, counted from 1. */
  readonly attempt: number;
  /** Exit code, if the test came to its end. */
  readonly exitCode?: number | undefined;
  /** Why it did not. */
  readonly error?: Error | undefined;
  /** Id of the system. */
  readonly remote: string;
  /** When it was started, in milliseconds since 1970. */
  readonly startedAt: number;
  /** When it ended, in milliseconds since 1970. */
  readonly finishedAt: number;
}

/** Results that could not be stored. */
export interface IngestFailure {
  /** Name of the test. */
  readonly test: string;
  /** Which attempt, counted from 1. */
  readonly attempt: number;
  /** Why. */
  readonly error: Error;
  /** The directory in which the results still are. */
  readonly artifacts: string;
}

/** What came out of a run. */
export interface RunSummary {
  /** Label of what was tested. */
  readonly platform: string;
  /** How many tests the run had. */
  readonly tests: number;
  /** Tests whose last attempt ended with exit code 0. */
  readonly passed: number;
  /** Tests whose last attempt ended with another exit code or an error. */
  readonly failed: number;
  /** Tests that passed after an attempt that did not. */
  readonly flaky: number;
  /** The final outcome of each test that is stored, by name. */
  readonly ingested: ReadonlyMap<string, TestOutcome>;
  /** Attempts that were followed by a rerun, in the order of their ends. */
  readonly earlier: readonly TestOutcome[];
  /** Tests without a final outcome, in the order given. */
  readonly notRun: readonly string[];
  /** Results that could not be stored. */
  readonly ingestErrors: readonly IngestFailure[];
  /** Systems that could not be given back, or not be cleaned up before that, with the reason. */
  readonly releaseErrors: readonly { remote: string; error: Error }[];
  /** Systems that were taken; one that was lent again counts again. */
  readonly handedOut: number;
  /** Different systems that were taken. */
  readonly systems: number;
  /** Systems that were given back without such an error. */
  readonly released: number;
  /** Setups that were begun. */
  readonly setups: number;
  /** Reruns. */
  readonly reruns: number;
  /** When the run began, in milliseconds since 1970. */
  readonly startedAt: number;
  /** When it ended, in milliseconds since 1970. */
  readonly finishedAt: number;
}

/**
 * Why a run is incomplete: too many setups failed, nobody can supply systems,
 * nothing happened for too long, a rule named a test that was not offered or
 * threw, results could not be stored, the journal could not be used, the run was
 * aborted, or (orchestrators that do not go on after it) an executor failed. Before
 * anything is run: results of its tests are stored already, or an executor has no such
 * test.
 */
export type OrchestratorErrorKind =
  | "SetupRetriesExceeded"
  | "NoRemotes"
  | "Stalled"
  | "InvalidNextTest"
  | "PolicyFailed"
  | "IngestFailed"
  | "JournalFailed"
  | "ResultsExist"
  | "UnknownTest"
  | "Aborted"
  | "ExecutorFailed";

/** A run ended without a stored result for every test. */
export class OrchestratorError extends Error {
  /** What went wrong first, but `Aborted` if the run was aborted, even after that. */
  readonly kind: OrchestratorErrorKind;
  /** What was done nevertheless. */
  readonly summary: RunSummary;
  /** What the run was already ending with when it was aborted, if there is such a thing. */
  readonly before?: OrchestratorError;

  /** Creates the error. */
  constructor(
    message: string,
    kind: OrchestratorErrorKind,
    summary: RunSummary,
    options: ErrorOptions & { before?: OrchestratorError | undefined } = {},
  ) {
    const { before, ...others } = options;
    super(message, others);
    this.name = "OrchestratorError";
    this.kind = kind;
    this.summary = summary;
    if (before) this.before = before;
  }
}

/** A system that is set up, as rules see it. */
export interface SetupInfo {
  /** The system. */
  readonly remote: Remote;
  /** Where it came from. */
  readonly provisioner: Provisioner;
  /** What runs tests on it. */
  readonly executor: Executor;
  /** The test that ran on it last, if any. */
  readonly previous?: TestOutcome | undefined;
}

/** A test that ended, as rules see it. */
export interface FinishedInfo extends SetupInfo, Omit<TestOutcome, "remote"> {
  /** Directory of its results and files, not yet stored. */
  readonly artifacts: string;
}

/** What makes the executor for a system. */
export type ExecutorFactory = (
  remote: Remote,
  info: { provisioner: Provisioner },
) => Executor;

/**
 * A scheduling rule: narrows the tests that could run next on a system. The
 * first of what the last rule leaves is run; a rule that leaves nothing is
 * passed over.
 */
export interface NextRule {
  /** Narrows `candidates`, which are in the order of the queue. */
  (candidates: readonly string[], info: SetupInfo): readonly string[];
  /**
   * For rules that depend on nothing but the test: a number that is smaller
   * for tests to run earlier. With it the queue is sorted once instead of searched at
   * every choice.
   */
  rank?(test: string): number;
  /**
   * Whether of the tests with this rank the first one in the order of the queue
   * runs, whatever the rules after this one say.
   *
   * @default never
   */
  decides?(rank: number): boolean;
  /**
   * For rules that narrow to the tests with the same key as the one that ran last on
   * the system, unless that is undefined: the key. With it tests are found instead of
   * searched, if all rules before it have a rank.
   */
  key?(test: string): unknown;
}

/** Decides whether a system is unusable after a test. */
export type DestructiveRule = (info: FinishedInfo) => boolean;

/** Decides whether a failed test is run once more. */
export interface RerunRule {
  (info: FinishedInfo): boolean;
  /**
   * How often it has a test run again at most. With it, results that could not be stored
   * are told before the run.
   *
   * @default unknown
   */
  readonly limit?: number | undefined;
}

/** What all events of runs have. */
export interface RunEventBase {
  /** When it happened, in milliseconds since 1970. */
  readonly time: number;
}

/** What happens in a run, told apart by `type`. */
export type RunEvent =
  | RunStartedEvent
  | RunResumedEvent
  | RequestedEvent
  | DemandCancelledEvent
  | ReservationFailedEvent
  | RemoteReadyEvent
  | RemoteSurplusEvent
  | SetupStartedEvent
  | SetupFinishedEvent
  | SetupFailedEvent
  | RemoteIdleEvent
  | RemoteLostEvent
  | TestStartedEvent
  | TestFinishedEvent
  | IngestStartedEvent
  | IngestFinishedEvent
  | IngestFailedEvent
  | ReleaseStartedEvent
  | ReleaseFinishedEvent
  | ReleaseFailedEvent
  | DrainingEvent
  | AbortingEvent
  | StalledEvent
  | RunFinishedEvent;

/** The run begins: the first event. */
export interface RunStartedEvent extends RunEventBase {
  /** Tells this event from others. */
  readonly type: "run-started";
  /** Label of what is tested. */
  readonly platform: string;
  /** Names of its tests, in the order given. */
  readonly tests: readonly string[];
  /** The journal with which the run can go on, if it has one. */
  readonly journal?: string | undefined;
}

/** The run goes on with what earlier processes did. */
export interface RunResumedEvent extends RunEventBase {
  /** Tells this event from others. */
  readonly type: "run-resumed";
  /** Tests that have their final outcome already. */
  readonly done: readonly string[];
  /** Those of them that failed. */
  readonly failed: readonly string[];
  /** Where the output of those is, by name of the test, as far as it is known. */
  readonly outputs?: Readonly<Record<string, string>> | undefined;
  /** Tests whose last attempt was interrupted. */
  readonly interrupted: readonly string[];
  /** Reruns so far. */
  readonly reruns: number;
}

/** Systems are asked of a provisioner. */
export interface RequestedEvent extends RunEventBase {
  /** Tells this event from others. */
  readonly type: "requested";
  /** Name of the provisioner. */
  readonly provisioner: string;
  /** How many more. */
  readonly count: number;
}

/** What was asked for and has not begun is dropped. */
export interface DemandCancelledEvent extends RunEventBase {
  /** Tells this event from others. */
  readonly type: "demand-cancelled";
  /** Names of the provisioners. */
  readonly provisioners: readonly string[];
}

/** A provisioner could not deliver a system. */
export interface ReservationFailedEvent extends RunEventBase {
  /** Tells this event from others. */
  readonly type: "reservation-failed";
  /** Name of the provisioner. */
  readonly provisioner: string;
  /** Why. */
  readonly error: Error;
  /** Failures of this provisioner so far. */
  readonly failures: number;
  /** True if nothing more is asked of it. */
  readonly dead: boolean;
}

/** A system was delivered. */
export interface RemoteReadyEvent extends RunEventBase {
  /** Tells this event from others. */
  readonly type: "remote-ready";
  /** Id of the system. */
  readonly remote: string;
  /** Name of the provisioner. */
  readonly provisioner: string;
  /** What the system is: image, host, domain … by name. */
  readonly attributes: Readonly<Record<string, string>>;
}

/** There is no use for a system any more. */
export interface RemoteSurplusEvent extends RunEventBase {
  /** Tells this event from others. */
  readonly type: "remote-surplus";
  /** Id of the system. */
  readonly remote: string;
}

/** The executor of a system starts. */
export interface SetupStartedEvent extends RunEventBase {
  /** Tells this event from others. */
  readonly type: "setup-started";
  /** Id of the system. */
  readonly remote: string;
}

/** A system can run tests. */
export interface SetupFinishedEvent extends RunEventBase {
  /** Tells this event from others. */
  readonly type: "setup-finished";
  /** Id of the system. */
  readonly remote: string;
  /** How long it took, in milliseconds. */
  readonly ms: number;
}

/** A system cannot run tests. */
export interface SetupFailedEvent extends RunEventBase {
  /** Tells this event from others. */
  readonly type: "setup-failed";
  /** Id of the system. */
  readonly remote: string;
  /** How long it took, in milliseconds. */
  readonly ms: number;
  /** Why. */
  readonly error: Error;
  /** Further failures that are tolerated. */
  readonly left: number;
  /** True if it was ended because the run had no use for it any more: nothing is wrong with the system. */
  readonly cancelled?: boolean | undefined;
}

/** A system is held as a spare. */
export interface RemoteIdleEvent extends RunEventBase {
  /** Tells this event from others. */
  readonly type: "remote-idle";
  /** Id of the system. */
  readonly remote: string;
}

/** A system vanished by itself. */
export interface RemoteLostEvent extends RunEventBase {
  /** Tells this event from others. */
  readonly type: "remote-lost";
  /** Id of the system. */
  readonly remote: string;
  /** Why, as far as it is known. */
  readonly error: Error;
}

/** An attempt of a test begins. */
export interface TestStartedEvent extends RunEventBase {
  /** Tells this event from others. */
  readonly type: "test-started";
  /** Name of the test. */
  readonly test: string;
  /** Which attempt, counted from 1. */
  readonly attempt: number;
  /** Id of the system. */
  readonly remote: string;
  /** Directory for its results and files, until they are stored. */
  readonly artifacts: string;
}

/** An attempt of a test ended: with an exit code, or an error. */
export interface TestFinishedEvent extends RunEventBase {
  /** Tells this event from others. */
  readonly type: "test-finished";
  /** Name of the test. */
  readonly test: string;
  /** Which attempt, counted from 1. */
  readonly attempt: number;
  /** Id of the system. */
  readonly remote: string;
  /** Exit code, if the test came to its end. */
  readonly exitCode?: number | undefined;
  /** Why it did not. */
  readonly error?: Error | undefined;
  /** How long it took, in milliseconds. */
  readonly ms: number;
  /** True if the system is unusable now. */
  readonly destroyed: boolean;
  /** True if the test runs once more. */
  readonly rerun: boolean;
}

/** Results of an attempt are being stored. */
export interface IngestStartedEvent extends RunEventBase {
  /** Tells this event from others. */
  readonly type: "ingest-started";
  /** Name of the test. */
  readonly test: string;
  /** Which attempt, counted from 1. */
  readonly attempt: number;
  /** True if the results go to the aggregator of earlier attempts. */
  readonly earlier: boolean;
}

/** Results of an attempt are stored. */
export interface IngestFinishedEvent extends RunEventBase {
  /** Tells this event from others. */
  readonly type: "ingest-finished";
  /** Name of the test. */
  readonly test: string;
  /** Which attempt, counted from 1. */
  readonly attempt: number;
  /** True if the results go to the aggregator of earlier attempts. */
  readonly earlier: boolean;
  /** How long it took, in milliseconds. */
  readonly ms: number;
  /** Where they are, if the aggregator tells. */
  readonly stored?: Stored | undefined;
}

/** Results of an attempt could not be stored. */
export interface IngestFailedEvent extends RunEventBase {
  /** Tells this event from others. */
  readonly type: "ingest-failed";
  /** Name of the test. */
  readonly test: string;
  /** Which attempt, counted from 1. */
  readonly attempt: number;
  /** True if the results go to the aggregator of earlier attempts. */
  readonly earlier: boolean;
  /** How long it took, in milliseconds. */
  readonly ms: number;
  /** Why. */
  readonly error: Error;
  /** The directory in which the results still are. */
  readonly artifacts: string;
}

/** A system is being given back. */
export interface ReleaseStartedEvent extends RunEventBase {
  /** Tells this event from others. */
  readonly type: "release-started";
  /** Id of the system. */
  readonly remote: string;
  /** Why it is given back. */
  readonly reason: ReleaseReason;
}

/** A system was given back. */
export interface ReleaseFinishedEvent extends RunEventBase {
  /** Tells this event from others. */
  readonly type: "release-finished";
  /** Id of the system. */
  readonly remote: string;
  /** Why it is given back. */
  readonly reason: ReleaseReason;
  /** How long it took, in milliseconds. */
  readonly ms: number;
}

/** A system could not be given back, or not be cleaned up before that. */
export interface ReleaseFailedEvent extends RunEventBase {
  /** Tells this event from others. */
  readonly type: "release-failed";
  /** Id of the system. */
  readonly remote: string;
  /** Why it is given back. */
  readonly reason: ReleaseReason;
  /** How long it took, in milliseconds. */
  readonly ms: number;
  /** What failed. */
  readonly error: Error;
  /** True if it was given back nevertheless: only the clean-up before that failed. */
  readonly givenBack?: boolean | undefined;
}

/** From now on, only what runs is brought to its end. */
export interface DrainingEvent extends RunEventBase {
  /** Tells this event from others. */
  readonly type: "draining";
  /** What the run will end with. */
  readonly kind: OrchestratorErrorKind;
  /** What is so, for people. */
  readonly why: string;
  /** What it came of. */
  readonly error?: Error | undefined;
}

/** The run was aborted. */
export interface AbortingEvent extends RunEventBase {
  /** Tells this event from others. */
  readonly type: "aborting";
  /** The reason of the signal. */
  readonly reason: unknown;
}

/** Nothing runs, and no system came; told every 10 minutes. */
export interface StalledEvent extends RunEventBase {
  /** Tells this event from others. */
  readonly type: "stalled";
  /** Provisioners that are waited for. */
  readonly waitingFor: readonly string[];
  /** For how long, in milliseconds. */
  readonly ms: number;
}

/** The run is over: the last event. */
export interface RunFinishedEvent extends RunEventBase {
  /** Tells this event from others. */
  readonly type: "run-finished";
  /** Why the run is incomplete; null if it is complete. */
  readonly kind: OrchestratorErrorKind | null;
  /** What came out of it. */
  readonly summary: RunSummary;
}
