/** What it means that a start of a test has ended. */
import type { LaunchEnd } from "./_launch.ts";
import type { ControlChannel } from "./reporter.ts";
import { CONTROL_CLOSED, NOT_STARTED } from "./wrapper.ts";

/** What is known when a start of a test has ended. */
export interface TestEnd {
  /** Why the control channel was not read any more. */
  readonly how: LaunchEnd;
  /** What the command ended with; undefined if somebody still held it after the test was over. */
  readonly code: number | undefined;
  /** Absent if the set-up did not end. */
  readonly channel:
    | Pick<ControlChannel, "started" | "ended" | "exitCode" | "disconnected">
    | undefined;
}

/** What to make of it. */
export type Verdict =
  /** The test did not begin: the set-up failed, or a start after a restart. */
  | { readonly is: "not-started"; readonly inSetup: boolean }
  /** The test was over before whatever came of the command and the channel. */
  | { readonly is: "over"; readonly exitCode: number }
  /** The system went away, as announced. */
  | { readonly is: "away" }
  /** The wrapper came to its end, with or without an exit code of the test. */
  | { readonly is: "complete"; readonly exitCode: number | undefined }
  /** The wrapper did not come to its end, of itself or with the connection. */
  | { readonly is: "cut-off"; readonly by: "wrapper" | "connection" };

/** Decides how a test goes on. */
export function judgeEnd({ how, code, channel }: TestEnd): Verdict {
  if (!channel?.started) {
    return { is: "not-started", inSetup: channel === undefined };
  }
  const { ended, exitCode, disconnected } = channel;
  if (ended && exitCode !== undefined && (how === "grace" || code !== 0)) {
    return { is: "over", exitCode };
  }
  // over a slow link the wrapper does not see that nobody reads what it writes last
  if (disconnected && (code !== 0 || exitCode === undefined)) {
    return { is: "away" };
  }
  if (code === 0) return { is: "complete", exitCode };
  const isOurs = code === CONTROL_CLOSED || code === NOT_STARTED;
  return { is: "cut-off", by: isOurs ? "wrapper" : "connection" };
}
