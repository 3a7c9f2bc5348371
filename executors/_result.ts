/** A result, and where its files lie. */
import { shorten } from "../options.ts";

/** One line of `results`. */
export interface Result {
  /** The part of the test that it is about; absent for the test itself. */
  name?: string | undefined;
  /**
   * How it went: `pass`, `fail`, `info`, `warn`, `skip`, `error`, or `infra` if
   * the test could not be carried out. Any other text is allowed.
   */
  status?: string | undefined;
  /** A short text for people. */
  note?: string | undefined;
  /** Paths of its files, below the directory that {@linkcode placeOf} tells. */
  files?: string[] | undefined;
  /** Whatever else was reported. */
  [key: string]: unknown;
}

// deno-lint-ignore no-control-regex -- these are what it looks for
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\ud800-\udfff]/gu;

/** Not more than 255 bytes: a UTF-16 unit never takes more than 3. */
const SHORT = 85;

/** Nothing is to be changed, which is so nearly always. */
const PLAIN = /^[\w@+-][\w@+.-]*(?:\/[\w@+-][\w@+.-]*)*$/;

/**
 * Makes any text a relative path that stays where it is: control characters and
 * lone surrogates become `_`, empty, `.` and `..` parts are dropped. Nothing may
 * be left of it.
 *
 * @example
 * ```ts
 * import { normalisePath } from "jsr:@atex/atex/executors/results";
 *
 * console.log(normalisePath("/../up/./x")); // up/x
 * ```
 */
export function normalisePath(text: string): string {
  const path = text.startsWith("/") ? text.slice(1) : text;
  if (PLAIN.test(path)) return path;
  return text.replaceAll(UNPRINTABLE, "_").split("/")
    .filter((part) => part !== "" && part !== "." && part !== "..").join("/");
}

/**
 * The directory, below `files`, of the files of a result: `""` for `files`
 * itself, otherwise a path such as `a/b`.
 *
 * @example
 * ```ts
 * import { placeOf } from "jsr:@atex/atex/executors/results";
 *
 * console.log(placeOf({ name: "disk/root" })); // disk/root
 * ```
 */
export function placeOf(result: Pick<Result, "name">): string {
  return result.name ? normalisePath(result.name) : "";
}

/**
 * Makes the name of a file, as a test gives it, a path below the place of its
 * result.
 *
 * @throws {TypeError} if the name is absolute, has a `..` part, has nothing in
 * it, or has a part of more than 255 bytes
 *
 * @example
 * ```ts
 * import { normaliseFileName } from "jsr:@atex/atex/executors/results";
 *
 * console.log(normaliseFileName("./logs//a.txt")); // logs/a.txt
 * ```
 */
export function normaliseFileName(name: string): string {
  if (name.length <= SHORT && PLAIN.test(name)) return name;
  const reason = name.startsWith("/")
    ? "it begins with a slash"
    : name.split("/").includes("..")
    ? 'it has a ".." part'
    : undefined;
  if (reason) throw badFileName(name, reason);
  const path = normalisePath(name);
  if (path === "") throw badFileName(name, "nothing is left of it");
  if (
    path.length > SHORT && path.split("/").some((part) => bytes(part) > 255)
  ) {
    throw badFileName(name, "a part of it is longer than 255 bytes");
  }
  return path;
}

function bytes(text: string): number {
  return new TextEncoder().encode(text).length;
}

function badFileName(name: string, reason: string): TypeError {
  return new TypeError(
    `Cannot use ${
      JSON.stringify(shorten(name, 100))
    } as a file name: ${reason}`,
  );
}
