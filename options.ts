/** A look at options where they come in, and words for what is wrong: scripts are run without a check of their types. */
import { fromFileUrl } from "@std/path/posix/from-file-url";

/** All that an option can be, in the words of messages. */
const KINDS = {
  "a string": (value) => typeof value === "string",
  "a string or null": (value) => typeof value === "string" || value === null,
  "a path or a URL": (value) =>
    typeof value === "string" || value instanceof URL,
  "a number": (value) => typeof value === "number",
  "true or false": (value) => typeof value === "boolean",
  "a list": (value) => can(value, Symbol.iterator),
  "a list of strings": (value) => Array.isArray(value) && value.every(isText),
  "an object": isPlain,
  "an object of texts": (value) =>
    isPlain(value) && Object.values(value).every(isText),
  "a function": (value) => typeof value === "function",
  "a connection": (value) => can(value, "local"),
  "a provisioner": (value) => can(value, "getRemote"),
  "an aggregator": (value) => can(value, "ingest"),
  "an orchestrator": (value) => can(value, "run"),
  "a run": isIterable,
  "what sharedLimit() gives": (value) =>
    can(value, "acquire") && can(value, "tryAcquire"),
  "what discover() gives": (value) =>
    isObject(value) && "data" in value && can(value.data, "get"),
  "what readResults() gives": isIterable,
  /** For those that have a check of their own. */
  "anything": () => true,
} satisfies Record<string, (value: unknown) => boolean>;

/** What an option can be. */
export type Kind = keyof typeof KINDS;

const IF_GIVEN = ", if given";

/** What an option may be that need not be given: anything, of a kind, or one of some words. */
type Optional<Word extends string = string> =
  | "optional"
  | `${Kind}${typeof IF_GIVEN}`
  | readonly Word[];

/** All options of a class or a function. The compiler refuses a list that forgets one. */
export type Known<T> = {
  readonly [K in keyof T]-?: undefined extends T[K]
    ? Optional<Extract<T[K], string>>
    : Kind;
};

/**
 * Checks that all options are there that have to be, and that none is misspelt. Those
 * that resemble nothing are ignored: what has more than the options can be given for them.
 *
 * @param of whose options they are
 * @throws {TypeError} if one is missing, misspelt, or something else than it has to be
 */
export function checkOptions<T extends object>(
  of: string,
  options: T,
  known: Known<T>,
): void {
  const kinds: Readonly<Record<string, Kind | Optional>> = known;
  const needed = Object.keys(kinds).filter((name) => isNeeded(kinds[name]!));
  if (!isPlain(options)) {
    const right = needed.length > 0 ? ` with ${quoted(needed)}` : "";
    throw new TypeError(
      `Cannot use ${
        told(options)
      } as the options of ${of}: an object${right} would be right`,
    );
  }
  const given = options as Readonly<Record<string, unknown>>;
  const absent = Object.keys(kinds).filter((name) => given[name] === undefined);
  const strange = Object.keys(given).filter((name) =>
    given[name] !== undefined && !Object.hasOwn(kinds, name)
  );
  for (const name of strange) {
    const meant = nearest(name, absent);
    if (meant === undefined) continue;
    throw new TypeError(
      `Cannot use "${name}" as an option of ${of}: "${meant}" would be right`,
    );
  }
  const missing = needed.filter((name) => absent.includes(name));
  if (missing.length > 0) {
    const instead = strange.length > 0
      ? `, and there is no option ${quoted(strange, " or ")}`
      : "";
    throw new TypeError(
      `Cannot use the options of ${of}: ${quoted(missing)} ${
        missing.length > 1 ? "are" : "is"
      } missing${instead}`,
    );
  }
  for (const [name, kind] of Object.entries(kinds)) {
    const value = given[name];
    if (value === undefined || kind === "optional") continue;
    if (typeof kind === "string") {
      checkKind(of, name, value, kind.replace(IF_GIVEN, "") as Kind);
    } else checkWord(of, name, value, kind);
  }
}

function isNeeded(kind: Kind | Optional): kind is Kind {
  return typeof kind === "string" && kind !== "optional" &&
    !kind.endsWith(IF_GIVEN);
}

/** Whether a value is of that kind. */
export function isOfKind(value: unknown, kind: Kind): boolean {
  return KINDS[kind](value);
}

/**
 * Checks what one option, or one argument, is.
 *
 * @throws {TypeError} if it is something else
 */
export function checkKind(
  of: string,
  name: string,
  value: unknown,
  kind: Kind,
): void {
  if (!KINDS[kind](value)) throw wrongKind(of, name, value, kind);
}

/**
 * Checks that one option, or one argument, is one of some words.
 *
 * @throws {TypeError} if it is something else
 */
export function checkWord(
  of: string,
  name: string,
  value: unknown,
  words: readonly string[],
): void {
  if (words.some((word) => word === value)) return;
  throw wrongKind(of, name, value, quoted(words, " or "));
}

/**
 * Checks times by their names. `Infinity` is one, too.
 *
 * @throws {TypeError} if one is no number
 * @throws {RangeError} if one is not above 0, or with `orZero`, below it
 */
export function checkMilliseconds(
  times: Readonly<Record<string, number>>,
  { orZero = false } = {},
): void {
  const right = orZero
    ? "a number of milliseconds, 0 or more,"
    : "a positive number of milliseconds";
  for (const [name, ms] of Object.entries(times)) {
    if (typeof ms === "number" && (ms > 0 || orZero && ms === 0)) continue;
    throw wrongNumber(name, ms, right);
  }
}

/**
 * Checks counts by their names.
 *
 * @throws {TypeError} if one is no number
 * @throws {RangeError} if one is not a positive whole number, or with `orInfinity`, that
 */
export function checkCounts(
  counts: Readonly<Record<string, number>>,
  { orInfinity = false } = {},
): void {
  const right = `a positive whole number${orInfinity ? " or Infinity" : ""}`;
  for (const [name, count] of Object.entries(counts)) {
    if (Number.isInteger(count) && count > 0) continue;
    if (orInfinity && count === Infinity) continue;
    throw wrongNumber(name, count, right);
  }
}

function wrongNumber(name: string, value: unknown, right: string): Error {
  const message = `Cannot use ${
    told(value)
  } as "${name}": ${right} would be right`;
  return typeof value === "number"
    ? new RangeError(message)
    : new TypeError(message);
}

/**
 * The path that an option, or an argument, gives.
 *
 * @throws {TypeError} if it gives none
 */
export function pathOf(path: string | URL): string {
  if (typeof path === "string") return path;
  if (path instanceof URL && path.protocol === "file:") {
    return fromFileUrl(path);
  }
  const what = path instanceof URL ? `a URL of "${path.protocol}"` : told(path);
  throw new TypeError(
    `Cannot use ${what} as a path: a string, or a URL of "file:", would be right`,
  );
}

/** At most so many characters of a text, for a message. */
export function shorten(text: string, most: number): string {
  if (text.length <= most) return text;
  // half a character would be none
  return `${text.slice(0, most - 1).replace(/[\ud800-\udbff]$/, "")}…`;
}

/** The error for an option, or an argument, that is something else than what is right. */
export function wrongKind(
  of: string,
  name: string,
  value: unknown,
  right: string,
): TypeError {
  return new TypeError(
    `Cannot use ${told(value)} as "${name}" of ${of}: ${right} would be right`,
  );
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** Neither a list nor a promise, nor what has no properties but entries. */
function isPlain(value: unknown): value is object {
  return isObject(value) && !Array.isArray(value) &&
    ![Promise, Map, Set].some((other) => value instanceof other);
}

function isIterable(value: unknown): boolean {
  return can(value, Symbol.asyncIterator) || can(value, Symbol.iterator);
}

function can(value: unknown, method: PropertyKey): boolean {
  return isObject(value) &&
    typeof (value as Record<PropertyKey, unknown>)[method] === "function";
}

/** What it is, but nothing of a text or an object, which may be secret. */
function told(value: unknown): string {
  if (typeof value === "string") return "a string";
  if (typeof value === "function") return "a function";
  if (Array.isArray(value)) return "a list";
  if (value instanceof Promise) return "a promise, which has to be awaited,";
  if (value instanceof Map) return "a Map";
  if (value instanceof Set) return "a Set";
  return isObject(value) ? "an object" : String(value);
}

function quoted(names: readonly string[], joint = " and "): string {
  return names.map((name) => `"${name}"`).join(joint);
}

/**
 * The one that was meant, if one was: it begins with the same letter, and of the others a
 * third at most is different, and not more than two. Of two letters, one may be.
 */
export function nearest(
  word: string,
  candidates: readonly string[],
): string | undefined {
  return candidates
    .map((other) => ({ other, far: distance(folded(word), folded(other)) }))
    .filter(({ other, far }) =>
      folded(word)[0] === folded(other)[0] &&
      far <= Math.max(1, Math.min(2, other.length / 3))
    )
    .sort((a, b) => a.far - b.far)[0]?.other;
}

function folded(name: string): string {
  return name.toLowerCase().replaceAll(/[-_]/g, "");
}

/** How many letters have to be added, left out, replaced or swapped to make `b` of `a`. */
function distance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = rows[i] = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = rows[i - 1][j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      row[j] = Math.min(replaced, rows[i - 1][j] + 1, row[j - 1] + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        row[j] = Math.min(row[j], rows[i - 2][j - 2] + 1);
      }
    }
  }
  return rows[a.length][b.length];
}
