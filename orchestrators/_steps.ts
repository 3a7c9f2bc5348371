import type { Aggregator, EarlierAttempt } from "../aggregators/aggregator.ts";
import { SetupError } from "../executors/executor.ts";
import type {
  Provisioner,
  ReleaseReason,
  Remote,
} from "../provisioners/provisioner.ts";
import type { ExecutorFactory, TestOutcome } from "./orchestrator.ts";
import type { Artifacts, Environment } from "./_environment.ts";
import { asExitCode, asStored, attributesOf } from "./_given.ts";
import type { Ledger } from "./_ledger.ts";
import { refuseUnknown } from "./_refuse.ts";
import type { OpenRun } from "./_run.ts";
import type { Station } from "./_state.ts";
import { untilEnd, within } from "./_waiting.ts";

/** What the steps of a run stand on. */
export interface StepsOptions {
  readonly run: OpenRun;
  readonly environment: Environment;
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

  constructor(options: StepsOptions) {
    this.#options = options;
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
    await this.#untilEnd(
      remote,
      either,
      () => executor.start({ signal: either }),
    );
    either.throwIfAborted();
    const ms = environment.now() - began;
    run.tell({ type: "setup-finished", remote: remote.id, ms });
  }

  /** Runs a test; whatever comes of it is an outcome. */
  async runTest(
    { remote, executor }: Station,
    test: string,
    { attempt, artifacts, signal }: {
      attempt: number;
      artifacts: string;
      signal: AbortSignal;
    },
  ): Promise<TestOutcome> {
    const { run, environment } = this.#options;
    const startedAt = environment.now();
    run.tell({
      type: "test-started",
      test,
      attempt,
      remote: remote.id,
      artifacts,
    });
    const end = (how: Pick<TestOutcome, "exitCode" | "error">) => ({
      test,
      attempt,
      ...how,
      remote: remote.id,
      startedAt,
      finishedAt: environment.now(),
    });
    try {
      const exitCode = await this.#untilEnd(
        remote,
        signal,
        () => executor!.runTest(test, artifacts, { signal, attempt }),
      );
      return end({ exitCode: asExitCode(exitCode, test) });
    } catch (error) {
      return end({ error: asError(error) });
    }
  }

  /** Stores the artifacts of a test, or notes where they are. */
  async ingest(
    {
      attributes,
      outcome,
      artifacts,
      aggregator,
      earlier,
      history,
      storedBefore,
      journal,
    }: IngestStep,
  ): Promise<void> {
    const { run, environment, ledger, ingestTimeout } = this.#options;
    const { test, attempt, error, exitCode, remote, startedAt, finishedAt } =
      outcome;
    const about = { test, attempt, earlier };
    const began = environment.now();
    run.tell({ type: "ingest-started", ...about });
    try {
      if (error) await this.#options.artifacts.addOwnResult(artifacts, error);
      await journal?.storing(outcome);
      const answer = await within(
        {
          environment,
          ms: ingestTimeout,
          what: `Cannot store the results of "${test}"`,
          insisted: run.insisted,
        },
        Promise.try(() =>
          aggregator.ingest(ledger.platform, test, artifacts, {
            attempt,
            earlier: history ?? [],
            remote,
            attributes,
            startedAt,
            finishedAt,
            ...(exitCode !== undefined && { exitCode }),
            keep: true,
            ...(storedBefore !== undefined && { storedBefore }),
          })
        ),
      );
      const stored = asStored(answer);
      journal?.stored(outcome, true, stored?.output ?? stored?.directory);
      if (!earlier) ledger.stored(outcome);
      run.tell({
        type: "ingest-finished",
        ...about,
        ms: environment.now() - began,
        ...(stored && { stored }),
      });
    } catch (thrown) {
      const error = asError(thrown);
      journal?.stored(outcome, false);
      this.#options.artifacts.keep(artifacts);
      ledger.ingestErrors.push({ test, attempt, error, artifacts });
      run.tell({
        type: "ingest-failed",
        ...about,
        ms: environment.now() - began,
        error,
        artifacts,
      });
      return;
    }
    await this.#options.artifacts.remove(artifacts);
  }

  /**
   * Gives a system back. If it is lent again it is cleaned up before; that this
   * fails is told of if the system is `usable`.
   */
  async release(
    { remote, executor, lost }: Station & { readonly lost?: Error },
    reason: ReleaseReason,
    usable: boolean,
  ): Promise<void> {
    const { run, environment, ledger, cancelGrace, releaseTimeout } =
      this.#options;
    const { id } = remote;
    const began = environment.now();
    run.tell({ type: "release-started", remote: id, reason });
    let [dirty, kept]: (Error | undefined)[] = [];
    if (executor && remote.reusable && !lost) {
      const what = `Cannot clean up ${id}`;
      const { insisted } = run;
      const stop = Promise.try(() => executor.stop());
      await within({ environment, ms: cancelGrace, what, insisted }, stop)
        .catch((error) => {
          if (usable) dirty = asError(error);
        });
    }
    const what = `Cannot give back ${id}`;
    const release = Promise.try(() => remote.release({ reason }));
    await within({ environment, ms: releaseTimeout, what }, release)
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

  /** Waits for an executor; if it does not end after an abort, its connection is cut. */
  #untilEnd<T>(
    remote: Remote,
    signal: AbortSignal,
    work: () => Promise<T>,
  ): Promise<T> {
    return untilEnd(Promise.try(work), {
      environment: this.#options.environment,
      signal,
      grace: this.#options.cancelGrace,
      insisted: this.#options.run.insisted,
      cut: () => void Promise.try(() => remote.disconnect()).catch(() => {}),
    });
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
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
