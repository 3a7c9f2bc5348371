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
 * @module
 */
import { readResultBatches } from "../executors/results.ts";
import type { Aggregator, IngestInfo } from "./aggregator.ts";
import { OwnResult } from "./_own_result.ts";
import { notStarted, UnderWay } from "./_under_way.ts";

/** A test that a tally names. */
export interface TalliedTest {
  /** The platform. */
  platform: string;
  /** The test. */
  test: string;
  /** How it ended; absent if it did not say. */
  status?: string;
  /** A short text for people. */
  note?: string;
  /** Which attempt it was, counted from 1. */
  attempt?: number;
}

const FAILED = new Set(["fail", "error", "infra"]);
const PASSED = new Set(["pass", "info", "warn"]);

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
  readonly #underWay = new UnderWay();
  #started = false;
  #total = 0;
  #passed = 0;
  #counts = new Map<string, Map<string, number>>();
  #failures: TalliedTest[] = [];
  #unfinished: TalliedTest[] = [];
  #flaky: TalliedTest[] = [];

  /**
   * How many tests there are, by platform and status: `none` if the test did not say
   * one, `no-result` if it has no result but those of parts.
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

  /** Begins to count from nothing. */
  // deno-lint-ignore require-await -- errors are to reject
  async start(): Promise<this> {
    if (this.#started) throw new Error("Cannot start a tally twice");
    this.#started = true;
    this.#total = 0;
    this.#passed = 0;
    this.#counts = new Map();
    this.#failures = [];
    this.#unfinished = [];
    this.#flaky = [];
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
      this.#count({ platform, test }, own, info);
    })());
  }

  #count(
    names: Pick<TalliedTest, "platform" | "test">,
    { found, status, note }: OwnResult,
    { attempt, earlier = [] }: IngestInfo,
  ): void {
    const tallied: TalliedTest = {
      ...names,
      ...(status && { status }),
      ...(note !== undefined && { note }),
      ...(attempt !== undefined && { attempt }),
    };
    this.#total++;
    const counts = this.#counts.get(names.platform) ?? new Map();
    this.#counts.set(names.platform, counts);
    const key = found ? status || "none" : "no-result";
    counts.set(key, (counts.get(key) ?? 0) + 1);
    if (!found) this.#unfinished.push(tallied);
    else if (FAILED.has(key)) this.#failures.push(tallied);
    else if (PASSED.has(key)) {
      this.#passed++;
      if (earlier.length > 0) this.#flaky.push(tallied);
    }
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
