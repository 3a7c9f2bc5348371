import { unicodeWidth } from "@std/cli/unicode-width";

/**
 * What a terminal may act on instead of showing it: control characters, marks
 * that change the direction of text, line separators, lone surrogates.
 */
const UNSAFE =
  // deno-lint-ignore no-control-regex
  /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]|\p{Surrogate}/gu;

/**
 * Makes text safe to print on one line, whatever bytes it was made from: what a
 * terminal would act on instead of showing it becomes U+FFFD.
 *
 * @example
 * ```ts
 * import { printable } from "jsr:@atex/atex/orchestrators/progress";
 *
 * console.log(printable("red \x1b[31m"));
 * ```
 */
export function printable(text: string): string {
  return text.replaceAll(UNSAFE, "\ufffd");
}

/** The same for text of several lines. */
export function printableLines(text: string): string {
  return text.split(/\r?\n/).map(printable).join("\n");
}

/** Cuts text to a width in terminal columns; a cut shows as an ellipsis. */
export function fit(text: string, columns: number): string {
  if (unicodeWidth(text) <= columns) return text;
  let result = "";
  let width = 0;
  for (const character of text) {
    width += unicodeWidth(character);
    if (width > columns - 1) break;
    result += character;
  }
  return columns > 0 ? `${result}…` : "";
}

/** Fills text with blanks up to a width in terminal columns. */
export function pad(text: string, columns: number): string {
  return text + " ".repeat(Math.max(0, columns - unicodeWidth(text)));
}

/**
 * A time span in milliseconds, for people: `0.4 s`, `12 s`, `3 min 20 s`, `2 h`.
 *
 * @example
 * ```ts
 * import { formatDuration } from "jsr:@atex/atex/orchestrators/progress";
 *
 * console.log(formatDuration(200_000)); // 3 min 20 s
 * ```
 */
export function formatDuration(ms: number): string {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  return minutes < 60
    ? twoUnits(minutes, "min", whole % 60, "s")
    : twoUnits(Math.floor(minutes / 60), "h", minutes % 60, "min");
}

function twoUnits(a: number, unitA: string, b: number, unitB: string): string {
  return b === 0 ? `${a} ${unitA}` : `${a} ${unitA} ${b} ${unitB}`;
}

/** `1 test`, `2 tests`. */
export function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? "" : "s"}`;
}
