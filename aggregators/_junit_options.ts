/** What JUnit reports have in common, however they are made. */
import { checkWord } from "../options.ts";
import { type JUnitOutcome, OUTCOME_WORDS } from "./_junit_case.ts";

/** Options of all of them. */
interface ReportOptions {
  outputTail?: number;
  statusMap?: Readonly<Record<string, JUnitOutcome>>;
}

/** What they have to be. */
export const REPORT_OPTIONS = {
  name: "a string, if given",
  subtests: ["separate", "none"],
  attachments: "a string, if given",
  outputTail: "a number, if given",
  statusMap: "an object, if given",
} as const;

/**
 * Checks what cannot be said by a kind.
 *
 * @throws {RangeError} if `outputTail` is no number of characters
 * @throws {TypeError} if a status is mapped to what is no outcome
 */
export function checkReportOptions(
  of: string,
  { outputTail = 0, statusMap = {} }: ReportOptions,
): void {
  if (!Number.isSafeInteger(outputTail) || outputTail < 0) {
    throw new RangeError(
      `Cannot take ${outputTail} characters of output: it must be a whole number`,
    );
  }
  for (const [status, outcome] of Object.entries(statusMap)) {
    checkWord(`"statusMap" of ${of}`, status, outcome, OUTCOME_WORDS);
  }
}
