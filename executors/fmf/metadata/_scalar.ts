/**
 * What a scalar of YAML is: the rules of YAML 1.2 with extensions, which no
 * stock schema has.
 */
import { FmfError, quote } from "./errors.ts";
import {
  type Float,
  type FmfScalar,
  makeFloat,
  makeInteger,
  PlainDate,
  Timestamp,
} from "./value.ts";

const WORDS = new Map<string, FmfScalar>([
  ["", null],
  ["~", null],
  ["null", null],
  ["Null", null],
  ["NULL", null],
  ["true", true],
  ["True", true],
  ["TRUE", true],
  ["false", false],
  ["False", false],
  ["FALSE", false],
]);

const DECIMAL = /^[-+]?[0-9_]+$/;
const RADIX = /^[-+]?0(?:o[0-7_]+|x[0-9a-fA-F_]+|b[01_]+)$/;
const FLOAT =
  /^[-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)|\.[0-9_]+(?:[eE][-+][0-9]+)?)$/;
const NOT_FINITE = /^(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/;
const DATE = /^(\d{4})-(\d{2})-(\d{2})$/;
const TIMESTAMP =
  /^(\d{4})-(\d\d?)-(\d\d?)(?:[Tt]|[ \t]+)(\d\d?):(\d\d):(\d\d)(?:\.(\d*))?(?:[ \t]*(?:(Z)|([-+])(\d\d?)(?::(\d\d))?))?$/;

function invalid(text: string, what: string): FmfError {
  return new FmfError("file", `${quote(text)} is no valid ${what}`, { text });
}

function integer(text: string): number | bigint {
  const digits = text.replace(/[-+_]/g, "");
  const negative = text.startsWith("-");
  if (/^(?:0[oxb])?$/.test(digits)) throw invalid(text, "integer");
  const number = Number(digits);
  if (Number.isSafeInteger(number)) return negative ? 0 - number : number;
  const big = BigInt(digits);
  return makeInteger(negative ? -big : big);
}

function float(text: string): number | Float {
  if (NOT_FINITE.test(text)) {
    if (/nan$/i.test(text)) return NaN;
    return text.startsWith("-") ? -Infinity : Infinity;
  }
  const digits = text.replaceAll("_", "");
  const number = Number(digits);
  if (Number.isNaN(number)) throw invalid(text, "float");
  return makeFloat(number);
}

function checkDate(text: string, [year, month, day]: number[]): void {
  const date = new Date(Date.UTC(2000, month - 1, day));
  date.setUTCFullYear(year, month - 1, day);
  if (
    year === 0 || date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day
  ) throw invalid(text, "date");
}

function date(text: string): PlainDate | undefined {
  const match = DATE.exec(text);
  if (!match) return undefined;
  checkDate(text, match.slice(1).map(Number));
  return new PlainDate(text);
}

function timestamp(text: string): Timestamp | undefined {
  const match = TIMESTAMP.exec(text);
  if (!match) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7);
  const [fraction = "", utc, sign, zoneHour, zoneMinute] = match.slice(7);
  checkDate(text, [Number(year), Number(month), Number(day)]);
  if (
    Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59 ||
    Number(zoneHour ?? 0) > 23 || Number(zoneMinute ?? 0) > 59
  ) throw invalid(text, "time");
  const two = (part = "") => part.padStart(2, "0");
  const micros = fraction.slice(0, 6).padEnd(6, "0");
  const zone = utc
    ? "+00:00"
    : sign
    ? `${sign}${two(zoneHour)}:${two(zoneMinute)}`
    : "";
  return new Timestamp(
    `${year}-${two(month)}-${two(day)} ${two(hour)}:${minute}:${second}` +
      (Number(micros) === 0 ? "" : `.${micros}`) + zone,
  );
}

/** Types a plain scalar; what is nothing else is text. Throws for what looks like a date or number and is none. */
export function plainScalar(text: string): FmfScalar {
  const word = WORDS.get(text);
  if (word !== undefined) return word;
  const first = text.charCodeAt(0);
  const isDigit = first >= 0x30 && first <= 0x39;
  // "+", "-", "."
  if (!isDigit && first !== 0x2b && first !== 0x2d && first !== 0x2e) {
    return text;
  }
  if (DECIMAL.test(text)) return integer(text);
  if (FLOAT.test(text) || NOT_FINITE.test(text)) return float(text);
  if (RADIX.test(text)) return integer(text);
  if (!isDigit) return text;
  return date(text) ?? timestamp(text) ?? text;
}

const YES = /^(?:yes|true|on)$/i;
const NO = /^(?:no|false|off)$/i;

function explicitBoolean(text: string): boolean | undefined {
  return YES.test(text) ? true : NO.test(text) ? false : undefined;
}

function explicitFloat(text: string): number | Float | undefined {
  if (!NOT_FINITE.test(text)) {
    if (!/^[-+]?(?:\d[\d_]*\.?[\d_]*|\.[\d_]+)(?:[eE][-+]?\d+)?$/.test(text)) {
      return undefined;
    }
  }
  return float(text);
}

function binary(text: string): Uint8Array | undefined {
  try {
    return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  } catch {
    return undefined;
  }
}

/** What a scalar with an explicit tag is, by the short name of the tag; undefined when it does not fit. */
export const TAGGED: Record<
  string,
  (text: string) => FmfScalar | undefined
> = {
  null: (text) => WORDS.get(text) === null ? null : undefined,
  bool: explicitBoolean,
  int: (text) =>
    DECIMAL.test(text) || RADIX.test(text) ? integer(text) : undefined,
  float: explicitFloat,
  timestamp: (text) => date(text) ?? timestamp(text),
  binary,
};
