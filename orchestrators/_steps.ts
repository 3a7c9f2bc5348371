import type {
  Aggregator,
  EarlierAttempt,
  IngestInfo,
  Stored,
} from "../aggregators/aggregator.ts";
import { SetupError } from "../executors/executor.ts";
import type {
  Provisioner,
  ReleaseReason,
  Remote,
} from "../provisioners/provisioner.ts";
import type { ExecutorFactory, TestOutcome } from "./orchestrator.ts";
import type { Artifacts, Environment } from "./_environment.ts";
import {
  asStored,
  attributesOf,
  isExitCode,
  noExitCode,
  shown,
} from "./_given.ts";
import type { Ledger } from "./_ledger.ts";
import { refuseUnknown } from "./_refuse.ts";
import type { OpenRun } from "./_run.ts";
import type { Station } from "./_state.ts";
import type { Turns } from "./_turns.ts";
import { type EndOptions, Ends, TimeLimit, untilEnd } from "./_waiting.ts";

/** What the steps of a run stand on. */
export interface StepsOptions {
  readonly run: OpenRun;
  readonly environment: Environment;
  readonly turns: Turns;
  readonly ledger: Ledger;
  readonly artifacts: Artifacts;
  readonly executor: ExecutorFactory;
  readonly setupTimeout: number;
  readonly ingestTimeout: number;
  readonly releaseTimeout: number;
  readonly cancelGrace: number;
}

/** What is stored of an attempt, and where. */
export interface IngestStep {
  /** Attributes of the system that it ran on. */
  readonly attributes: Readonly<Record<string, string>>;
  readonly outcome: TestOutcome;
  readonly artifacts: string;
  readonly aggregator: Aggregator;
  /** True if the test runs once more. */
  readonly earlier: boolean;
  /** The attempts before. */
  readonly history?: readonly EarlierAttempt[];
  /** How often the test was stored before, if an earlier process may have stored this. */
  readonly storedBefore?: number | undefined;
  /** Where that is noted, if it is. */
  readonly journal?: {
    storing(outcome: TestOutcome): Promise<void>;
    stored(outcome: TestOutcome, taken: boolean, output?: string): void;
  };
}

/** What is done with systems and tests, whoever decides on the order: each step tells its events. */
export class Steps {
  readonly #options: StepsOptions;
  readonly #storing: TimeLimit;
  readonly #cleaning: TimeLimit;
  readonly #releasing: TimeLimit;

  constructor(options: StepsOptions) {
    this.#options = options;
    const { environment, turns, run: { insisted } } = options;
    const { ingestTimeout, cancelGrace, releaseTimeout } = options;
    const common = { environment, turns, insisted };
    this.#storing = new TimeLimit({ ...common, ms: ingestTimeout });
    this.#cleaning = new TimeLimit({ ...common, ms: cancelGrace });
    this.#releasing = new TimeLimit({ environment, turns, ms: releaseTimeout });
  }

  /** Takes note of a system that was handed out. */
  arrived(remote: Remote, { name }: Provisioner): void {
    const { run, ledger } = this.#options;
    ledger.arrived(remote.id);
    ignoreLoss(remote); // one that is given back at once is not watched
    run.tell({
      type: "remote-ready",
      remote: remote.id,
      provisioner: name,
      attributes: attributesOf(remote),
    });
  }

  /** Sets up a system, within the time limit of setups. */
  async setUp(station: Station, signal: AbortSignal): Promise<void> {
    const { run, environment, ledger, setupTimeout } = this.#options;
    const { remote, provisioner } = station;
    const began = environment.now();
    ledger.setups++;
    run.tell({ type: "setup-started", remote: remote.id });
    const executor = this.#options.executor(remote, { provisioner });
    refuseUnknown(executor, ledger.tests);
    station.executor = executor;
    const overdue = new AbortController();
    using _timer = environment.after(setupTimeout, () => {
      const why = `it takes longer than ${setupTimeout} ms`;
      overdue.abort(new SetupError(`Cannot set up ${remote.id}: ${why}`));
    });
    const either = AbortSignal.any([signal, overdue.signal]);
    await untilEnd(
      Promise.try(() => executor.start({ signal: either })),
      this.#endOptions(remote, either),
    );
    either.throwIfAborted();
    const ms = environment.now() - began;
    run.tell({ type: "setup-finished", remote: remote.id, ms });
  }

  /** Runs a test, and tells the outcome, which is whatever comes of it. */
  runTest(
    station: Station,
    test: string,
    { attempt, artifacts, signal }: {
      attempt: number;
      artifacts: string;
      signal: AbortSignal;
    },
    ended: (outcome: TestOutcome) => void,
  ): void {
    const { run, environment } = this.#options;
    const { remote, executor } = station;
    const { id } = remote;
    const startedAt = environment.now();
    if (run.heard) {
      const type = "test-started";
      run.tell({ type, test, attempt, remote: id, artifacts });
    }
    const failed = (thrown: unknown) => {
      const error = asError(thrown);
      const finishedAt = environment.now();
      ended({ test, attempt, error, remote: id, startedAt, finishedAt });
    };
    const done = (exitCode: number) => {
      if (!isExitCode(exitCode)) return failed(noExitCode(exitCode, test));
      const finishedAt = environment.now();
      ended({ test, attempt, exitCode, remote: id, startedAt, finishedAt });
    };
    station.ends ??= new Ends(this.#endOptions(remote, signal));
    let work: number | PromiseLike<number>;
    try {
      work = executor!.runTest(test, artifacts, { signal, attempt });
    } catch (thrown) {
      work = Promise.reject(thrown);
    }
    station.ends.wait(work, done, failed);
  }

  /** Stores the artifacts of a test, or notes where they are. */
  async ingest(step: IngestStep): Promise<void> {
    const { environment, artifacts } = this.#options;
    const began = environment.now();
    this.#tellIngest(step);
    try {
      const { error } = step.outcome;
      if (error) await artifacts.addOwnResult(step.artifacts, error);
      if (step.journal) await step.journal.storing(step.outcome);
      this.#stored(step, began, await this.#handOver(step));
    } catch (thrown) {
      return this.#notStored(step, began, asError(thrown));
    }
    const removal = artifacts.remove(step.artifacts);
    if (removal) await removal;
  }

  #tellIngest({ outcome: { test, attempt }, earlier }: IngestStep): void {
    const { run } = this.#options;
    if (run.heard) run.tell({ type: "ingest-started", test, attempt, earlier });
  }

  #handOver(
    { aggregator, outcome, artifacts, attributes, history, storedBefore }:
      IngestStep,
  ): Promise<Stored | void> {
    const { test, attempt, remote, startedAt, finishedAt, exitCode } = outcome;
    const info: IngestInfo = {
      attempt,
      earlier: history ?? [],
      remote,
      attributes,
      startedAt,
      finishedAt,
      keep: true,
    };
    if (exitCode !== undefined) info.exitCode = exitCode;
    if (storedBefore !== undefined) info.storedBefore = storedBefore;
    return this.#storing.wait(
      `Cannot store the results of "${test}"`,
      aggregator.ingest(this.#options.ledger.platform, test, artifacts, info),
    );
  }

  #stored(step: IngestStep, began: number, answer: Stored | void): void {
    const { run, environment, ledger } = this.#options;
    const { outcome, earlier } = step;
    const stored = asStored(answer);
    step.journal?.stored(outcome, true, stored?.output ?? stored?.directory);
    if (!earlier) ledger.stored(outcome);
    if (!run.heard) return;
    const { test, attempt } = outcome;
    const ms = environment.now() - began;
    run.tell({
      type: "ingest-finished",
      test,
      attempt,
      earlier,
      ms,
      ...(stored && { stored }),
    });
  }

  #notStored(step: IngestStep, began: number, error: Error): void {
    const { run, environment, ledger } = this.#options;
    const { artifacts, earlier, outcome } = step;
    const { test, attempt } = outcome;
    step.journal?.stored(outcome, false);
    this.#options.artifacts.keep(artifacts);
    ledger.ingestErrors.push({ test, attempt, error, artifacts });
    const ms = environment.now() - began;
    const type = "ingest-failed";
    run.tell({ type, test, attempt, earlier, ms, error, artifacts });
  }

  /**
   * Gives a system back. If it is lent again it is cleaned up before; that this
   * fails is told of if the system is `usable`.
   */
  async release(
    { remote, executor, lost, ends }: Station & { readonly lost?: Error },
    reason: ReleaseReason,
    usable: boolean,
  ): Promise<void> {
    const { run, environment, ledger } = this.#options;
    const { id } = remote;
    ends?.[Symbol.dispose]();
    const began = environment.now();
    run.tell({ type: "release-started", remote: id, reason });
    let [dirty, kept]: (Error | undefined)[] = [];
    if (executor && remote.reusable && !lost) {
      const stop = Promise.try(() => executor.stop());
      await this.#cleaning.wait(`Cannot clean up ${id}`, stop)
        .catch((error) => {
          if (usable) dirty = asError(error);
        });
    }
    const release = Promise.try(() => remote.release({ reason }));
    await this.#releasing.wait(`Cannot give back ${id}`, release)
      .catch((error) => kept = asError(error));
    const ms = environment.now() - began;
    const error = kept ?? dirty;
    const about = { remote: id, reason, ms };
    if (error) {
      const givenBack = kept ? {} : { givenBack: true };
      ledger.releaseErrors.push({ remote: id, error });
      run.tell({ type: "release-failed", ...about, error, ...givenBack });
    } else {
      ledger.released++;
      run.tell({ type: "release-finished", ...about });
    }
  }

  /** How an executor ends: if it does not after an abort, its connection is cut. */
  #endOptions(remote: Remote, signal: AbortSignal): EndOptions {
    return {
      environment: this.#options.environment,
      signal,
      grace: this.#options.cancelGrace,
      insisted: this.#options.run.insisted,
      cut: () => void Promise.try(() => remote.disconnect()).catch(() => {}),
    };
  }
}

/** Gives back a system that came when nobody waited for it any more. */
export async function giveBackLate(
  remote: Remote,
  reason: ReleaseReason,
): Promise<void> {
  try {
    ignoreLoss(remote);
    await remote.release({ reason });
  } catch {
    // it may be of no use at all, and the run is over
  }
}

/** A system may vanish unnoticed: nothing runs on it, or it is watched elsewhere. */
function ignoreLoss({ lost }: Remote): void {
  Promise.resolve(lost).catch(() => {});
}

/** What was thrown, as an error. */
export function asError(thrown: unknown): Error {
  if (thrown instanceof Error) return thrown;
  try {
    return new Error(String(thrown));
  } catch {
    return new Error(shown(thrown)); // not everything can be made a text
  }
}
