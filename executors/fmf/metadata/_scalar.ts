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

const LONGEST_WORD = 5;

/** What no number and no date holds, nor `.inf` and `.nan`: one look spares those that follow. */
const NOT_NUMERIC = /[^\d\s_.:+a-fA-FiInNoxtTZ-]/;
const DECIMAL = /^[-+]?[0-9_]+$/;
const RADIX = /^[-+]?0(?:o[0-7_]+|x[0-9a-fA-F_]+|b[01_]+)$/;
const FLOAT =
  /^[-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)|\.[0-9_]+(?:[eE][-+][0-9]+)?)$/;
const NOT_FINITE = /^(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/;
const DATE = /^(\d{4})-(\d{2})-(\d{2})$/;
const LOOSE_DATE = /^(\d{4})-(\d\d?)-(\d\d?)$/;
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

/** The start of a day that exists. */
function dayOf(text: string, year: number, month: number, day: number): Date {
  const date = new Date(Date.UTC(2000, month - 1, day));
  date.setUTCFullYear(year, month - 1, day);
  if (
    year === 0 || date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day
  ) throw invalid(text, "date");
  return date;
}

function date(text: string, pattern = DATE): PlainDate | undefined {
  const match = pattern.exec(text);
  if (!match) return undefined;
  const [year, month, day] = match.slice(1).map(Number);
  const date = dayOf(text, year, month, day);
  return new PlainDate(date.toISOString().slice(0, 10));
}

function timestamp(text: string): Timestamp | undefined {
  const match = TIMESTAMP.exec(text);
  if (!match) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7)
    .map(Number);
  const [fraction = "", utc, sign, zoneHour, zoneMinute = "00"] = match.slice(
    7,
  );
  const time = dayOf(text, year, month, day);
  if (
    hour > 23 || minute > 59 || second > 59 ||
    Number(zoneHour ?? 0) > 23 || Number(zoneMinute) > 59
  ) throw invalid(text, "time");
  // a seventh digit rounds the sixth, which may well be the end of a year
  const micros = Number(fraction.slice(0, 6).padEnd(6, "0")) +
    (fraction.charAt(6) >= "5" ? 1 : 0);
  time.setUTCHours(hour, minute, second + Math.floor(micros / 1e6));
  if (time.getUTCFullYear() > 9999) throw invalid(text, "time");
  const offset = `${zoneHour?.padStart(2, "0")}:${zoneMinute}`;
  const zone = utc || sign && offset === "00:00"
    ? "+00:00"
    : sign
    ? sign + offset
    : "";
  return new Timestamp(
    time.toISOString().slice(0, 19).replace("T", " ") +
      (micros % 1e6 === 0 ? "" : "." + `${micros % 1e6}`.padStart(6, "0")) +
      zone,
  );
}

/** Types a plain scalar; what is nothing else is text. Throws for what looks like a date or number and is none. */
export function plainScalar(text: string): FmfScalar {
  if (text.length <= LONGEST_WORD) {
    const word = WORDS.get(text);
    if (word !== undefined) return word;
  }
  const first = text.charCodeAt(0);
  const isDigit = first >= 0x30 && first <= 0x39;
  // "+", "-", "."
  if (!isDigit && first !== 0x2b && first !== 0x2d && first !== 0x2e) {
    return text;
  }
  if (NOT_NUMERIC.test(text)) return text;
  if (DECIMAL.test(text)) return integer(text);
  if (FLOAT.test(text) || NOT_FINITE.test(text)) return float(text);
  if (RADIX.test(text)) return integer(text);
  if (!isDigit) return text;
  return date(text) ?? timestamp(text) ?? text;
}

const YES = /^(?:y|yes|true|on)$/i;
const NO = /^(?:n|no|false|off)$/i;

function explicitBoolean(text: string): boolean | undefined {
  return YES.test(text) ? true : NO.test(text) ? false : undefined;
}

function explicitInteger(text: string): number | bigint | undefined {
  const number = text.trim();
  return DECIMAL.test(number) || RADIX.test(number)
    ? integer(number)
    : undefined;
}

function explicitFloat(text: string): number | Float | undefined {
  const number = text.trim();
  if (/^[-+]?\.?nan$/i.test(number)) return NaN;
  if (/^[-+]?(?:\.?inf|infinity)$/i.test(number)) {
    return number.startsWith("-") ? -Infinity : Infinity;
  }
  return /^[-+]?(?:\d[\d_]*\.?[\d_]*|\.[\d_]+)(?:[eE][-+]?\d+)?$/.test(number)
    ? float(number)
    : undefined;
}

function binary(text: string): Uint8Array | undefined {
  const digits = text.replaceAll(/\s/g, "");
  if (
    !/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(
      digits,
    )
  ) return undefined;
  return Uint8Array.from(atob(digits), (char) => char.charCodeAt(0));
}

/** What a scalar with an explicit tag is, by the short name of the tag; undefined when it does not fit. */
export const TAGGED: Record<
  string,
  (text: string) => FmfScalar | undefined
> = {
  str: (text) => text,
  null: () => null,
  bool: explicitBoolean,
  int: explicitInteger,
  float: explicitFloat,
  timestamp: (text) => date(text, LOOSE_DATE) ?? timestamp(text),
  binary,
};
