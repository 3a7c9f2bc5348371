import { checkKind } from "../options.ts";
import { isFailing, NO_RESULT } from "./_statuses.ts";
import type { StoredResult } from "./_stored_result.ts";
import { readStoredTests } from "./_stored_tests.ts";

/** A test that somebody has to look at. */
export interface FailedTest {
  /** Label of the platform. */
  readonly platform: string;
  /** Name of the test. */
  readonly test: string;
  /** Its status; `no result` if there are only results of its parts. */
  readonly status: string;
  /** A short text for people, if there is one. */
  readonly note?: string | undefined;
  /** See {@linkcode StoredResult.source}. */
  readonly source?: string | undefined;
}

/**
 * Tells of the tests that did not pass, by {@linkcode isFailing}: those that failed, those
 * that could not be carried out (`infra`), and those that have results of their parts, but
 * none of their own. The result of a test itself counts, whatever its parts say.
 *
 * A test that was never run has no results, and is not among them.
 *
 * @param results as `readResults()` gives them
 *
 * @example
 * ```ts
 * import { failedTests, readResults } from "jsr:@atex/atex/aggregators/reader";
 *
 * for await (const { platform, test, status, note } of failedTests(readResults("out/results.jsonl"))) {
 *   console.log(platform, test, status, note ?? "");
 * }
 * ```
 */
export async function* failedTests(
  results: AsyncIterable<StoredResult> | Iterable<StoredResult>,
): AsyncGenerator<FailedTest> {
  checkKind("failedTests()", "results", results, "what readResults() gives");
  for await (
    const { platform, test, source, own } of readStoredTests(results)
  ) {
    const status = own ? own.status : NO_RESULT;
    if (status === undefined || !isFailing(status)) continue;
    yield {
      platform,
      test,
      status,
      ...(own?.note !== undefined && { note: own.note }),
      ...(source !== undefined && { source }),
    };
  }
}
