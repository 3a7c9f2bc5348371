import type { NextRule, SetupInfo } from "./orchestrator.ts";
import { shown } from "./_given.ts";

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

/** Tests in the order in which they came, of which any can be taken out. */
class Line {
  /** From `#next` on, while they are taken in turn: a set needs four times the memory. */
  #tests: string[];
  #next = 0;
  /** All of them, once one was taken out of turn. */
  #set: Set<string> | undefined;
  /** Finds the first one from where it was, since none is left before that. */
  #first: Iterator<string> | undefined;

  constructor(tests: string[] = []) {
    this.#tests = tests;
  }

  get size(): number {
    return this.#set?.size ?? this.#tests.length - this.#next;
  }

  push(test: string): void {
    if (this.#set) this.#set.add(test);
    else this.#tests.push(test);
  }

  all(): string[] {
    return this.#set ? [...this.#set] : this.#tests.slice(this.#next);
  }

  /** Takes the first one. There must be one. */
  shift(): string {
    if (this.#set) return this.#shiftSet(this.#set);
    const test = this.#tests[this.#next++];
    // what was taken is forgotten when it is the larger half
    if (this.#next >= 32 && this.#next > this.#tests.length / 2) {
      this.#tests = this.all();
      this.#next = 0;
    }
    return test;
  }

  #shiftSet(tests: Set<string>): string {
    let next = this.#first?.next();
    if (!next || next.done) {
      this.#first = tests.values();
      next = this.#first.next() as IteratorYieldResult<string>;
    }
    tests.delete(next.value);
    return next.value;
  }

  /** Takes one; returns whether it was there. */
  remove(test: string): boolean {
    if (!this.#set) {
      this.#set = new Set(this.all());
      this.#tests = [];
    }
    return this.#set.delete(test);
  }
}

/** The same tests by their keys. */
class Groups {
  readonly #keys = new Map<string, unknown>();
  readonly #lines = new Map<unknown, Line>();

  constructor(tests: readonly string[], keyOf: (test: string) => unknown) {
    for (const test of tests) {
      this.#keys.set(test, keyOf(test));
      this.push(test);
    }
  }

  /** Takes one back. */
  push(test: string): void {
    const key = this.#keys.get(test);
    const line = this.#lines.get(key) ?? new Line();
    this.#lines.set(key, line);
    line.push(test);
  }

  remove(test: string): void {
    this.#lines.get(this.#keys.get(test))?.remove(test);
  }

  of(key: unknown): Line | undefined {
    return this.#lines.get(key);
  }
}

/** Tests that no rule with a rank tells apart. */
class Bucket extends Line {
  /** Its place among the buckets: smaller ones run earlier. */
  readonly order: number;
  /** Whether no rule has a say in which of them runs first. */
  readonly decided: boolean;
  #groups?: Groups;

  constructor(order: number, tests: string[] = [], decided = false) {
    super(tests);
    this.order = order;
    this.decided = decided;
  }

  override push(test: string): void {
    super.push(test);
    this.#groups?.push(test);
  }

  override shift(): string {
    const test = super.shift();
    this.#groups?.remove(test);
    return test;
  }

  override remove(test: string): boolean {
    this.#groups?.remove(test);
    return super.remove(test);
  }

  /** The tests by their keys; to be called before any is taken out. */
  groups(keyOf: (test: string) => unknown): Groups {
    return this.#groups ??= new Groups(this.all(), keyOf);
  }
}
/**
 * The tests that wait, in the order in which they are to run. The leading rules
 * that have a rank sort them once; only the tests that these leave equal are
 * shown to the other rules, of which the first one may group them by its keys.
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
    const line = lineFor(this.#rules[this.#ranked], this.#ranked, bucket, info);
    const others = line ? this.#ranked + 1 : this.#ranked;
    if (line && others === this.#rules.length) {
      const test = line.shift();
      if (line !== bucket) bucket.remove(test);
      return test;
    }
    let candidates: readonly string[] = (line ?? bucket).all();
    let last = this.#ranked;
    for (let i = others; i < this.#rules.length; i++) {
      const left = narrow(this.#rules[i], i, candidates, info);
      if (left.length === 0) continue;
      candidates = left;
      last = i;
    }
    const [test] = candidates;
    if (bucket.remove(test)) return test;
    throw new NextRuleError(
      `rule ${last + 1} of "next" named ${
        shown(test)
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
  if (rules.length === 0) {
    return tests.length === 0 ? [] : [new Bucket(0, [...tests])];
  }
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
  order.sort((a, b) => compare(a, b) || a - b);
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

/** What a rule with keys leaves; undefined if it has none. */
function lineFor(
  rule: NextRule,
  index: number,
  bucket: Bucket,
  { previous }: SetupInfo,
): Line | undefined {
  if (!rule.key) return undefined;
  try {
    const groups = bucket.groups((test) => rule.key!(test));
    const key = previous && rule.key(previous.test);
    const group = key === undefined ? undefined : groups.of(key);
    return group && group.size > 0 ? group : bucket;
  } catch (cause) {
    throw threw(index, cause);
  }
}

function threw(index: number, cause: unknown): NextRuleError {
  const message = `rule ${index + 1} of "next" threw`;
  return new NextRuleError(message, "PolicyFailed", cause);
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
    throw threw(index, cause);
  }
  if (Array.isArray(left)) return left;
  throw new NextRuleError(
    `rule ${index + 1} of "next" gave ${
      shown(left)
    } instead of a list of tests`,
    "PolicyFailed",
  );
}
