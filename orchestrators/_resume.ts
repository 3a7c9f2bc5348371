/** Going on with a run where earlier processes were interrupted. */
import type { Aggregator, EarlierAttempt } from "../aggregators/aggregator.ts";
import type { TestOutcome } from "./orchestrator.ts";
import type { Artifacts } from "./_environment.ts";
import type { Past, PastAttempt } from "./_journal_format.ts";
import { asEarlier } from "./_outcome.ts";

/** What there is to know from, beside the journal. */
export interface Evidence {
  platform: string;
  tests: readonly string[];
  aggregator: Aggregator;
  /** For attempts that were followed by a rerun. */
  earlier?: Aggregator;
  artifacts: Pick<Artifacts, "look">;
  /** See {@linkcode Session.boot}. */
  boot?: string | undefined;
}

/** Results that are still where the test left them. */
export interface Leftover {
  outcome: TestOutcome;
  attributes: Readonly<Record<string, string>>;
  artifacts: string;
  aggregator: Aggregator;
  earlier: boolean;
  history: readonly EarlierAttempt[];
  /** How often the test was stored before it. */
  storedBefore: number;
}

/** What is to be done. */
export interface Plan {
  /** Final outcomes that are stored. */
  done: TestOutcome[];
  /** Where the output of those that failed is, as far as the journal tells. */
  outputs: Map<string, string>;
  /** Those of them of which the journal does not tell. */
  concluded: TestOutcome[];
  /** Outcomes that were followed by a rerun. */
  again: TestOutcome[];
  /** What is to be stored, of each test in the order of attempts. */
  leftovers: Leftover[];
  /** Tests to run, in the order given. */
  tests: string[];
  /** How often these were run. */
  attempts: Map<string, number>;
  /** What came of that. */
  history: Map<string, EarlierAttempt[]>;
  /** How often they were stored before the first time. */
  storedBefore: Map<string, number>;
  /** Tests whose last attempt was interrupted. */
  interrupted: string[];
}

const INTERRUPTED: EarlierAttempt = { status: "infra", note: "interrupted" };

/** Finds out what is left to do. Only looks. */
export function planFrom(past: Past, evidence: Evidence): Plan {
  const plan: Plan = {
    done: [],
    outputs: new Map(),
    concluded: [],
    again: [],
    leftovers: [],
    tests: [],
    attempts: new Map(),
    history: new Map(),
    storedBefore: new Map(),
    interrupted: [],
  };
  for (const test of evidence.tests) {
    const attempts = past.attempts.get(test) ?? [];
    planTest(plan, test, attempts, evidence);
  }
  return plan;
}

function planTest(
  plan: Plan,
  test: string,
  attempts: readonly PastAttempt[],
  evidence: Evidence,
): void {
  const history: EarlierAttempt[] = [];
  const storedBefore = attempts.reduce(
    (least, { storedBefore = 0 }) => Math.min(least, storedBefore),
    attempts[0]?.storedBefore ?? 0,
  );
  for (const attempt of attempts) {
    const { ended, artifacts } = attempt;
    if (ended?.rerun) {
      plan.again.push(ended.outcome);
      const { earlier: aggregator } = evidence;
      const known = attempts.filter((one) => one.stored && one.ended?.rerun)
        .length;
      if (aggregator && isMissing(attempt, aggregator, known, evidence)) {
        plan.leftovers.push({
          ...ended,
          artifacts,
          aggregator,
          earlier: true,
          history: [...history],
          storedBefore: known,
        });
      }
    } else if (ended && attempt === attempts.at(-1)) {
      const { aggregator } = evidence;
      if (isMissing(attempt, aggregator, storedBefore, evidence)) {
        plan.leftovers.push({
          ...ended,
          artifacts,
          aggregator,
          earlier: false,
          history,
          storedBefore,
        });
        return;
      }
    }
    history.push(ended ? asEarlier(ended.outcome) : INTERRUPTED);
  }
  const last = attempts.at(-1);
  if (last && isStored(last, storedBefore, evidence)) {
    const { ended, stored, output } = last;
    if (output !== undefined) plan.outputs.set(test, output);
    plan.done.push(ended?.outcome ?? unknownOutcome(last));
    if (ended && !stored) plan.concluded.push(ended.outcome);
    return;
  }
  plan.tests.push(test);
  if (!last) return;
  plan.attempts.set(test, last.attempt);
  plan.history.set(test, history);
  plan.storedBefore.set(test, storedBefore);
  if (!last.ended) plan.interrupted.push(test);
}

/** Whether the final results of a test are stored. */
function isStored(
  { test, ended, given, stored, artifacts }: PastAttempt,
  before: number,
  { platform, aggregator, artifacts: all }: Evidence,
): boolean {
  const { count, countsAll = true } = aggregator;
  if (count) {
    const counted = aggregator.count!(platform, test) > before;
    // what it says counts, also if the journal knows less or the results were removed
    if (countsAll || !counted) return counted;
  }
  if (!ended || ended.rerun || !given) return false;
  // by its contract it removes the results file when it has taken all
  return stored ?? all.look(artifacts)?.results === false;
}

/** Whether results of an attempt are not stored, but still there to be stored. */
function isMissing(
  { test, given, stored, session, artifacts }: PastAttempt,
  aggregator: Aggregator,
  before: number,
  { platform, artifacts: all, boot }: Evidence,
): boolean {
  if (stored) return false;
  if (given && stored === undefined && aggregator.countsAll !== false) {
    if ((aggregator.count?.(platform, test) ?? 0) > before) return false;
  }
  // what was not flushed before a restart of the host may be there in part
  const sure = stored === false || boot !== undefined && session.boot === boot;
  if (!sure) return false;
  const left = all.look(artifacts);
  return left !== undefined && (left.results || !given);
}

/** It is stored, but the journal could not be written to the end. */
function unknownOutcome(
  { test, attempt }: PastAttempt,
): TestOutcome {
  const error = new Error(`the journal does not tell what came of "${test}"`);
  const never = { startedAt: 0, finishedAt: 0 };
  return { test, attempt, error, remote: "unknown", ...never };
}
