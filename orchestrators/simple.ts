/**
 * One system, one test after the other.
 *
 * @example
 * ```ts
 * import { JsonLinesAggregator } from "jsr:@atex/atex/aggregators/jsonl";
 * import { discover, FmfExecutor } from "jsr:@atex/atex/executors/fmf";
 * import { SimpleOrchestrator } from "jsr:@atex/atex/orchestrators/simple";
 * import { LocalProvisioner } from "jsr:@atex/atex/provisioners/local";
 *
 * await using tests = await discover("./suite");
 * await using results = await new JsonLinesAggregator({
 *   results: "out/results.jsonl",
 *   files: "out/files",
 * }).start();
 * await using local = await new LocalProvisioner().start();
 * await using run = new SimpleOrchestrator({
 *   platform: "here",
 *   tests: tests.data.keys(),
 *   provisioner: local,
 *   executor: (remote) => new FmfExecutor(remote, { tests }),
 *   aggregator: results,
 * }).run();
 * const { passed, failed } = await run.finished;
 * console.log({ passed, failed });
 * ```
 *
 * @module
 */
import type { Aggregator } from "../aggregators/aggregator.ts";
import type { SignalOptions } from "../connections/connection.ts";
import { checkOptions, type Known } from "../options.ts";
import type { Provisioner, Remote } from "../provisioners/provisioner.ts";
import type {
  ExecutorFactory,
  Orchestrator,
  OrchestratorErrorKind,
  Run,
} from "./orchestrator.ts";
import { type Artifacts, environment } from "./_environment.ts";
import { attributesOf } from "./_given.ts";
import { Ledger } from "./_ledger.ts";
import { type Activity, OpenRun } from "./_run.ts";
import { platformName, testNames } from "./_settings.ts";
import { openPlace, refuseNotStarted, refuseStored } from "./_refuse.ts";
import { type Ending, RefusedError, type Station } from "./_state.ts";
import { asError, Steps } from "./_steps.ts";
import { testFinished } from "./_outcome.ts";
import {
  TIME_LIMIT_OPTIONS,
  type TimeLimits,
  timeLimits,
} from "./_time_limits.ts";
import { untilEnd } from "./_waiting.ts";

export type { TimeLimits } from "./_time_limits.ts";

type Fault = "setup-failed" | "destroyed";

/** A system, and what ends what is done on it. */
interface Place extends Station {
  readonly signal: AbortSignal;
  lost?: Error;
}

/** Options of {@linkcode SimpleOrchestrator}. All times are in milliseconds. */
export interface SimpleOptions extends TimeLimits {
  /** Label of what is tested, for the results: `fedora-42@x86_64`. */
  platform: string;
  /** Names of the tests, in the order in which they run. */
  tests: Iterable<string>;
  /** A started source of systems. Whoever started it stops it. */
  provisioner: Provisioner;
  /** Makes what runs tests on a system. */
  executor: ExecutorFactory;
  /** A started collector of results. Whoever started it stops it. */
  aggregator: Aggregator;
  /**
   * Take a new system for every test.
   *
   * @default {false}
   */
  destructive?: boolean;
  /**
   * What to do when a test could not be carried out: end the run, or store that,
   * replace the system and go on.
   *
   * @default {"stop"}
   */
  onError?: "stop" | "continue";
  /**
   * Existing or new directory below which each run makes a directory of its own
   * for artifacts that are not stored yet.
   *
   * @default the directory for temporary files
   */
  artifacts?: string | URL;
}

const OPTIONS: Known<SimpleOptions> = {
  ...TIME_LIMIT_OPTIONS,
  platform: "a text",
  tests: "a list",
  provisioner: "a provisioner",
  executor: "a function",
  aggregator: "an aggregator",
  destructive: "optional",
  onError: "optional",
  artifacts: "optional",
};

/**
 * Runs tests one after the other on one system. Exit codes do not matter to the
 * order of things, nothing is run again, and the results of a test are stored
 * before the next one begins.
 *
 * Needs `--allow-write` and `--allow-read` for the directory of artifacts.
 */
export class SimpleOrchestrator implements Orchestrator {
  readonly #options: Readonly<SimpleOptions>;
  readonly #tests: readonly string[];
  readonly #limits: Required<TimeLimits>;
  #ran = false;

  /**
   * Stores the options.
   *
   * @throws {RangeError} if `platform` or `tests` is empty, a test is there twice, or a time makes no sense
   * @throws {TypeError} if something is missing, misspelt or of the wrong kind
   */
  constructor(options: SimpleOptions) {
    checkOptions("SimpleOrchestrator", options, OPTIONS);
    platformName(options.platform);
    this.#tests = testNames("SimpleOrchestrator", options.tests);
    this.#options = { ...options };
    this.#limits = timeLimits(options);
  }

  /**
   * Begins to run everything; to be called once.
   *
   * @throws {TypeError} if it was called before
   */
  run({ signal }: SignalOptions = {}): Run {
    if (this.#ran) {
      throw new TypeError("Cannot run tests: run() was called before");
    }
    this.#ran = true;
    const ledger = new Ledger(this.#options.platform, this.#tests);
    const activity = { running: 0, requested: 0, settingUp: 0, spares: 0 };
    return new OpenRun({
      environment,
      ledger,
      activity: () => activity,
      signal,
      main: (run) =>
        new SimpleRun(
          { ...this.#options, ...this.#limits },
          ledger,
          activity,
          run,
        ).toEnd(),
    });
  }
}

type SimpleSettings = Readonly<SimpleOptions & Required<TimeLimits>>;

class SimpleRun {
  readonly #options: SimpleSettings;
  readonly #ledger: Ledger;
  readonly #activity: Activity;
  readonly #run: OpenRun;
  readonly #artifacts: Artifacts;
  readonly #steps: Steps;
  readonly #waiting: string[];
  #ending?: Ending;

  constructor(
    options: SimpleSettings,
    ledger: Ledger,
    activity: Activity,
    run: OpenRun,
  ) {
    this.#options = options;
    this.#ledger = ledger;
    this.#activity = activity;
    this.#run = run;
    this.#artifacts = environment.openArtifacts(options.artifacts);
    this.#steps = new Steps({
      ...options,
      run,
      environment,
      ledger,
      artifacts: this.#artifacts,
    });
    this.#waiting = [...ledger.tests];
  }

  async toEnd(): Promise<Ending | undefined> {
    const { signal } = this.#run;
    const aborted = () => {
      const { reason: cause } = signal;
      this.#run.tell({ type: "aborting", reason: cause });
      this.#ending ??= { kind: "Aborted", why: "the run was aborted", cause };
    };
    if (signal.aborted) aborted();
    else signal.addEventListener("abort", aborted, { once: true });
    try {
      this.#check();
      while (this.#goesOn) await this.#useSystem();
    } finally {
      await this.#artifacts.close();
      signal.removeEventListener("abort", aborted);
    }
    return this.#ending;
  }

  /** Looks whether it would be in vain. */
  #check(): void {
    const { aggregator, platform } = this.#options;
    try {
      refuseNotStarted({ aggregator });
      refuseStored(aggregator, platform, this.#waiting);
      openPlace(this.#artifacts);
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
      this.#fail(error.kind, error.message, error.cause ?? error);
    }
  }

  get #goesOn(): boolean {
    return this.#waiting.length > 0 && !this.#ending;
  }

  /** Takes a system, runs tests on it, gives it back. */
  async #useSystem(): Promise<void> {
    const remote = await this.#take();
    if (!remote) return;
    const loss = new AbortController();
    const place: Place = {
      remote,
      provisioner: this.#options.provisioner,
      signal: AbortSignal.any([this.#run.signal, loss.signal]),
    };
    let used = true;
    const lost = (thrown: unknown) => {
      if (!used) return;
      const error = place.lost = asError(thrown);
      this.#run.tell({ type: "remote-lost", remote: remote.id, error });
      loss.abort(error);
    };
    remote.lost.then(lost, lost);
    let fault: Fault | undefined = "destroyed";
    try {
      fault = await this.#setUp(place);
      while (!fault && this.#goesOn) {
        fault = place.lost ? "destroyed" : await this.#runNext(place);
      }
    } finally {
      used = false;
      const reason = this.#run.signal.aborted ? "abort" : fault ?? "done";
      await this.#steps.release(place, reason, fault !== "destroyed");
    }
  }

  async #take(): Promise<Remote | undefined> {
    const { provisioner } = this.#options;
    const { name } = provisioner;
    const { signal } = this.#run;
    this.#activity.requested = 1;
    this.#run.tell({ type: "requested", provisioner: name, count: 1 });
    try {
      provisioner.provision(1);
      const call = async () => await provisioner.getRemote({ signal });
      const remote = await untilEnd(call(), {
        environment,
        signal,
        grace: this.#options.cancelGrace,
        insisted: this.#run.insisted,
        late: (remote) => remote.release({ reason: "abort" }).catch(() => {}),
      });
      this.#steps.arrived(remote, provisioner);
      return remote;
    } catch (thrown) {
      provisioner.clear();
      if (signal.aborted) return undefined;
      const error = asError(thrown);
      this.#run.tell({
        type: "reservation-failed",
        provisioner: name,
        error,
        failures: 1,
        dead: true,
      });
      this.#fail("NoRemotes", `${name} supplied no system`, error);
    } finally {
      this.#activity.requested = 0;
    }
  }

  async #setUp(place: Place): Promise<Fault | undefined> {
    const began = environment.now();
    this.#activity.settingUp = 1;
    try {
      await this.#steps.setUp(place, place.signal);
    } catch (thrown) {
      const error = asError(thrown);
      if (error instanceof RefusedError) {
        this.#fail(error.kind, error.message, error);
      }
      const remote = place.remote.id;
      const ms = environment.now() - began;
      this.#run.tell({ type: "setup-failed", remote, ms, error, left: 0 });
      const why = `the setup of ${remote} failed`;
      this.#fail("SetupRetriesExceeded", why, error);
      return "setup-failed";
    } finally {
      this.#activity.settingUp = 0;
    }
  }

  /** Runs the next test and stores its results; tells if the system cannot be used after it. */
  async #runNext(place: Place): Promise<Fault | undefined> {
    const { aggregator, destructive = false, onError = "stop" } = this.#options;
    const { signal, remote } = place;
    const [test] = this.#waiting;
    let artifacts: string;
    try {
      artifacts = this.#artifacts.make();
    } catch (cause) {
      this.#fail("IngestFailed", "there is no place for artifacts", cause);
      return;
    }
    this.#activity.running = 1;
    const work = { attempt: 1, artifacts, signal };
    const outcome = await this.#steps.runTest(place, test, work);
    this.#activity.running = 0;
    const { error } = outcome;
    const destroyed = destructive || error !== undefined ||
      place.lost !== undefined;
    this.#run.tell(testFinished(outcome, { destroyed, rerun: false }));
    if (error && (this.#run.signal.aborted || onError === "stop")) {
      this.#fail("ExecutorFailed", `"${test}" could not be carried out`, error);
      await this.#artifacts.remove(artifacts);
    } else {
      this.#waiting.shift();
      this.#ledger.ended(outcome);
      await this.#steps.ingest({
        attributes: attributesOf(remote),
        outcome,
        artifacts,
        aggregator,
        earlier: false,
      });
    }
    if (destroyed) return "destroyed";
  }

  /** Ends the run; the first reason counts. */
  #fail(kind: OrchestratorErrorKind, why: string, cause: unknown): void {
    if (this.#ending) return;
    this.#ending = { kind, why, cause };
    this.#run.tell({ type: "draining", kind, why, error: asError(cause) });
  }
}
