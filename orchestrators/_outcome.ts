import type { EarlierAttempt } from "../aggregators/aggregator.ts";
import type { TestOutcome } from "./orchestrator.ts";
import type { RunEventBody } from "./_event_body.ts";

/** What a test that is run again looks like to aggregators. */
export function asEarlier({ exitCode, error }: TestOutcome): EarlierAttempt {
  return error
    ? { status: "infra", note: error.message }
    : { status: "fail", note: `exit code ${exitCode}` };
}

/** The event that tells of an outcome and what follows from it. */
export function testFinished(
  { test, attempt, remote, exitCode, error, startedAt, finishedAt }:
    TestOutcome,
  { destroyed, rerun }: { destroyed: boolean; rerun: boolean },
): RunEventBody {
  const type = "test-finished";
  const ms = finishedAt - startedAt;
  // a literal for each is several times faster than a part that is spread
  return error
    ? { type, test, attempt, remote, error, ms, destroyed, rerun }
    : { type, test, attempt, remote, exitCode, ms, destroyed, rerun };
}
