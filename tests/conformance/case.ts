/**
 * What `run.ts` and the runner of a topic (`fmf.ts`, `control.ts`, `orchestrator.ts`, `aggregator.ts`) agree on:
 * the module of a topic exports `run`, a {@linkcode Runner}.
 */

/** What became of one case; `why` says what differs, or why it could not run. */
export interface CaseOutcome {
  name: string;
  outcome: "passed" | "failed" | "skipped";
  why?: string;
}

/**
 * Runs cases of one file, in order. `content` is the whole file; the schema is that of the topic's README. A case that does not hold is an outcome; an exception
 * is a failure of the case that comes next, and the cases after that are run anew.
 */
export type Runner = (
  // deno-lint-ignore no-explicit-any -- the runner knows the schema
  cases: any[],
  // deno-lint-ignore no-explicit-any -- the same
  content?: any,
) => AsyncIterable<CaseOutcome>;
