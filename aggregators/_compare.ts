/** Results compared with earlier ones. */
import type { Change, PageGone } from "./_html_data.ts";
import { isFailing, NO_RESULT } from "./_statuses.ts";
import type { StoredResult } from "./_stored_result.ts";

/** The statuses of tests in earlier results. */
export class EarlierResults {
  /** Status by test, by platform. */
  readonly #platforms = new Map<string, Map<string, string>>();
  /** Tests that are not in the new results, or not yet. */
  readonly #gone = new Map<string, Set<string>>();

  /** Reads all. */
  static async read(
    results: AsyncIterable<StoredResult> | Iterable<StoredResult>,
  ): Promise<EarlierResults> {
    const earlier = new EarlierResults();
    for await (const result of results) earlier.#add(result);
    for (const [platform, tests] of earlier.#platforms) {
      earlier.#gone.set(platform, new Set(tests.keys()));
    }
    return earlier;
  }

  #add({ platform, test, subtest, status }: StoredResult): void {
    const tests = this.#platforms.get(platform) ?? new Map<string, string>();
    this.#platforms.set(platform, tests);
    if (!subtest) {
      const before = tests.get(test);
      const known = before === NO_RESULT ? undefined : before;
      tests.set(test, status ?? known ?? "none");
    } else if (!tests.has(test)) tests.set(test, NO_RESULT);
  }

  /**
   * Compares the new status of a test. If the earlier results are of one other
   * platform, of another version for example, that one counts.
   */
  compare(
    platform: string,
    test: string,
    status: string,
  ): { change?: Change; before?: string } {
    const [only] = this.#platforms.size === 1 ? this.#platforms.keys() : [];
    const other = this.#platforms.has(platform) ? platform : only;
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
