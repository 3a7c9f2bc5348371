/** What statuses of tests mean to whoever reads a report. */

/**
 * What a test has instead of a status that has results of parts, but none of its own.
 *
 * @example Tests that did not say how they ended
 * ```ts
 * import { failedTests, NO_RESULT, readResults } from "jsr:@atex/atex/aggregators/reader";
 *
 * for await (const { test, status } of failedTests(readResults("out/results.jsonl"))) {
 *   if (status === NO_RESULT) console.log(test);
 * }
 * ```
 */
export const NO_RESULT = "no result";

/** Statuses of tests that somebody has to look at. */
export const FAILING: ReadonlySet<string> = new Set([
  "fail",
  "error",
  "infra",
  NO_RESULT,
]);

/** Statuses of tests that passed. */
export const PASSED: ReadonlySet<string> = new Set(["pass", "info", "warn"]);

/**
 * Whether somebody has to look at a test, or a part of one, of this status: `fail`,
 * `error`, `infra` (it could not be carried out), or `no result` (as
 * `compareResults()` calls a test that has only results of its parts).
 *
 * @example Parts that failed
 * ```ts
 * import { isFailing, readResults } from "jsr:@atex/atex/aggregators/reader";
 *
 * for await (const { test, subtest, status } of readResults("out/results.jsonl")) {
 *   if (subtest && isFailing(status)) console.log(test, subtest);
 * }
 * ```
 */
export function isFailing(status: string | undefined): boolean {
  return status !== undefined && FAILING.has(status);
}
