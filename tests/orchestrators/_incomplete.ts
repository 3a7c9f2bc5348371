/** How runs end that are incomplete. */
import {
  OrchestratorError,
  type Run,
} from "../../orchestrators/orchestrator.ts";
import { rejected } from "../_thrown.ts";

/** What a run ends with that has to be incomplete. */
export function incomplete(run: Run): Promise<OrchestratorError> {
  return rejected(run.finished, OrchestratorError);
}
