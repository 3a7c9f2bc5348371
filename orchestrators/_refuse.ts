/** What can be told before a run has cost anything. */
import type { Aggregator } from "../aggregators/aggregator.ts";
import type { Executor } from "../executors/executor.ts";
import type { Artifacts } from "./_environment.ts";
import { RefusedError } from "./_state.ts";

/**
 * Checks that aggregators were started, as far as they tell.
 *
 * @throws {RefusedError} if one was not
 */
export function refuseNotStarted(
  aggregators: Readonly<Record<string, Aggregator | undefined>>,
): void {
  for (const [name, aggregator] of Object.entries(aggregators)) {
    if (aggregator?.started !== false) continue;
    throw new RefusedError(
      "IngestFailed",
      `the "${name}" is not started, or was stopped: await its start() before the run`,
    );
  }
}

/**
 * Checks that an aggregator will take tests that are to be run.
 *
 * @throws {RefusedError} if it has some of them
 */
export function refuseStored(
  aggregator: Aggregator,
  platform: string,
  tests: readonly string[],
  journal?: string,
): void {
  if (!aggregator.count || aggregator.allowDuplicate) return;
  const stored = tests.filter((test) => aggregator.count!(platform, test) > 0);
  if (stored.length === 0) return;
  const what = stored.length === 1
    ? `the results of "${stored[0]}" are stored already`
    : `the results of ${stored.length} tests, "${
      stored[0]
    }" among them, are stored already`;
  throw new RefusedError(
    "ResultsExist",
    journal === undefined
      ? `${what}; to go on with a run, give it the "journal" with which it was begun; to begin anew, remove the results or give other paths`
      : `${what}, although the journal "${journal}" does not tell of them; to begin anew, remove both or give other paths`,
  );
}

/**
 * Checks that an executor has the tests.
 *
 * @throws {RefusedError} if it lacks one
 */
export function refuseUnknown(
  executor: Executor,
  tests: readonly string[],
): void {
  if (!executor.has) return;
  const unknown = tests.filter((test) => !executor.has!(test));
  if (unknown.length === 0) return;
  throw new RefusedError(
    "UnknownTest",
    unknown.length === 1
      ? `there is no test "${unknown[0]}"`
      : `there are no tests ${
        unknown.slice(0, 5).map((test) => `"${test}"`).join(", ")
      }${unknown.length > 5 ? ` and ${unknown.length - 5} more` : ""}`,
  );
}

/**
 * Makes the place for artifacts.
 *
 * @throws {RefusedError} if that is impossible
 */
export function openPlace(artifacts: Artifacts): void {
  try {
    artifacts.open();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : cause;
    throw new RefusedError(
      "IngestFailed",
      `there is no place for artifacts: ${why}`,
      cause,
    );
  }
}
