/** Results compared with earlier ones. */
import type { Change, PageGone } from "./_html_data.ts";
import { isFailing, NO_RESULT } from "./_statuses.ts";
import type { StoredResult } from "./_stored_result.ts";

/** The statuses of tests in earlier results. */
export class EarlierResults {
  /** Status by test, by platform. */
  readonly #platforms = new Map<string, Map<string, string>>();

  /** Reads all. */
  static async read(
    results: AsyncIterable<StoredResult> | Iterable<StoredResult>,
  ): Promise<EarlierResults> {
    const earlier = new EarlierResults();
    for await (const result of results) earlier.#add(result);
    return earlier;
  }

  #add({ platform, test, subtest, status }: StoredResult): void {
    const tests = this.#platforms.get(platform) ?? new Map<string, string>();
    this.#platforms.set(platform, tests);
    if (!subtest) {
      const before = tests.get(test);
      const known = before === NO_RESULT ? undefined : before;
      tests.set(
        test,
        status === undefined ? known ?? "none" : status || "none",
      );
    } else if (!tests.has(test)) tests.set(test, NO_RESULT);
  }

  /** Begins to compare with new results, which are of these platforms. */
  comparedWith(platforms: ReadonlySet<string>): Comparison {
    return new Comparison(this.#platforms, platforms);
  }
}

/** What differs in new results. */
export class Comparison {
  /** Status by test, by platform, in the earlier results. */
  readonly #platforms: ReadonlyMap<string, ReadonlyMap<string, string>>;
  /** The only platform of the earlier results, if the new ones are of others. */
  readonly #only: string | undefined;
  /** Tests that were not compared yet. */
  readonly #gone: ReadonlyMap<string, Set<string>>;

  constructor(
    earlier: ReadonlyMap<string, ReadonlyMap<string, string>>,
    platforms: ReadonlySet<string>,
  ) {
    this.#platforms = earlier;
    const [only, ...others] = earlier.keys();
    this.#only = others.length > 0 || platforms.has(only!) ? undefined : only;
    this.#gone = new Map(
      [...earlier].map(([platform, tests]) => [
        platform,
        new Set(tests.keys()),
      ]),
    );
  }

  /**
   * Compares the new status of a test. If the earlier results are of one platform, and the
   * new ones of others, of another version for example, that one counts.
   */
  compare(
    platform: string,
    test: string,
    status: string,
  ): { change?: Change; before?: string } {
    const other = this.#platforms.has(platform) ? platform : this.#only;
    const before = other === undefined
      ? undefined
      : this.#platforms.get(other)!.get(test);
    if (before === undefined) return { change: "new" };
    this.#gone.get(other!)!.delete(test);
    if (before === status) {
      return isFailing(status) ? { change: "failing", before } : {};
    }
    const change = isFailing(status)
      ? isFailing(before) ? "failing" : "broken"
      : isFailing(before)
      ? "fixed"
      : "changed";
    return { change, before };
  }

  /** Tests that were not compared. */
  gone(): PageGone[] {
    return [...this.#gone].flatMap(([platform, tests]) =>
      [...tests].map((test): PageGone => [
        platform,
        test,
        this.#platforms.get(platform)!.get(test)!,
      ])
    );
  }
}
