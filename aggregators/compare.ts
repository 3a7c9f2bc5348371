/**
 * What changed between the results of two runs.
 *
 * @example Which tests are broken since yesterday?
 * ```ts no-run
 * import { compareResults } from "jsr:@atex/atex/aggregators/compare";
 * import { readResults } from "jsr:@atex/atex/aggregators/reader";
 *
 * const changes = compareResults(
 *   readResults("today/results.jsonl"),
 *   readResults("yesterday/results.jsonl"),
 * );
 * for await (const { change, platform, test, before, status } of changes) {
 *   if (change === "broken") console.log(platform, test, before, "→", status);
 * }
 * ```
 *
 * @module
 */
import { checkKind } from "../options.ts";
import { EarlierResults } from "./_compare.ts";
import { isFailing, NO_RESULT } from "./_statuses.ts";
import type { StoredResult } from "./_stored_result.ts";
import { readStoredTests } from "./_stored_tests.ts";

export type { StoredResult } from "./_stored_result.ts";

/**
 * How a test differs:
 *
 * - `broken`: it fails, and did not
 * - `fixed`: it does not fail any more
 * - `failing`: it still fails
 * - `changed`: its status is another one, and neither is a failure
 * - `new`: there was no such test
 * - `gone`: it has no result any more: there is no such test, or it was not run
 * - `flaky`: it passed, but not at the first attempt, and is otherwise as before
 */
export type ResultChange =
  | "broken"
  | "fixed"
  | "failing"
  | "changed"
  | "new"
  | "gone"
  | "flaky";

/** A test that differs. */
export interface ComparedTest {
  /** Label of the platform. */
  readonly platform: string;
  /** Name of the test. */
  readonly test: string;
  /** How it differs. */
  readonly change: ResultChange;
  /** Its status before; absent if it is `new`. */
  readonly before?: string | undefined;
  /** Its status now; absent if it is `gone`. */
  readonly status?: string | undefined;
}

/**
 * Tells of all tests that fail or differ, those that are gone at the end. Tests are
 * compared with those of the same platform, or of the only one that there was if that
 * is not among the new ones. If only some tests were run again, all others are `gone`.
 *
 * @param results as `readResults()` gives them
 * @param earlier the same of the run before
 */
export async function* compareResults(
  results: AsyncIterable<StoredResult> | Iterable<StoredResult>,
  earlier: AsyncIterable<StoredResult> | Iterable<StoredResult>,
): AsyncGenerator<ComparedTest> {
  for (const [name, value] of Object.entries({ results, earlier })) {
    checkKind("compareResults()", name, value, "what readResults() gives");
  }
  const before = await EarlierResults.read(earlier);
  const tests: {
    platform: string;
    test: string;
    status: string;
    isFlaky: boolean;
  }[] = [];
  for await (const found of readStoredTests(results)) {
    const { platform, test, own, earlier: attempts = [] } = found;
    const status = own ? own.status || "none" : NO_RESULT;
    const isFlaky = attempts.length > 0 && !isFailing(status);
    tests.push({ platform, test, status, isFlaky });
  }
  const comparison = before.comparedWith(
    new Set(tests.map(({ platform }) => platform)),
  );
  for (const { platform, test, status, isFlaky } of tests) {
    const compared = comparison.compare(platform, test, status);
    const change = compared.change ?? (isFlaky ? "flaky" : undefined);
    if (change === undefined) continue;
    yield {
      platform,
      test,
      change,
      ...(compared.before !== undefined && { before: compared.before }),
      status,
    };
  }
  for (const [platform, test, status] of comparison.gone()) {
    yield { platform, test, change: "gone", before: status };
  }
}
