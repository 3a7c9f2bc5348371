/**
 * Ready-made rules for orchestrators: which test runs next, which failed test is
 * run again, which test leaves its system unusable.
 *
 * A rule of the option `next` *narrows* the tests that could run; several are
 * applied in order, and the first of what is left runs. A rule of your own is a
 * function.
 *
 * @example The highest priority first; of those without one what last ran there, then the longest
 * ```ts
 * import {
 *   affinity,
 *   byPriority,
 *   destructiveTag,
 *   longestFirst,
 *   reruns,
 * } from "jsr:@atex/atex/orchestrators/policies";
 *
 * const tests = {
 *   data: new Map([
 *     ["/boot/quick", { "extra-priority": 10 }],
 *     ["/boot/full", { duration: "1h" }],
 *     ["/wipe", { tag: ["destructive"] }],
 *   ]),
 * };
 * const sameArea = affinity((test) => test.split("/")[1]);
 * const options = {
 *   next: [byPriority(tests), sameArea, longestFirst(tests)],
 *   rerun: reruns(2, { exitCodes: [1] }),
 *   destructive: destructiveTag(tests),
 * };
 * ```
 *
 * @module
 */
import { durationOf } from "../executors/fmf/duration.ts";
import { checkOptions, type Known } from "../options.ts";
import type {
  DestructiveRule,
  NextRule,
  RerunRule,
  SetupInfo,
} from "./orchestrator.ts";

/** Metadata of tests by name: what `discover` gives, or an object of your own. */
export interface TestMetadata {
  /** The keys of each test, by its name. */
  readonly data: ReadonlyMap<string, Readonly<Record<string, unknown>>>;
}

/** Options of {@linkcode byRank}. */
export interface ByRankOptions {
  /**
   * Whether of the tests with this number only the first one is left, so that the
   * rules after this one have no say.
   *
   * @default never
   */
  decides?: ((rank: number) => boolean) | undefined;
}

const RANK_OPTIONS: Known<ByRankOptions> = {
  decides: "optional",
};

/**
 * Narrows to the tests with the smallest number. The queue is sorted by it once,
 * when the run begins, so that it costs nothing later.
 *
 * @example Shorter names first
 * ```ts
 * import { byRank } from "jsr:@atex/atex/orchestrators/policies";
 *
 * const shortNames = byRank((test) => test.length);
 * ```
 */
export function byRank(
  rank: (test: string) => number,
  options: ByRankOptions = {},
): NextRule {
  checkOptions("byRank()", options, RANK_OPTIONS);
  const { decides } = options;
  const narrow = (candidates: readonly string[]) => {
    const ranks = candidates.map(rank);
    const first = ranks.reduce((a, b) => Math.min(a, b), Infinity);
    const left = candidates.filter((_, index) => ranks[index] === first);
    return decides?.(first) ? left.slice(0, 1) : left;
  };
  return Object.assign(narrow, { rank, ...(decides && { decides }) });
}

/**
 * Puts tests in the order of `extra-priority`, the highest first, and of the same
 * one in the order of the queue. Tests without one have priority 0: only they are
 * left to the rules after this one, and those of a negative one run when nothing
 * else is left.
 *
 * @throws {TypeError} if an `extra-priority` is not a number
 */
export function byPriority(tests: TestMetadata): NextRule {
  const ranks = new Map<string, number>();
  for (const [test, { "extra-priority": priority = 0 }] of tests.data) {
    if (typeof priority !== "number" || Number.isNaN(priority)) {
      throw new TypeError(
        `Cannot order tests by priority: "extra-priority" of "${test}" is ${
          Deno.inspect(priority)
        }, it must be a number`,
      );
    }
    ranks.set(test, -priority);
  }
  return byRank((test) => ranks.get(test) ?? 0, {
    decides: (rank) => rank !== 0,
  });
}

/**
 * Puts tests with an explicit `duration` first, the longest before the others, and
 * of the same one in the order of the queue. Only tests without one are left to
 * the rules after this one.
 *
 * @throws {TypeError} if a `duration` cannot be understood
 */
export function longestFirst(tests: TestMetadata): NextRule {
  const ranks = new Map<string, number>();
  for (const [test, { duration }] of tests.data) {
    if (duration === undefined || duration === null) continue;
    try {
      ranks.set(test, -durationOf(duration));
    } catch (cause) {
      throw new TypeError(
        `Cannot order tests by duration: "duration" of "${test}" is ${
          Deno.inspect(duration)
        }: ${cause instanceof Error ? cause.message : cause}`,
        { cause },
      );
    }
  }
  return byRank((test) => ranks.get(test) ?? Infinity, {
    decides: (rank) => rank !== Infinity,
  });
}

/**
 * Narrows to the tests with the same key as the test that ran last on the
 * system, so that they can use what it left there. No key, or a system on which
 * nothing ran yet, leaves the choice to the next rule.
 *
 * @example Tests of the same directory
 * ```ts
 * import { affinity } from "jsr:@atex/atex/orchestrators/policies";
 *
 * const sameDirectory = affinity((test) => test.slice(0, test.lastIndexOf("/")));
 * ```
 */
export function affinity(key: (test: string) => unknown): NextRule {
  const narrow: NextRule = (candidates, { previous }) => {
    const wanted = previous && key(previous.test);
    if (wanted === undefined) return candidates;
    return candidates.filter((test) => key(test) === wanted);
  };
  return Object.assign(narrow, { key });
}

/**
 * Gives tests that are tagged `destructive` to systems on which nothing ran yet,
 * and the others to those on which something ran, so that what tests leave there
 * for each other is not thrown away.
 *
 * @example
 * ```ts
 * import { destructiveOnFresh } from "jsr:@atex/atex/orchestrators/policies";
 *
 * const tests = { data: new Map([["/wipe", { tag: ["destructive"] }]]) };
 * const next = [destructiveOnFresh(tests)];
 * ```
 */
export function destructiveOnFresh(tests: TestMetadata): NextRule {
  const destructive = tagged(tests, "destructive");
  return (candidates: readonly string[], { previous }: SetupInfo) =>
    candidates.filter((test) => destructive.has(test) === !previous);
}

/** Options of {@linkcode reruns}. */
export interface RerunsOptions {
  /**
   * Exit codes after which a test is run again. An error of the executor always
   * qualifies.
   *
   * @default every code but 0
   */
  exitCodes?: readonly number[] | undefined;
}

const RERUNS_OPTIONS: Known<RerunsOptions> = {
  exitCodes: "optional",
};

/**
 * Runs a failed test again, at most `count` times.
 *
 * @throws {RangeError} if `count` is not an integer of at least 0
 */
export function reruns(count: number, options: RerunsOptions = {}): RerunRule {
  checkOptions("reruns()", options, RERUNS_OPTIONS);
  if (!Number.isInteger(count) || count < 0) {
    throw new RangeError(
      `Cannot rerun tests ${count} times: it must be an integer of at least 0`,
    );
  }
  const { exitCodes } = options;
  const rule: RerunRule = ({ attempt, exitCode, error }) =>
    attempt <= count &&
    (error !== undefined || !exitCodes || exitCodes.includes(exitCode!));
  return Object.assign(rule, { limit: count });
}

/**
 * Takes a system as unusable after a test that is tagged `destructive`, whatever
 * its exit code. Of other tests `otherwise` decides.
 *
 * @param otherwise by default, a system is unusable after an exit code other than 0
 */
export function destructiveTag(
  tests: TestMetadata,
  otherwise: DestructiveRule = ({ exitCode }) => exitCode !== 0,
): DestructiveRule {
  const destructive = tagged(tests, "destructive");
  return (info) => destructive.has(info.test) || otherwise(info);
}

/** Names of the tests with this tag. */
function tagged(tests: TestMetadata, wanted: string): Set<string> {
  const names = new Set<string>();
  for (const [test, { tag }] of tests.data) {
    const tags = Array.isArray(tag) ? tag : [tag];
    if (tags.includes(wanted)) names.add(test);
  }
  return names;
}
