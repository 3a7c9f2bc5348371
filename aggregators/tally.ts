/**
 * Counting how tests ended, for the exit code or the last line of a script.
 *
 * @example
 * ```ts
 * import { JsonLinesAggregator } from "jsr:@atex/atex/aggregators/jsonl";
 * import { MultiAggregator } from "jsr:@atex/atex/aggregators/multi";
 * import { Tally } from "jsr:@atex/atex/aggregators/tally";
 *
 * const results = new JsonLinesAggregator({ results: "out/results.jsonl", files: "out/files" });
 * const tally = new Tally();
 * {
 *   await using aggregator = await new MultiAggregator([results, tally]).start();
 *   await aggregator.ingest("fedora-42@x86_64", "/smoke", "artifacts/smoke");
 * }
 * console.log(`${tally.failed} of ${tally.total} tests failed`);
 * Deno.exitCode = tally.failed > 0 ? 1 : 0;
 * ```
 *
 * @example With a `journal`, it has to know what earlier processes of the run stored
 * ```ts
 * import { readResults } from "jsr:@atex/atex/aggregators/reader";
 * import { Tally } from "jsr:@atex/atex/aggregators/tally";
 *
 * const tally = new Tally({ stored: readResults("out/results.jsonl") });
 * ```
 *
 * @module
 */
import { readResultBatches } from "../executors/results.ts";
import { checkOptions, type Known } from "../options.ts";
import type { Aggregator, IngestInfo } from "./aggregator.ts";
import { OwnResult } from "./_own_result.ts";
import { isFailing, NO_RESULT, PASSED } from "./_statuses.ts";
import type { StoredResult } from "./_stored_result.ts";
import { readStoredBefore, type StoredTest } from "./_stored_tests.ts";
import { notStarted, UnderWay } from "./_under_way.ts";

/** A test that a tally names. */
export interface TalliedTest {
  /** The platform. */
  platform: string;
  /** The test. */
  test: string;
  /** How it ended; absent if it did not say. */
  status?: string | undefined;
  /** A short text for people. */
  note?: string | undefined;
  /** Which attempt it was, counted from 1. */
  attempt?: number | undefined;
}

/** Options of {@linkcode Tally}. */
export interface TallyOptions {
  /**
   * Results that are stored already, as `readResults()` gives them: for a run that
   * goes on after it was killed. They are counted, too, those that are ingested again
   * only once; a file of results that is missing counts as an empty one. Which of them were flaky
   * is known if they were stored with the field `earlier`.
   *
   * @default there are none, and a run with a `journal` refuses the tally
   */
  stored?: AsyncIterable<StoredResult> | Iterable<StoredResult> | undefined;
}

const OPTIONS: Known<TallyOptions> = {
  stored: "what readResults() gives, if given",
};

/**
 * Counts tests by platform and by the status of the test itself (the last one, if
 * there are several), and keeps nothing else but the names of those that somebody
 * has to look at.
 *
 * Needs `--allow-read` for artifacts, which it leaves where they are. What it
 * counted is there also after `stop()`, until the next `start()`.
 */
export class Tally implements Aggregator {
  /** It leaves the artifacts where they are. */
  readonly readsOnly = true;
  /** Whether another process can go on counting: then `stored` tells it what there is. */
  readonly continues: boolean;
  /** Whether tests that are stored are taken again. */
  readonly replaces: boolean;
  readonly #stored: NonNullable<TallyOptions["stored"]>;
  /** What takes back that a test was counted which an earlier process stored. */
  readonly #undo = new Map<string, () => void>();
  readonly #underWay = new UnderWay();
  #started = false;
  #total = 0;
  #passed = 0;
  #counts = new Map<string, Map<string, number>>();
  #failures: TalliedTest[] = [];
  #unfinished: TalliedTest[] = [];
  #flaky: TalliedTest[] = [];

  /**
   * Stores the options.
   *
   * @throws {TypeError} if one is misspelt or of the wrong kind
   */
  constructor(options: TallyOptions = {}) {
    checkOptions("Tally", options, OPTIONS);
    const { stored } = options;
    this.continues = this.replaces = stored !== undefined;
    this.#stored = stored ?? [];
  }

  /**
   * How many tests there are, by platform and status: `none` if the test did not say
   * one, `no result` if it has no result but those of parts.
   */
  get counts(): ReadonlyMap<string, ReadonlyMap<string, number>> {
    return this.#counts;
  }

  /** How many tests there are. */
  get total(): number {
    return this.#total;
  }

  /** How many ended with `pass`, `info` or `warn`. */
  get passed(): number {
    return this.#passed;
  }

  /** How many failed: the {@linkcode Tally.failures} and the {@linkcode Tally.unfinished}. */
  get failed(): number {
    return this.#failures.length + this.#unfinished.length;
  }

  /** Tests that ended with `fail`, `error` or `infra`. */
  get failures(): readonly TalliedTest[] {
    return this.#failures;
  }

  /** Tests without a result of their own. */
  get unfinished(): readonly TalliedTest[] {
    return this.#unfinished;
  }

  /** Tests that passed, but not at the first attempt. */
  get flaky(): readonly TalliedTest[] {
    return this.#flaky;
  }

  /** Whether it takes tests. */
  get started(): boolean {
    return this.#started;
  }

  /** Begins to count, from what is stored. */
  async start(): Promise<this> {
    if (this.#started) throw new Error("Cannot start a tally twice");
    this.#started = true;
    this.#total = 0;
    this.#passed = 0;
    this.#counts = new Map();
    this.#failures = [];
    this.#unfinished = [];
    this.#flaky = [];
    this.#undo.clear();
    try {
      for await (const test of readStoredBefore(this.#stored)) {
        this.#undo.set(keyOf(test), this.#count(test));
      }
    } catch (error) {
      this.#started = false;
      throw error;
    }
    return this;
  }

  /**
   * Counts a test; the artifacts stay. One that is ingested again counts again.
   *
   * @throws {BadResultsError} if the results file cannot be understood
   * @throws {Deno.errors.NotFound} if there is no results file
   */
  ingest(
    platform: string,
    test: string,
    artifacts: string | URL,
    info: IngestInfo = {},
  ): Promise<void> {
    if (!this.#started) return Promise.reject(notStarted(platform, test));
    return this.#underWay.add((async () => {
      const own = new OwnResult();
      for await (const results of readResultBatches(artifacts)) {
        for (const result of results) own.take(result);
      }
      const key = keyOf({ platform, test });
      this.#undo.get(key)?.();
      this.#undo.delete(key);
      this.#count({ platform, test, ...(own.found && { own }), ...info });
    })());
  }

  /** Counts a test; gives what takes that back. */
  #count(
    { platform, test, own, attempt, earlier = [] }: Counted,
  ): () => void {
    const tallied: TalliedTest = {
      platform,
      test,
      ...(own?.status && { status: own.status }),
      ...(own?.note !== undefined && { note: own.note }),
      ...(attempt !== undefined && { attempt }),
    };
    const key = own ? own.status || "none" : NO_RESULT;
    const passed = PASSED.has(key) ? 1 : 0;
    const list = !own
      ? this.#unfinished
      : isFailing(key)
      ? this.#failures
      : passed && earlier.length > 0
      ? this.#flaky
      : undefined;
    const add = (count: number) => {
      this.#total += count;
      this.#passed += count * passed;
      const counts = this.#counts.get(platform) ?? new Map();
      this.#counts.set(platform, counts);
      counts.set(key, (counts.get(key) ?? 0) + count);
      if (counts.get(key) === 0) counts.delete(key);
    };
    add(1);
    list?.push(tallied);
    return () => {
      add(-1);
      list?.splice(list.indexOf(tallied), 1);
    };
  }

  /** Waits for ingests under way. */
  stop(): Promise<void> {
    this.#started = false;
    return this.#underWay.ended();
  }

  /** The same as {@linkcode Tally.stop}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** What is to be known of a test to count it. */
type Counted = Pick<
  StoredTest,
  "platform" | "test" | "own" | "attempt" | "earlier"
>;

function keyOf({ platform, test }: Counted): string {
  return JSON.stringify([platform, test]);
}
