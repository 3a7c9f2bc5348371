/** Test cases of JUnit, and how they are written in XML. */
import type { EarlierAttempt } from "./aggregator.ts";
import { exitCodeNote } from "./_stored_tests.ts";
import { xmlAttributes, xmlText } from "./_xml_text.ts";

/** How a test case ended, as JUnit knows it. */
export type JUnitOutcome = "passed" | "failure" | "error" | "skipped";

/** All of them. */
export const OUTCOME_WORDS: readonly JUnitOutcome[] = [
  "passed",
  "failure",
  "error",
  "skipped",
];

/** What is the same for all cases of a report. */
export interface JUnitHeader {
  /** Name of the whole. */
  name: string;
  /** Outcomes that are not the usual ones, by status. */
  statusMap?: Readonly<Record<string, JUnitOutcome>> | undefined;
  /** Whether another process may go on with the part, which then outlives the report. */
  continued?: boolean | undefined;
}

/** What is known of a test, or of a part of it. */
export interface JUnitCase {
  platform: string;
  test: string;
  /** Absent for the test itself. */
  subtest?: string | undefined;
  /** Whether there is no result, but only those of parts. */
  noResult?: boolean | undefined;
  status?: string | undefined;
  note?: string | undefined;
  exitCode?: number | undefined;
  remote?: string | undefined;
  attempt?: number | undefined;
  earlier?: readonly EarlierAttempt[] | undefined;
  startedAt?: number | undefined;
  durationMs?: number | undefined;
  /** What it printed, and lines that name its files. */
  output?: string | undefined;
}

const OUTCOMES: Readonly<Record<string, JUnitOutcome>> = {
  pass: "passed",
  info: "passed",
  warn: "passed",
  fail: "failure",
  error: "error",
  infra: "error",
  skip: "skipped",
};

/** Statuses that an outcome does not tell of. */
const UNSAID = new Set(["info", "warn", "infra"]);

/** How a case ended. What a part that was changed maps a status to may be no outcome. */
export function outcomeOf(
  { status, noResult }: Pick<JUnitCase, "status" | "noResult">,
  statusMap: JUnitHeader["statusMap"],
): JUnitOutcome {
  if (noResult) return "error";
  if (!status) return "skipped";
  for (const map of [statusMap ?? {}, OUTCOMES]) {
    const outcome = Object.hasOwn(map, status) ? map[status]! : undefined;
    if (outcome && OUTCOME_WORDS.includes(outcome)) return outcome;
  }
  return "skipped";
}

/** Milliseconds as JUnit wants them. */
export function seconds(ms: number): string {
  return (ms / 1000).toFixed(3);
}

/** A case as an element, with a newline. */
export function caseElement(
  it: JUnitCase,
  statusMap: JUnitHeader["statusMap"],
): string {
  const { platform, test, subtest, durationMs = 0, earlier = [] } = it;
  const tag = `testcase${
    xmlAttributes({
      name: subtest === undefined ? test : `${test} / ${subtest}`,
      // the part of a class name before the last dot would be its package
      classname: platform.replaceAll(".", "_"),
      time: seconds(durationMs),
    })
  }`;
  const outcome = outcomeOf(it, statusMap);
  const inside = [
    ...properties(it),
    ...problem(it, outcome),
    ...earlier.map((attempt) => earlierElement(attempt, outcome)),
    ...(it.output ? [`<system-out>${xmlText(it.output)}</system-out>`] : []),
  ];
  if (inside.length === 0) return `    <${tag}/>\n`;
  const lines = inside.map((line) => `      ${line}\n`).join("");
  return `    <${tag}>\n${lines}    </testcase>\n`;
}

function properties({ status, remote, attempt = 1 }: JUnitCase): string[] {
  const known = {
    status: status && (UNSAID.has(status) || !Object.hasOwn(OUTCOMES, status))
      ? status
      : undefined,
    system: remote,
    attempt: attempt > 1 ? attempt : undefined,
  };
  const lines = Object.entries(known)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `  <property${xmlAttributes({ name, value })}/>`);
  return lines.length === 0 ? [] : ["<properties>", ...lines, "</properties>"];
}

function problem(
  { status, note, exitCode, noResult }: JUnitCase,
  outcome: JUnitOutcome,
): string[] {
  if (outcome === "passed") return [];
  if (outcome === "skipped") {
    const message = note ||
      (status === "skip" ? undefined : `status: ${status || "none"}`);
    return [`<skipped${xmlAttributes({ message })}/>`];
  }
  const message = noResult
    ? "no result for the test itself"
    : note || exitCodeNote(exitCode) || "";
  const type = noResult ? "no-result" : status;
  return [
    `<${outcome}${xmlAttributes({ message, type })}>${
      xmlText(message)
    }</${outcome}>`,
  ];
}

function earlierElement(
  { status, note = "" }: EarlierAttempt,
  outcome: JUnitOutcome,
): string {
  const kind = outcome === "passed" ? "flaky" : "rerun";
  const what = status === "fail" ? "Failure" : "Error";
  return `<${kind}${what}${xmlAttributes({ message: note, type: status })}/>`;
}
