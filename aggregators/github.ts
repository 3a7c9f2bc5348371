/**
 * Results where people look who use GitHub Actions: a summary of the job, and annotations
 * for tests that failed.
 *
 * @example
 * ```ts no-run
 * import { GitHubAggregator } from "jsr:@atex/atex/aggregators/github";
 * import { JsonLinesAggregator } from "jsr:@atex/atex/aggregators/jsonl";
 * import { MultiAggregator } from "jsr:@atex/atex/aggregators/multi";
 *
 * await using aggregator = await new MultiAggregator([
 *   new JsonLinesAggregator({ results: "out/results.jsonl", files: "out/files" }),
 *   new GitHubAggregator({ title: "Fedora 42" }), // elsewhere it does nothing
 * ]).start();
 * await aggregator.ingest("fedora-42@x86_64", "/smoke", "artifacts/smoke");
 * ```
 *
 * @module
 */
import { readResultBatches } from "../executors/results.ts";
import { checkKind, checkOptions, type Known, pathOf } from "../options.ts";
import type { Aggregator, IngestInfo } from "./aggregator.ts";
import { problemOf, Summary, type SummaryTest } from "./_github_summary.ts";
import {
  type Annotation,
  commandLine,
  type TestLocation,
} from "./_github_text.ts";
import {
  readStoredBefore,
  readStoredTests,
  type StoredTest,
} from "./_stored_tests.ts";
import { lookAt } from "./_move.ts";
import { makeParents, unmake } from "./_paths.ts";
import { Names } from "./_names.ts";
import { OwnResult } from "./_own_result.ts";
import type { StoredResult } from "./_stored_result.ts";
import { notStarted, UnderWay } from "./_under_way.ts";
import { undoStartBy } from "./_undo_start.ts";

export type { TestLocation } from "./_github_text.ts";

/** Options of {@linkcode GitHubAggregator}. */
export interface GitHubAggregatorOptions {
  /**
   * The file that the summary is appended to. Directories on the way are made.
   *
   * @default what `GITHUB_STEP_SUMMARY` names, if `GITHUB_ACTIONS` is `true`; otherwise there is no summary
   */
  summary?: string | URL | undefined;
  /**
   * Whether there are annotations: errors for tests that failed, warnings for those that
   * warned or passed only at a later attempt, a notice for the counts.
   *
   * @default whether `GITHUB_ACTIONS` is `true`
   */
  annotations?: boolean | undefined;
  /**
   * Where the lines of annotations go.
   *
   * @default standard output
   */
  write?: ((text: string) => void) | undefined;
  /**
   * What it is about.
   *
   * @default {"Test results"}
   */
  title?: string | undefined;
  /**
   * URL below which files can be seen, in the places where `JsonLinesAggregator` keeps them,
   * without compression.
   *
   * @default files are not linked to
   */
  files?: string | undefined;
  /** Where a test is defined: annotations are shown there. */
  location?: (test: string) => TestLocation | undefined;
  /**
   * Results that are stored already, as `readResults()` gives them: for a run that
   * goes on after it was killed. Those that are ingested again are replaced; a file
   * of results that is missing counts as an empty one. What is told of their times and attempts is
   * what was stored, see `fields` of `JsonLinesAggregator`.
   *
   * @default there are none, and a run with a `journal` refuses the aggregator
   */
  stored?: AsyncIterable<StoredResult> | Iterable<StoredResult> | undefined;
  /**
   * Take a test of a platform that was ingested before once more, under its name
   * with ` (1)`, ` (2)` and so on.
   *
   * @default {false}
   */
  allowDuplicate?: boolean | undefined;
}

const OPTIONS: Known<GitHubAggregatorOptions> = {
  summary: "a path or a URL, if given",
  annotations: "true or false, if given",
  write: "a function, if given",
  title: "a string, if given",
  files: "a string, if given",
  location: "a function, if given",
  stored: "what readResults() gives, if given",
  allowDuplicate: "true or false, if given",
};

const TITLE = "Test results";
/** GitHub drops the whole summary of a step if it is larger than 1 MiB. */
const MAX_SUMMARY = 900 * 1024;
/** GitHub shows 10 of each level for a step, and drops the rest without a word. */
const MAX_ANNOTATIONS = 10;

/** What there is between the start and the stop. */
interface Started {
  collected: Summary;
  names: Names;
  /** What earlier processes stored, and nobody has ingested again. */
  stored: Map<string, SummaryTest>;
  /** The file for the summary. */
  path: string | undefined;
  /** What was made for it. */
  made: string[];
  annotations: boolean;
}

/**
 * Tells GitHub of results, at the end. It only reads the artifacts: give it to a
 * `MultiAggregator` beside one that keeps them.
 *
 * Names and notes are shown as they are: nothing in them is taken for Markdown, or for a
 * command. Where GitHub's limits do not allow to show everything, it is said how much is
 * missing.
 *
 * Needs `--allow-env=GITHUB_ACTIONS,GITHUB_STEP_SUMMARY`, `--allow-read` for artifacts, and
 * `--allow-read` and `--allow-write` for the file of the summary.
 */
export class GitHubAggregator implements Aggregator {
  /** It leaves the artifacts where they are. */
  readonly readsOnly = true;
  /** Whether another process can go on: then `stored` tells it what there is. */
  readonly continues: boolean;
  /** Whether tests that are stored are taken again. */
  readonly replaces: boolean;
  readonly #options: GitHubAggregatorOptions;
  readonly #underWay = new UnderWay();
  #started: Started | undefined;
  #stopped: Promise<void> | undefined;

  /**
   * Stores the options.
   *
   * @throws {TypeError} if one is misspelt or of the wrong kind
   */
  constructor(options: GitHubAggregatorOptions = {}) {
    checkOptions("GitHubAggregator", options, OPTIONS);
    this.#options = options;
    this.continues = this.replaces = options.stored !== undefined;
    undoStartBy(this, () => this.#undoStart());
  }

  /** Whether it takes tests. */
  get started(): boolean {
    return this.#started !== undefined;
  }

  /** Finds out whether this is a job of GitHub, and whether the summary can be written. */
  async start(): Promise<this> {
    if (this.#started) throw new Error("Cannot start a summary twice");
    const onGitHub = Deno.env.get("GITHUB_ACTIONS") === "true";
    const { annotations = onGitHub, allowDuplicate = false, stored = [] } =
      this.#options;
    const summary = this.#options.summary ??
      (onGitHub ? Deno.env.get("GITHUB_STEP_SUMMARY") : undefined);
    const path = summary ? pathOf(summary) : undefined;
    const started: Started = {
      collected: new Summary(),
      names: new Names(allowDuplicate),
      stored: await readStored(stored),
      path,
      made: [],
      annotations,
    };
    if (path !== undefined) makeFile(path, started.made);
    this.#stopped = undefined;
    this.#started = started;
    return this;
  }

  #undoStart(): void {
    // there is nothing to tell
    unmake(this.#started?.made ?? []);
    this.#started = undefined;
  }

  /**
   * Takes over what is to be told of a test; the artifacts stay.
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
    return this.#underWay.add((async () => {
      using turn = await started.names.take(platform, test);
      const own = new OwnResult();
      for await (const results of readResultBatches(artifacts)) {
        for (const result of results) own.take(result);
      }
      started.collected.add(summaryTest({
        platform,
        test: turn.name,
        ...(own.found && { own }),
        ...info,
      }));
      started.stored.delete(keyOf({ platform, test }));
      turn.keep();
    })());
  }

  /**
   * Waits for ingests under way, writes the annotations, and appends the summary.
   *
   * @throws {Error} if one of them cannot be written; the other is all the same
   */
  stop(): Promise<void> {
    const started = this.#started;
    this.#started = undefined;
    if (started) this.#stopped = this.#finish(started);
    return this.#stopped ?? Promise.resolve();
  }

  async #finish(
    { collected, stored, path, annotations }: Started,
  ): Promise<void> {
    await this.#underWay.ended();
    for (const test of stored.values()) collected.add(test);
    const { write = writeToStdout } = this.#options;
    try {
      if (annotations) write(this.#annotations(collected));
    } finally {
      if (path !== undefined) await this.#summarize(collected, path);
    }
  }

  async #summarize(collected: Summary, path: string): Promise<void> {
    const { title = TITLE, files } = this.#options;
    const { size } = await Deno.stat(path).catch(() => ({ size: 0 }));
    const most = MAX_SUMMARY - size;
    await Deno.writeTextFile(
      path,
      collected.toMarkdown({ title, files, most }),
      { append: true },
    );
  }

  /** All lines for annotations. */
  #annotations(collected: Summary): string {
    const { location, title = TITLE } = this.#options;
    const one = (
      level: Annotation["level"],
      test: SummaryTest,
      message: string,
    ): Annotation => ({
      level,
      title: `${test.test} (${test.platform})`,
      message,
      location: location?.(test.test),
    });
    const errors = collected.failures.map((test) => () =>
      one("error", test, problemOf(test))
    );
    const warnings = [
      ...collected.warnings.map((test) => () =>
        one("warning", test, test.note || "warn")
      ),
      ...collected.flaky.map((test) => () =>
        one(
          "warning",
          test,
          `flaky: passed at attempt ${test.earlier!.length + 1}`,
        )
      ),
    ];
    return [
      ...limited("error", errors, title),
      ...limited("warning", warnings, title),
      { level: "notice", title, message: collected.headline } as const,
    ].map(commandLine).join("");
  }

  /** The same as {@linkcode GitHubAggregator.stop}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** As many as are shown; if there are more, the last one says so. */
function limited(
  level: Annotation["level"],
  all: readonly (() => Annotation)[],
  title: string,
): Annotation[] {
  if (all.length <= MAX_ANNOTATIONS) return all.map((make) => make());
  const shown = all.slice(0, MAX_ANNOTATIONS - 1).map((make) => make());
  const message = `${
    all.length - shown.length
  } more: see the summary of the job`;
  return [...shown, { level, title, message }];
}

/** Options of {@linkcode gitHubSummary}. */
export type GitHubSummaryOptions = Pick<
  GitHubAggregatorOptions,
  "title" | "files"
>;

const SUMMARY_OPTIONS: Known<GitHubSummaryOptions> = {
  title: "a string, if given",
  files: "a string, if given",
};

/**
 * The same summary, of results that were stored.
 *
 * @param results as `readResults()` gives them
 * @returns Markdown
 *
 * @example
 * ```ts
 * import { gitHubSummary } from "jsr:@atex/atex/aggregators/github";
 * import { readResults } from "jsr:@atex/atex/aggregators/reader";
 *
 * console.log(await gitHubSummary(readResults("out/results.jsonl")));
 * ```
 */
export async function gitHubSummary(
  results: AsyncIterable<StoredResult> | Iterable<StoredResult>,
  options: GitHubSummaryOptions = {},
): Promise<string> {
  checkKind("gitHubSummary()", "results", results, "what readResults() gives");
  checkOptions("gitHubSummary()", options, SUMMARY_OPTIONS);
  const { title = TITLE, files } = options;
  const collected = new Summary();
  for await (const test of readStoredTests(results)) {
    collected.add(summaryTest(test));
  }
  return collected.toMarkdown({ title, files, most: MAX_SUMMARY });
}

/** What a summary takes of a test. */
function summaryTest(
  {
    own,
    remote,
    earlier,
    startedAt,
    finishedAt,
    durationMs,
    exitCode,
    ...names
  }: Omit<StoredTest, "subtests">,
): SummaryTest {
  return {
    platform: names.platform,
    test: names.test,
    status: own?.status,
    note: own?.note,
    files: own?.files ?? [],
    noResult: !own,
    remote,
    earlier,
    startedAt,
    finishedAt,
    durationMs,
    exitCode,
  };
}

function keyOf({ platform, test }: Pick<SummaryTest, "platform" | "test">) {
  return JSON.stringify([platform, test]);
}

async function readStored(
  results: NonNullable<GitHubAggregatorOptions["stored"]>,
): Promise<Map<string, SummaryTest>> {
  const stored = new Map<string, SummaryTest>();
  for await (const test of readStoredBefore(results)) {
    stored.set(keyOf(test), summaryTest(test));
  }
  return stored;
}

/** Makes sure that a file can be appended to; adds to `made` what is new. */
function makeFile(path: string, made: string[]): void {
  try {
    makeParents(path, made);
    const isNew = !lookAt(path);
    Deno.openSync(path, { append: true, create: true }).close();
    if (isNew) made.push(path);
  } catch (error) {
    unmake(made);
    throw error;
  }
}

function writeToStdout(text: string): void {
  let bytes = new TextEncoder().encode(text);
  while (bytes.length > 0) bytes = bytes.subarray(Deno.stdout.writeSync(bytes));
}
