/** The words of the control channel. */
import { shorten } from "../../options.ts";
import { BadControlError } from "../executor.ts";

/** A change of the time that a test may take, in milliseconds. */
export type DurationChange =
  | { readonly how: "set" | "increment" | "decrement"; readonly ms: number }
  | { readonly how: "save" | "restore" };

/** What a line asks for. */
export type Order =
  /** JSON of this length follows. */
  | { readonly word: "result"; readonly length: number }
  | { readonly word: "exitcode"; readonly code: number }
  | { readonly word: "duration"; readonly change: DurationChange }
  | { readonly word: "disconnect" }
  | { readonly word: "noop" };

/** Bytes of the JSON of a result. */
const MAX_JSON = 16 * 1024 * 1024;

const LF = 10;
const RESULT = new TextEncoder().encode("result ");
/** Digits that can be summed up without a look at what comes out. */
const MAX_DIGITS = 9;

/**
 * The length that the line at this place announces, if all of it is there and it is
 * `result LENGTH` in its usual form; 0 for all others, which are for {@linkcode readLine}.
 */
export function lengthOfResult(bytes: Uint8Array, at: number): number {
  for (let i = 0; i < RESULT.length; i++) {
    if (bytes[at + i] !== RESULT[i]) return 0;
  }
  const start = at + RESULT.length;
  let length = 0;
  for (let i = start; i <= start + MAX_DIGITS; i++) {
    const byte = bytes[i];
    if (byte === LF) return length <= MAX_JSON ? length : 0;
    if (byte === undefined || byte < 48 || byte > 57) return 0;
    length = length * 10 + byte - 48;
  }
  return 0;
}

/**
 * Understands a line, without its end.
 *
 * @throws {BadControlError} if it breaks the rules
 */
export function readLine(line: string): Order {
  // deno-lint-ignore no-control-regex -- whatever is not ASCII
  if (/[^\u0000-\u007f]/.test(line)) throw badLine(line, "it is not ASCII");
  const space = line.indexOf(" ");
  const word = space === -1 ? line : line.slice(0, space);
  const argument = space === -1 ? "" : line.slice(space + 1);
  switch (word) {
    case "result": {
      const length = integer(argument);
      if (length === undefined) throw badLine(line, "it needs a length");
      if (length < 1 || length > MAX_JSON) {
        throw badLine(line, `the length is not from 1 to ${MAX_JSON}`);
      }
      return { word, length };
    }
    case "exitcode": {
      const code = integer(argument);
      if (code === undefined) throw badLine(line, "it needs an integer");
      return { word, code };
    }
    case "duration": {
      const change = durationChange(argument);
      if (change === undefined) {
        throw badLine(
          line,
          'it needs a duration such as 90, 15m, +1h or -30s, or "save" or "restore"',
        );
      }
      return { word, change };
    }
    case "disconnect":
    case "noop":
      return { word };
    default:
      throw badLine(
        line,
        line === "" ? "it is empty" : "its first word is unknown",
      );
  }
}

/** An integer with a sign, between white space of ASCII, that a number can hold. */
function integer(text: string): number | undefined {
  if (!/^[ \t\r\v\f]*[+-]?[0-9]+[ \t\r\v\f]*$/.test(text)) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value + 0 : undefined;
}

const UNITS: Record<string, number> = {
  "": 1000,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

function durationChange(text: string): DurationChange | undefined {
  if (text === "save" || text === "restore") return { how: text };
  const match = /^([+-]?)([0-9]+)([smhd]?)$/.exec(text);
  if (!match) return undefined;
  const [, sign, digits, unit] = match;
  const ms = Number(digits) * UNITS[unit!]!;
  if (!Number.isSafeInteger(ms)) return undefined;
  return {
    how: sign === "+" ? "increment" : sign === "-" ? "decrement" : "set",
    ms,
  };
}

/** The error for a line. */
export function badLine(line: string, reason: string): BadControlError {
  return new BadControlError(
    `Cannot understand the control line ${
      JSON.stringify(shorten(line, 80))
    }: ${reason}`,
  );
}
