/**
 * Results as a page for people: one HTML file that needs nothing else and opens
 * from a disk, from the artifacts of a CI service, or from any web server.
 *
 * It has a table to filter and sort, what tests printed, which test ran when on
 * which system, and what differs from earlier results.
 *
 * @example Beside the results and files that it links to
 * ```ts no-run
 * import { HtmlReportAggregator } from "jsr:@atex/atex/aggregators/html";
 * import { JsonLinesAggregator } from "jsr:@atex/atex/aggregators/jsonl";
 * import { MultiAggregator } from "jsr:@atex/atex/aggregators/multi";
 * import type { Aggregator } from "jsr:@atex/atex/aggregators/aggregator";
 * import type { Run } from "jsr:@atex/atex/orchestrators/orchestrator";
 *
 * declare function startTests(aggregator: Aggregator): Run;
 *
 * const report = new HtmlReportAggregator({ report: "out/report.html" });
 * await using results = await new MultiAggregator([
 *   new JsonLinesAggregator({ results: "out/results.jsonl", files: "out/files" }),
 *   report,
 * ]).start();
 * await using run = startTests(results);
 * report.follow(run); // for the timeline, and for tests that still wait or run
 * await run.finished;
 * ```
 *
 * @example From what was stored
 * ```ts
 * import { writeHtmlReport } from "jsr:@atex/atex/aggregators/html";
 * import { readResults } from "jsr:@atex/atex/aggregators/reader";
 * import { readEventLog } from "jsr:@atex/atex/orchestrators/event-log";
 *
 * await writeHtmlReport(readResults("out/results.jsonl"), {
 *   report: "out/report.html",
 *   events: readEventLog("out/events.jsonl"),
 *   compareWith: readResults("yesterday/results.jsonl"),
 * });
 * ```
 *
 * @module
 */
import { Semaphore } from "@std/async/unstable-semaphore";
import { readResultBatches, type Result } from "../executors/results.ts";
import { checkKind, checkOptions, type Known, pathOf } from "../options.ts";
import type { Aggregator, IngestInfo } from "./aggregator.ts";
import { ReportFile } from "./_html_file.ts";
import type { ReportModel } from "./_html_model.ts";
import {
  addStored,
  atLeastZero,
  type Complete,
  complete,
  type HtmlReportOptions,
  openModel,
  REPORT_OPTIONS,
} from "./_html_options.ts";
import { type TimedEvent, type Timeline, Timelines } from "./_html_timeline.ts";
import { Names } from "./_names.ts";
import { OwnResult } from "./_own_result.ts";
import type { StoredResult } from "./_stored_result.ts";
import { readStoredBefore, readStoredTests } from "./_stored_tests.ts";
import { dispose, undoStartBy } from "./_undo_start.ts";
import { notStarted, UnderWay } from "./_under_way.ts";

export type { HtmlReportOptions } from "./_html_options.ts";
export type { TimedEvent } from "./_html_timeline.ts";
export type { StoredResult } from "./_stored_result.ts";

/** Options of {@linkcode HtmlReportAggregator}. */
export interface HtmlReportAggregatorOptions extends HtmlReportOptions {
  /** The file for the page. Directories on the way are made. */
  report: string | URL;
  /**
   * What to do if the file is there already.
   *
   * @default {"fail"}
   */
  existing?: "fail" | "replace" | undefined;
  /**
   * Results that are stored already, as `readResults()` gives them: for a run that
   * goes on after it was killed. Those that are ingested again are replaced; a file
   * of results that is missing counts as an empty one.
   *
   * @default there are none, and a run with a `journal` refuses the report
   */
  stored?: AsyncIterable<StoredResult> | Iterable<StoredResult> | undefined;
  /**
   * How often the page is written anew during the run, in milliseconds; 0 for
   * only at its end. Large pages are written less often.
   *
   * @default {10000}
   */
  refresh?: number | undefined;
  /**
   * Take a test of a platform that was ingested before once more, under its name
   * with ` (1)`, ` (2)` and so on.
   *
   * @default {false}
   */
  allowDuplicate?: boolean | undefined;
}

const OPTIONS: Known<HtmlReportAggregatorOptions> = {
  ...REPORT_OPTIONS,
  existing: ["fail", "replace"],
  stored: "what readResults() gives, if given",
  refresh: "a number, if given",
  allowDuplicate: "true or false, if given",
};

const REFRESH = 10_000;
/** Tests that are read at once. */
const AT_ONCE = 16;
/** Writing pages may take this part of the time. */
const SHARE_OF_TIME = 1 / 20;

/** What there is between the start and the stop. */
interface Started {
  model: ReportModel;
  names: Names;
}

/**
 * Makes an HTML report while a run goes on. What is in the file is always a whole
 * page; the last one is written by `stop()`.
 *
 * It only reads the artifacts: give it to a `MultiAggregator` beside one that keeps
 * the files. Nothing in names, notes and files can run in the page or be fetched by it.
 *
 * Needs `--allow-read` for artifacts, `--allow-read` and `--allow-write` for the
 * directory of the page.
 */
export class HtmlReportAggregator implements Aggregator {
  /** It leaves the artifacts where they are. */
  readonly readsOnly = true;
  /**
   * Whether another process can write the page anew: if it may replace the page, and `stored`
   * tells it what there is.
   */
  readonly continues: boolean;
  /** Whether tests that are stored are taken again. */
  readonly replaces: boolean;
  readonly #options: HtmlReportAggregatorOptions & Complete;
  readonly #refresh: number;
  readonly #file: ReportFile;
  readonly #slots = new Semaphore(AT_ONCE);
  readonly #underWay = new UnderWay();
  #timelines: Timeline[] = [];
  #started: Started | undefined;
  #stopped: Promise<void> | undefined;
  /** Whether it was given anything. */
  #used = false;
  /** Whether something is not yet in the page. */
  #changed = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #writing: Promise<void> = Promise.resolve();

  /**
   * Stores the options.
   *
   * @throws {TypeError} if `report` is missing
   * @throws {RangeError} if a number is negative or none
   */
  constructor(options: HtmlReportAggregatorOptions) {
    checkOptions("HtmlReportAggregator", options, OPTIONS);
    this.#options = complete(options);
    this.continues = this.replaces = options.existing === "replace" &&
      options.stored !== undefined;
    this.#refresh = atLeastZero("refresh", options.refresh ?? REFRESH);
    this.#file = new ReportFile(pathOf(options.report), this.#options.title);
    undoStartBy(this, () => this.#undoStart());
  }

  /** Whether it takes tests. */
  get started(): boolean {
    return this.#started !== undefined;
  }

  /**
   * Reads what is stored or to be compared with, and writes the first page.
   *
   * @throws {Deno.errors.AlreadyExists} if the file is there already, and not to be replaced
   */
  async start(): Promise<this> {
    if (this.#started) {
      throw new Error("Cannot start a report twice");
    }
    const { allowDuplicate = false, existing = "fail", stored = [] } =
      this.#options;
    const model = await openModel(this.#options, this.#refresh);
    await addStored(model, readStoredBefore(stored), this.#options);
    const started = { model, names: new Names(allowDuplicate) };
    if (existing === "fail") await this.#file.create(model);
    else await this.#file.replace(model, [], false);
    this.#timelines = [];
    this.#stopped = undefined;
    this.#started = started;
    this.#schedule(this.#refresh);
    return this;
  }

  /**
   * Adds what happens in a run: for the timeline, for tests that wait or run, and for
   * those that were never stored. `stop()` waits for its end. Call it in the same turn
   * as `run()`, to miss nothing; it may be called for several runs.
   *
   * @returns a promise for the end of the events, which nobody has to wait for
   */
  follow(
    events: AsyncIterable<TimedEvent> | Iterable<TimedEvent>,
  ): Promise<void> {
    this.#used = true;
    const timelines = new Timelines();
    const following = (async () => {
      for await (const event of events) {
        const timeline = timelines.take(event);
        if (timeline) this.#timelines.push(timeline);
        this.#changed = true;
      }
    })();
    return this.#underWay.add(following.catch(() => {}));
  }

  /**
   * Takes over what is to be shown of a test; the artifacts stay.
   *
   * @throws {DuplicateResultError} if this test of this platform was ingested before
   * @throws {BadResultsError} if the results file cannot be understood
   * @throws {Deno.errors.NotFound} if there is no results file
   */
  ingest(
    platform: string,
    test: string,
    artifacts: string | URL,
    info: IngestInfo = {},
  ): Promise<void> {
    const started = this.#started;
    if (!started) return Promise.reject(notStarted(platform, test));
    this.#used = true;
    return this.#underWay.add(
      this.#ingest(platform, test, pathOf(artifacts), info, started),
    );
  }

  async #ingest(
    platform: string,
    test: string,
    artifacts: string,
    info: IngestInfo,
    { model, names }: Started,
  ): Promise<void> {
    using turn = await names.take(platform, test);
    using _slot = await this.#slots.acquire();
    const own = new OwnResult();
    const subtests: (Result & { name: string })[] = [];
    for await (const results of readResultBatches(artifacts)) {
      for (const result of results) {
        if (own.take(result)) continue;
        const { name, status, note, files } = result;
        subtests.push({ name: name!, status, note, files });
      }
    }
    const { attempt, earlier, remote, startedAt, finishedAt, durationMs } =
      info;
    model.add({
      platform,
      test: turn.name,
      ...(own.found && { own }),
      subtests,
      directory: `${artifacts}/files`,
      attempt,
      earlier,
      remote,
      startedAt,
      finishedAt,
      durationMs,
    });
    turn.keep();
    this.#changed = true;
  }

  #schedule(ms: number): void {
    if (this.#refresh === 0) return;
    this.#timer = setTimeout(() => {
      this.#writing = this.#rewrite();
    }, ms);
    Deno.unrefTimer(this.#timer); // a script that forgets stop() still ends
  }

  async #rewrite(): Promise<void> {
    const began = performance.now();
    const { model } = this.#started!;
    if (this.#changed) {
      this.#changed = false;
      await this.#file.replace(model, this.#timelines, false)
        // the page before is still there, and the last one counts
        .catch(() => this.#changed = true);
    }
    const took = performance.now() - began;
    if (this.#started) {
      this.#schedule(Math.max(this.#refresh, took / SHARE_OF_TIME));
    }
  }

  /**
   * Waits for ingests and for the events of runs, then writes the last page.
   *
   * @throws {Error} if it cannot be written; the page before is still there
   */
  stop(): Promise<void> {
    const started = this.#started;
    this.#started = undefined;
    if (started) this.#stopped = this.#finish(started.model);
    return this.#stopped ?? Promise.resolve();
  }

  /** Stops; a page that the start made is gone. */
  async #undoStart(): Promise<void> {
    if (!this.#started || this.continues) return this.stop();
    this.#started = undefined;
    clearTimeout(this.#timer);
    await this.#writing;
    this.#file.unmake();
  }

  async #finish(model: ReportModel): Promise<void> {
    clearTimeout(this.#timer);
    await Promise.all([this.#underWay.ended(), this.#writing]);
    await this.#file.replace(model, this.#timelines, true);
  }

  /** Stops; if it was given nothing, what its start made is gone. */
  [Symbol.asyncDispose](): Promise<void> {
    return dispose(this, { used: this.#used });
  }
}

/** Options of {@linkcode writeHtmlReport}. */
export interface WriteHtmlReportOptions extends HtmlReportOptions {
  /** The file for the page. Directories on the way are made. */
  report: string | URL;
  /**
   * What to do if the file is there already.
   *
   * @default {"fail"}
   */
  existing?: "fail" | "replace" | undefined;
  /**
   * What happened in the run: an event log, for example.
   *
   * @default there is no timeline
   */
  events?: AsyncIterable<TimedEvent> | Iterable<TimedEvent> | undefined;
}

const WRITE_OPTIONS: Known<WriteHtmlReportOptions> = {
  ...REPORT_OPTIONS,
  existing: ["fail", "replace"],
  events: "a run, if given",
};

/**
 * Makes an HTML report of results that were stored. What the page tells of systems,
 * times and attempts comes from the events, or from the fields with which results were
 * stored. Files are read for the page if they are where it links to.
 *
 * Needs `--allow-read` and `--allow-write` for the directory of the page, and
 * `--allow-read` for files.
 *
 * @param results as `readResults()` gives them
 * @throws {TypeError} if `report` is missing
 * @throws {RangeError} if a number in the options is negative or none
 * @throws {Deno.errors.AlreadyExists} if the file is there already, and not to be replaced
 */
export async function writeHtmlReport(
  results: AsyncIterable<StoredResult> | Iterable<StoredResult>,
  options: WriteHtmlReportOptions,
): Promise<void> {
  checkKind(
    "writeHtmlReport()",
    "results",
    results,
    "what readResults() gives",
  );
  checkOptions("writeHtmlReport()", options, WRITE_OPTIONS);
  const all = complete(options);
  const file = new ReportFile(pathOf(options.report), all.title);
  const { existing = "fail" } = options;
  if (existing === "fail") file.checkVacant(); // before all is read
  const timelines = new Timelines();
  for await (const event of options.events ?? []) timelines.take(event);
  const runs = [...timelines.all.values()];
  const model = await openModel(all, 0);
  await addStored(model, readStoredTests(results), all, runs);
  if (existing === "fail") await file.create(model, runs, true);
  else await file.replace(model, runs, true);
}
