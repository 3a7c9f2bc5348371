/** How a run ends that is incomplete. */
import {
  OrchestratorError,
  type OrchestratorErrorKind,
  type RunSummary,
} from "./orchestrator.ts";

/** Why a run is incomplete. */
export interface Ending {
  readonly kind: OrchestratorErrorKind;
  /** As the end of a sentence. */
  readonly why: string;
  readonly cause?: unknown;
  /** What it would have ended with if it had not been aborted. */
  readonly before?: Ending;
}

/** The ending of a run that is aborted, whatever it was ending with before. */
export function abortedEnding(reason: unknown, before?: Ending): Ending {
  const aborted: Ending = {
    kind: "Aborted",
    why: "the run was aborted",
    cause: reason,
  };
  return before
    ? { ...aborted, why: `${aborted.why} after ${before.why}`, before }
    : aborted;
}

/** What `finished` rejects with. */
export function incomplete(
  { kind, why, cause, before }: Ending,
  summary: RunSummary,
): OrchestratorError {
  const { platform, tests, notRun } = summary;
  const rest = notRun.length > 0
    ? `; ${notRun.length} of ${tests} tests were not run`
    : "";
  return new OrchestratorError(
    `Cannot complete the run on "${platform}": ${why}${rest}`,
    kind,
    summary,
    { cause, before: before && incomplete(before, summary) },
  );
}
