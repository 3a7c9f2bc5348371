import type {
  IngestFailure,
  RunStatus,
  RunSummary,
  TestOutcome,
} from "./orchestrator.ts";
import { Outcomes } from "./_outcomes.ts";

/** What came of the tests and systems of a run so far. */
export class Ledger {
  readonly platform: string;
  readonly tests: readonly string[];
  released = 0;
  setups = 0;
  startedAt = 0;
  readonly ingestErrors: IngestFailure[] = [];
  readonly releaseErrors: { remote: string; error: Error }[] = [];
  /** Final outcomes that are stored. */
  readonly #stored: Outcomes;
  /** Tests whose final outcome is not, or not yet. */
  readonly #unstored = new Set<string>();
  readonly #earlier: TestOutcome[] = [];
  readonly #again = new Set<string>();
  readonly #systems = new Set<string>();
  #handedOut = 0;
  #done = 0;
  #passed = 0;
  #flaky = 0;

  constructor(platform: string, tests: readonly string[]) {
    this.platform = platform;
    this.tests = tests;
    this.#stored = new Outcomes(tests.length);
  }

  /** Notes that a system was handed out; a host may be lent again. */
  arrived(remote: string): void {
    this.#handedOut++;
    this.#systems.add(remote);
  }

  /** Notes the final outcome of a test. */
  ended({ test, exitCode }: TestOutcome): void {
    this.#done++;
    this.#unstored.add(test);
    if (exitCode !== 0) return;
    this.#passed++;
    if (this.#again.has(test)) this.#flaky++;
  }

  /** Notes an outcome that is followed by a rerun. */
  again(outcome: TestOutcome): void {
    this.#earlier.push(outcome);
    this.#again.add(outcome.test);
  }

  /** Notes that the final outcome of a test is stored. */
  stored(outcome: TestOutcome): void {
    this.#unstored.delete(outcome.test);
    this.#stored.add(outcome);
  }

  /** Counts of tests, when this many of them run. */
  counts(running: number): Omit<
    RunStatus,
    "requested" | "settingUp" | "spares"
  > {
    const tests = this.tests.length;
    const done = this.#done;
    return {
      tests,
      queued: tests - running - done,
      running,
      done,
      failed: done - this.#passed,
      reruns: this.#earlier.length,
    };
  }

  summary(finishedAt: number): RunSummary {
    return {
      platform: this.platform,
      tests: this.tests.length,
      passed: this.#passed,
      failed: this.#done - this.#passed,
      flaky: this.#flaky,
      ingested: this.#stored.toMap(),
      earlier: this.#earlier,
      notRun: this.tests.filter((test) =>
        !this.#unstored.has(test) && !this.#stored.has(test)
      ),
      ingestErrors: this.ingestErrors,
      releaseErrors: this.releaseErrors,
      handedOut: this.#handedOut,
      systems: this.#systems.size,
      released: this.released,
      setups: this.setups,
      reruns: this.#earlier.length,
      startedAt: this.startedAt,
      finishedAt,
    };
  }
}
