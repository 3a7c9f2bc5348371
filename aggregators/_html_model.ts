/** All that is known for an HTML report, as pieces of JSON that are ready to be written. */
import type { Comparison, EarlierResults } from "./_compare.ts";
import type {
  PageData,
  PageFile,
  PageSubtest,
  PageTest,
  PageWaiting,
} from "./_html_data.ts";
import type { Excerpts } from "./_html_logs.ts";
import type { Timeline } from "./_html_timeline.ts";
import { isFailing, NO_RESULT } from "./_statuses.ts";
import { durationOf, type StoredTest } from "./_stored_tests.ts";

/** A test, and where its files are. */
export interface TestReport extends StoredTest {
  directory?: string | undefined;
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
  readonly #options: ModelOptions;
  readonly #platforms = new Numbers();
  readonly #systems = new Numbers();
  /** A piece of JSON for each test. */
  readonly #tests: string[] = [];
  /** What of each is compared with earlier results, if there are any. */
  readonly #compared: Parameters<Comparison["compare"]>[] = [];
  /** Tests that somebody has to look at, by index. */
  readonly #failures = new Map<number, Failure>();
  /** Their indices, by name, by platform; of the same name in several sources the last one. */
  readonly #indices = new Map<string, Map<string, number>>();
  /** Where tests are from, by index, if that is known. */
  readonly #sources: (string | undefined)[] = [];
  #rows = 0;
  #leftOut = 0;

  constructor(options: ModelOptions) {
    this.#options = options;
  }

  /** How many tests there are. */
  get size(): number {
    return this.#tests.length;
  }

  /** How many of them somebody has to look at. */
  get failed(): number {
    return this.#failures.size;
  }

  /** The first of those. */
  get failures(): Failure[] {
    return this.#failures.values().take(MAX_FAILURES).toArray();
  }

  /** Adds a test, or replaces it. */
  add(report: TestReport): void {
    const { platform, test, own, source } = report;
    const indices = this.#indices.get(platform) ?? new Map<string, number>();
    const known = indices.get(test);
    const isKnown = known !== undefined && this.#sources[known] === source;
    const index = isKnown ? known : this.#tests.length;
    this.#sources[index] = source;
    this.#indices.set(platform, indices.set(test, index));
    const status = own ? own.status : NO_RESULT;
    this.#tests[index] = encode(this.#encodeTest(report));
    if (this.#options.earlier) {
      this.#compared[index] = [platform, test, status || "none"];
    }
    if (isFailing(status)) {
      const note = cut(own?.note) ?? "";
      this.#failures.set(index, { platform, test, status: status!, note });
    } else this.#failures.delete(index);
  }

  #encodeTest(report: TestReport): PageTest {
    const { platform, test, own, remote, startedAt } = report;
    const duration = durationOf(report);
    const { attempt = 1, earlier = [] } = report;
    const note = cut(own?.note);
    const files = this.#files(report, undefined, own);
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
      ...(duration !== undefined && { d: duration }),
      ...(attempt > 1 && { a: attempt }),
      ...(earlier.length > 0 && {
        e: earlier.map(({ status, note }) =>
          note === undefined ? [status] : [status, cut(note)!]
        ),
      }),
      ...(subtests.length > 0 && { u: subtests }),
      ...(leftOut > 0 && { o: leftOut }),
    };
  }

  /** A test with what differs. */
  #withChange(index: number, comparison: Comparison | undefined): string {
    const test = this.#tests[index]!;
    if (!comparison) return test;
    const { change, before } = comparison.compare(...this.#compared[index]!);
    if (!change) return test;
    const more: Pick<PageTest, "c" | "w"> = {
      c: change,
      ...(before !== undefined && { w: before }),
    };
    return `${test.slice(0, -1)},${encode(more).slice(1)}`;
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
    const comparison = earlier?.comparedWith(
      new Set([
        ...this.#platforms.names,
        ...runs.map(({ platform }) => platform),
      ]),
    );
    yield '{"tests":[';
    for (const index of this.#tests.keys()) {
      const test = this.#withChange(index, comparison);
      yield index === 0 ? `\n${test}` : `,\n${test}`;
    }
    // not before, since tests may be added between the pieces
    const end: Omit<PageData, "tests"> = {
      title,
      madeAt: Date.now(),
      final,
      refresh,
      files,
      compared: earlier !== undefined,
      leftOut: this.#leftOut,
      waiting: this.#waiting(runs, final),
      gone: final ? comparison?.gone() ?? [] : [],
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
    yield `\n],\n${encode(end).slice(1)}`;
  }

  /** Tests of runs that are not among the results. */
  #waiting(runs: readonly Timeline[], final: boolean): PageWaiting[] {
    /** If a run went on in another process, what that one says counts. */
    const waiting = new Map<string, PageWaiting>();
    for (const { platform, tests } of runs) {
      const stored = this.#indices.get(platform);
      for (const [name, { state, system, startedAt }] of tests) {
        if (stored?.has(name)) continue;
        const place = [this.#platforms.of(platform), name] as const;
        const item: PageWaiting = !final && state === "running"
          ? [...place, state, this.#systems.of(system!), startedAt!]
          : [
            ...place,
            !final ? "queued" : state === "ended" ? "not stored" : "not run",
          ];
        waiting.set(JSON.stringify(place), item);
      }
    }
    return [...waiting.values()];
  }
}

function cut(note: string | undefined): string | undefined {
  return note !== undefined && note.length > MAX_NOTE
    ? `${note.slice(0, MAX_NOTE)} […]`
    : note;
}
