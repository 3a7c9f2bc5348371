/** All that is known for an HTML report, as pieces of JSON that are ready to be written. */
import type { EarlierAttempt } from "./aggregator.ts";
import { type EarlierResults, isFailing, NO_RESULT } from "./_html_compare.ts";
import type {
  PageData,
  PageFile,
  PageSubtest,
  PageTest,
  PageWaiting,
} from "./_html_data.ts";
import type { Excerpts } from "./_html_logs.ts";
import type { Timeline } from "./_html_timeline.ts";

/** What a test said, and what is known of its run. */
export interface TestReport {
  platform: string;
  test: string;
  /** Absent if the test said nothing about itself. */
  own?: {
    status?: string | undefined;
    note?: string | undefined;
    files: readonly string[];
  };
  subtests: readonly {
    name: string;
    status?: string | undefined;
    note?: string | undefined;
    files?: readonly string[] | undefined;
  }[];
  /** Where its files are. */
  directory?: string | undefined;
  attempt?: number | undefined;
  earlier?: readonly EarlierAttempt[] | undefined;
  remote?: string | undefined;
  startedAt?: number | undefined;
  finishedAt?: number | undefined;
}

/** A test that failed, for readers without script. */
export interface Failure {
  platform: string;
  test: string;
  status: string;
  note: string;
}

/** What the model stands on. */
export interface ModelOptions {
  title: string;
  /** Where links to files begin. */
  files: string | null;
  refresh: number;
  maxRows: number;
  excerpts: Excerpts;
  earlier: EarlierResults | undefined;
}

/** Characters of a note; a few lines are for people, more are a log. */
const MAX_NOTE = 10_000;
const MAX_FAILURES = 500;
const PASSED = new Set(["pass", "info", "skip"]);

/** Numbers for names, in the order in which they come. */
class Numbers {
  readonly names: string[] = [];
  readonly #numbers = new Map<string, number>();

  of = (name: string): number => {
    let number = this.#numbers.get(name);
    if (number === undefined) {
      number = this.names.push(name) - 1;
      this.#numbers.set(name, number);
    }
    return number;
  };
}

/** JSON that can be in the middle of a page. */
function encode(value: unknown): string {
  return JSON.stringify(value)
    .replaceAll(
      /[<\u2028\u2029]/g,
      (character) =>
        `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
    );
}

/** Collects tests; gives what the page needs at any moment. */
export class ReportModel {
  /** Tests that somebody has to look at, the first of them. */
  readonly failures: Failure[] = [];
  /** How many there are. */
  failed = 0;
  readonly #options: ModelOptions;
  readonly #platforms = new Numbers();
  readonly #systems = new Numbers();
  /** A piece of JSON for each test. */
  readonly #tests: string[] = [];
  /** Their indices, by name, by platform. */
  readonly #indices = new Map<string, Map<string, number>>();
  #rows = 0;
  #leftOut = 0;

  constructor(options: ModelOptions) {
    this.#options = options;
  }

  /** How many tests there are. */
  get size(): number {
    return this.#tests.length;
  }

  /** Adds a test. */
  add(report: TestReport): void {
    const { platform, test } = report;
    const index = this.#tests.push(encode(this.#encodeTest(report))) - 1;
    const indices = this.#indices.get(platform) ?? new Map<string, number>();
    this.#indices.set(platform, indices.set(test, index));
  }

  #encodeTest(report: TestReport): PageTest {
    const { platform, test, own, remote, startedAt, finishedAt } = report;
    const { attempt = 1, earlier = [] } = report;
    const status = own ? own.status : NO_RESULT;
    if (isFailing(status)) this.#addFailure(report, status!);
    const note = cut(own?.note);
    const files = this.#files(report, undefined, own);
    const { change, before } =
      this.#options.earlier?.compare(platform, test, status ?? "none") ?? {};
    this.#rows++;
    const [subtests, leftOut] = this.#subtests(report);
    return {
      p: this.#platforms.of(platform),
      t: test,
      ...(own ? own.status !== undefined && { s: own.status } : { x: 1 }),
      ...(note !== undefined && { n: note }),
      ...(files.length > 0 && { f: files }),
      ...(remote !== undefined && { r: this.#systems.of(remote) }),
      ...(startedAt !== undefined && { b: startedAt }),
      ...(startedAt !== undefined && finishedAt !== undefined && {
        d: Math.max(0, finishedAt - startedAt), // clocks can be set back
      }),
      ...(attempt > 1 && { a: attempt }),
      ...(earlier.length > 0 && {
        e: earlier.map(({ status, note }) =>
          note === undefined ? [status] : [status, cut(note)!]
        ),
      }),
      ...(subtests.length > 0 && { u: subtests }),
      ...(leftOut > 0 && { o: leftOut }),
      ...(change && { c: change }),
      ...(before !== undefined && { w: before }),
    };
  }

  #addFailure({ platform, test, own }: TestReport, status: string): void {
    this.failed++;
    if (this.failures.length === MAX_FAILURES) return;
    this.failures.push({ platform, test, status, note: cut(own?.note) ?? "" });
  }

  #subtests(
    report: TestReport,
  ): [subtests: PageSubtest[], leftOut: number] {
    const { maxRows } = this.#options;
    const kept: PageSubtest[] = [];
    for (const subtest of report.subtests) {
      const { name, status, note } = subtest;
      const most = status !== undefined && PASSED.has(status)
        ? maxRows
        : 2 * maxRows;
      if (this.#rows >= most) continue;
      this.#rows++;
      const files = this.#files(report, name, subtest);
      const item: PageSubtest = [name, status ?? null];
      if (note !== undefined || files.length > 0) item.push(cut(note) ?? null);
      if (files.length > 0) item.push(files);
      kept.push(item);
    }
    const leftOut = report.subtests.length - kept.length;
    this.#leftOut += leftOut;
    return [kept, leftOut];
  }

  #files(
    { directory }: TestReport,
    name: string | undefined,
    result: {
      status?: string | undefined;
      files?: readonly string[] | undefined;
    } = {},
  ): PageFile[] {
    const { status, files = [] } = result;
    if (directory === undefined || files.length === 0) return [...files];
    const important = status === undefined || !PASSED.has(status);
    return this.#options.excerpts.read(
      directory,
      { ...(name !== undefined && { name }), files },
      important,
    );
  }

  /** The data of the page as it is now, in pieces. */
  *page(timelines: readonly Timeline[], final: boolean): Generator<string> {
    const { title, files, refresh, earlier } = this.#options;
    const runs = timelines.filter(({ startedAt }) => startedAt > 0);
    const end: Omit<PageData, "tests"> = {
      title,
      madeAt: Date.now(),
      final,
      refresh,
      files,
      compared: earlier !== undefined,
      leftOut: this.#leftOut,
      waiting: runs.flatMap((run) => this.#waiting(run, final)),
      gone: final ? earlier?.gone() ?? [] : [],
      runs: runs.map((run) =>
        run.toPage(
          this.#systems.of,
          this.#platforms.of,
          (test) => this.#indices.get(run.platform)?.get(test),
        )
      ),
      // last, since all others may add to them
      platforms: this.#platforms.names,
      systems: this.#systems.names,
    };
    yield '{"tests":[';
    for (const [index, test] of this.#tests.entries()) {
      yield index === 0 ? `\n${test}` : `,\n${test}`;
    }
    yield `\n],\n${encode(end).slice(1)}`;
  }

  /** Tests of a run that are not among the results. */
  #waiting(run: Timeline, final: boolean): PageWaiting[] {
    const stored = this.#indices.get(run.platform);
    const waiting: PageWaiting[] = [];
    for (const [name, test] of run.tests) {
      if (stored?.has(name)) continue;
      const { state, system, startedAt } = test;
      const platform = this.#platforms.of(run.platform);
      if (!final && state === "running") {
        const where = system === undefined ? -1 : this.#systems.of(system);
        waiting.push([platform, name, "running", where, startedAt ?? 0]);
      } else if (state === "ended") {
        waiting.push([platform, name, final ? "not stored" : "queued"]);
      } else waiting.push([platform, name, final ? "not run" : "queued"]);
    }
    return waiting;
  }
}

function cut(note: string | undefined): string | undefined {
  return note !== undefined && note.length > MAX_NOTE
    ? `${note.slice(0, MAX_NOTE)} […]`
    : note;
}
