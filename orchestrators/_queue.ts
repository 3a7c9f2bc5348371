import type { NextRule, SetupInfo } from "./orchestrator.ts";

/** A rule of the option `next` cannot be followed. */
export class NextRuleError extends Error {
  /** Whether a rule named a test that was not offered, or threw. */
  readonly kind: "InvalidNextTest" | "PolicyFailed";

  constructor(message: string, kind: NextRuleError["kind"], cause?: unknown) {
    super(message, { cause });
    this.name = "NextRuleError";
    this.kind = kind;
  }
}

/** Tests that no rule with a rank tells apart, in the order in which they came. */
class Bucket {
  /** Its place among the buckets: smaller ones run earlier. */
  readonly order: number;
  /** The tests from `#head` on; holes are tests that were taken out of turn. */
  #tests: (string | undefined)[];
  #head = 0;
  size: number;
  /** Whether no rule has a say in which of them runs first. */
  readonly decided: boolean;

  constructor(order: number, tests: string[] = [], decided = false) {
    this.order = order;
    this.decided = decided;
    this.#tests = tests;
    this.size = tests.length;
  }

  push(test: string): void {
    this.#tests.push(test);
    this.size++;
  }

  all(): string[] {
    return this.#tests.slice(this.#head).filter((test) => test !== undefined);
  }

  /** Takes out the first one; there must be one. */
  shift(): string {
    while (this.#tests[this.#head] === undefined) this.#head++;
    const test = this.#tests[this.#head]!;
    this.#tests[this.#head++] = undefined;
    this.#taken();
    return test;
  }

  /** Takes out this one; false if it is not there. */
  remove(test: string): boolean {
    if (typeof test !== "string") return false; // a rule may give what equals a hole
    const index = this.#tests.indexOf(test, this.#head);
    if (index === -1) return false;
    this.#tests[index] = undefined;
    this.#taken();
    return true;
  }

  #taken(): void {
    this.size--;
    const used = this.#tests.length;
    if (used < 32 || this.size > used / 2) return;
    this.#tests = this.all();
    this.#head = 0;
  }
}

/**
 * The tests that wait, in the order in which they are to run. The leading rules
 * that have a rank sort them once; only the tests that these leave equal are
 * shown to the other rules.
 */
export class TestQueue {
  /** Absent if there is only one. */
  readonly #bucketOf: ReadonlyMap<string, Bucket> | undefined;
  readonly #first: Bucket;
  /** Buckets that hold tests, the one to serve next at the end. */
  readonly #filled: Bucket[];
  readonly #rules: readonly NextRule[];
  readonly #ranked: number;
  #size = 0;

  /**
   * @throws {TypeError} if a rank is not a number
   */
  constructor(tests: readonly string[], rules: readonly NextRule[]) {
    const other = rules.findIndex((rule) => !rule.rank);
    this.#ranked = other === -1 ? rules.length : other;
    this.#rules = rules;
    const buckets = fillBuckets(tests, rules.slice(0, this.#ranked));
    this.#first = buckets[0] ?? new Bucket(0);
    this.#bucketOf = buckets.length > 1 ? byTest(buckets) : undefined;
    this.#filled = buckets.reverse();
    this.#size = tests.length;
  }

  /** How many tests wait. */
  get size(): number {
    return this.#size;
  }

  /** Puts a test of this queue at the end of those with the same ranks. */
  push(test: string): void {
    const bucket = this.#bucketOf?.get(test) ?? this.#first;
    if (bucket.size === 0) this.#fill(bucket);
    bucket.push(test);
    this.#size++;
  }

  #fill(bucket: Bucket): void {
    let low = 0;
    let high = this.#filled.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#filled[middle].order > bucket.order) low = middle + 1;
      else high = middle;
    }
    this.#filled.splice(low, 0, bucket);
  }

  /**
   * Takes out the test to run next on a system. There must be one.
   *
   * @throws {NextRuleError} if a rule names a test that is not offered, or throws
   */
  take(info: SetupInfo): string {
    const bucket = this.#filled.at(-1)!;
    const test = bucket.decided || this.#ranked === this.#rules.length
      ? bucket.shift()
      : this.#choose(bucket, info);
    if (bucket.size === 0) this.#filled.pop();
    this.#size--;
    return test;
  }

  #choose(bucket: Bucket, info: SetupInfo): string {
    let candidates: readonly string[] = bucket.all();
    let last = this.#ranked;
    for (let i = this.#ranked; i < this.#rules.length; i++) {
      const left = narrow(this.#rules[i], i, candidates, info);
      if (left.length === 0) continue;
      candidates = left;
      last = i;
    }
    const [test] = candidates;
    if (bucket.remove(test)) return test;
    throw new NextRuleError(
      `rule ${last + 1} of "next" named ${
        Deno.inspect(test)
      }, which was not offered to it`,
      "InvalidNextTest",
    );
  }
}

/** Sorts the tests by their ranks, and those that are equal by the order in which they came. */
function fillBuckets(
  tests: readonly string[],
  rules: readonly NextRule[],
): Bucket[] {
  const ranks = rules.map((rule, index) =>
    Float64Array.from(tests, (test) => rankOf(rule, index, test))
  );
  const compare = (a: number, b: number) => {
    for (let i = 0; i < ranks.length; i++) {
      const column = ranks[i];
      if (column[a] !== column[b]) return column[a] < column[b] ? -1 : 1;
      if (rules[i].decides?.(column[a])) return 0;
    }
    return 0;
  };
  const isDecided = (test: number) =>
    rules.some((rule, index) => rule.decides?.(ranks[index][test]));
  const order = Uint32Array.from(tests, (_, index) => index);
  if (ranks.length > 0) order.sort((a, b) => compare(a, b) || a - b);
  const buckets: Bucket[] = [];
  let previous = -1;
  for (const index of order) {
    if (previous === -1 || compare(previous, index) !== 0) {
      buckets.push(
        new Bucket(buckets.length, [tests[index]], isDecided(index)),
      );
    } else buckets.at(-1)!.push(tests[index]);
    previous = index;
  }
  return buckets;
}

function byTest(buckets: readonly Bucket[]): Map<string, Bucket> {
  const map = new Map<string, Bucket>();
  for (const bucket of buckets) {
    for (const test of bucket.all()) map.set(test, bucket);
  }
  return map;
}

function rankOf(rule: NextRule, index: number, test: string): number {
  const rank = rule.rank!(test);
  if (typeof rank === "number" && !Number.isNaN(rank)) return rank;
  throw new TypeError(
    `Cannot order tests: rule ${index + 1} of "next" ranked "${test}" as ${
      Deno.inspect(rank)
    }, which is not a number`,
  );
}

function narrow(
  rule: NextRule,
  index: number,
  candidates: readonly string[],
  info: SetupInfo,
): readonly string[] {
  let left: unknown;
  try {
    left = rule(candidates, info);
  } catch (cause) {
    throw new NextRuleError(
      `rule ${index + 1} of "next" threw`,
      "PolicyFailed",
      cause,
    );
  }
  if (Array.isArray(left)) return left;
  throw new NextRuleError(
    `rule ${index + 1} of "next" gave ${
      Deno.inspect(left)
    } instead of a list of tests`,
    "PolicyFailed",
  );
}
