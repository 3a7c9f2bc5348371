/**
 * How long a test may take: durations as metadata writes them, and the limit
 * of a running test, which the test itself can move.
 *
 * @module
 */

const SECONDS: Record<string, bigint> = {
  s: 1n,
  m: 60n,
  h: 3600n,
  d: 86_400n,
};

/** Children may add to what they inherit, but nothing sensible gets longer. */
const MAX_LENGTH = 1000;

/** The value of digits of any alphabet, which Unicode keeps in rows of ten. */
function digits(text: string): bigint {
  const ascii = text.replace(/[^0-9]/gu, (digit) => {
    const point = digit.codePointAt(0)!;
    let zero = point;
    while (/\p{Nd}/u.test(String.fromCodePoint(zero - 1))) zero--;
    return String((point - zero) % 10);
  });
  return BigInt(ascii);
}

function malformed(value: unknown): TypeError {
  const text = String(value).slice(0, 100);
  const shown = typeof value === "string" ? JSON.stringify(text) : text;
  return new TypeError(
    `${shown} is no duration: it must be like 90, 90s, 15m, 1h30m or 5m *2`,
  );
}

/**
 * The milliseconds that a duration stands for: a sum of times, each a whole
 * number with the unit `s`, `m`, `h` or `d` (none means seconds), multiplied by
 * all factors `*NUMBER`, and rounded up to full seconds. Blanks between them
 * do not matter, except that they separate a time without unit from the next.
 *
 * @param value text, or a whole number of seconds
 * @param base milliseconds to multiply where there are only factors, 0 by default
 * @throws {TypeError} if it is no duration, or one beyond all measure
 *
 * @example
 * ```ts
 * import { parseDuration } from "jsr:@atex/atex/executors/fmf";
 *
 * console.log(parseDuration("1h 30m"), parseDuration("*2", 300_000)); // 5400000 600000
 * ```
 */
export function parseDuration(value: unknown, base = 0): number {
  const isWhole = typeof value === "bigint" ||
    (typeof value === "number" && Number.isSafeInteger(value));
  if (typeof value !== "string" && !isWhole) throw malformed(value);
  const text = String(value);
  if (text.length > MAX_LENGTH) throw malformed(value);
  const usual = /^([0-9]{1,9})([smhd]?)$/.exec(text);
  if (usual) {
    const ms = Number(usual[1]) * Number(SECONDS[usual[2] || "s"]) * 1000;
    if (Number.isSafeInteger(ms)) return ms;
  }
  let sum: bigint | undefined;
  let factor = 1n;
  let divisor = 1n;
  let at = 0;
  // not made before there is a duration, since such classes take their time
  const times = /(\p{Nd}+)\s*([smhd])?\s*/uy;
  const factors = /\*\s*(\p{Nd}+)(?:\.(\p{Nd}+))?(?![.smhd\p{Nd}])\s*/uy;
  do {
    times.lastIndex = factors.lastIndex = at;
    const time = times.exec(text);
    const match = time ?? factors.exec(text);
    if (!match) throw malformed(value);
    const [whole, number, rest = ""] = match;
    if (time) {
      sum = (sum ?? 0n) + digits(number) * SECONDS[rest || "s"];
    } else {
      factor *= digits(number + rest);
      divisor *= 10n ** BigInt(rest.length);
    }
    at += whole.length;
  } while (at < text.length);
  const total = (sum ?? BigInt(Math.ceil(base / 1000))) * factor;
  const result = Number((total + divisor - 1n) / divisor) * 1000;
  if (!Number.isSafeInteger(result)) throw malformed(value);
  return result;
}

/** How long a test may take that says nothing about it, in milliseconds. */
const DEFAULT = 300_000;

/**
 * The milliseconds that a test may take whose metadata has this `duration`:
 * five minutes without one, which factors alone multiply.
 *
 * @throws {TypeError} as {@linkcode parseDuration} does
 */
export function durationOf(value: unknown): number {
  return value === undefined || value === null
    ? DEFAULT
    : parseDuration(value, DEFAULT);
}

/** Options of {@linkcode DurationLimit}. */
export interface DurationLimitOptions {
  /**
   * A clock that never goes back, in milliseconds.
   *
   * @default {() => performance.now()}
   */
  now?: () => number;
  /**
   * Called when the limit has moved, for example to move a timer.
   *
   * @default nothing
   */
  onChange?: (limit: DurationLimit) => void;
}

/** The limit of a running test. All times are in milliseconds. */
export class DurationLimit {
  readonly #now: () => number;
  readonly #onChange: ((limit: DurationLimit) => void) | undefined;
  #end: number;
  #saves = 0;
  #saved = 0;

  /** Starts the clock. */
  constructor(duration: number, options: DurationLimitOptions = {}) {
    this.#now = options.now ?? (() => performance.now());
    this.#onChange = options.onChange;
    this.#end = this.#now() + duration;
  }

  /** How much time is left; negative when it is over. */
  get remaining(): number {
    return this.#end - this.#now();
  }

  /** Starts again with this time. */
  set(duration: number): void {
    this.#move(this.#now() + duration);
  }

  /** Adds time. */
  increment(duration: number): void {
    this.#move(this.#end + duration);
  }

  /** Takes time away. */
  decrement(duration: number): void {
    this.#move(this.#end - duration);
  }

  /** Remembers the time that is left; of several in a nest only the first does. The clock goes on. */
  save(): void {
    if (this.#saves++ === 0) this.#saved = this.remaining;
  }

  /** Goes back to the time that was left at the outermost `save`, when as many `restore` as `save` came; without one, nothing happens. */
  restore(): void {
    if (this.#saves === 0 || --this.#saves > 0) return;
    this.#move(this.#now() + this.#saved);
  }

  #move(end: number): void {
    this.#end = end;
    this.#onChange?.(this);
  }
}
