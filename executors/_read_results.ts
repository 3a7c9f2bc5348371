/** Reading the results of a test. */
import { pathOf } from "../options.ts";
import type { Result } from "./_result.ts";

/** The results of a test cannot be understood. */
export class BadResultsError extends Error {
  /** The file. */
  readonly path: string;
  /** The line, counted from 1. */
  readonly line: number;

  /** Creates the error. */
  constructor(
    path: string,
    line: number,
    reason: string,
    options?: ErrorOptions,
  ) {
    super(
      `Cannot read results from "${path}": line ${line} ${reason}`,
      options,
    );
    this.name = "BadResultsError";
    this.path = path;
    this.line = line;
  }
}

/**
 * Reads the results in a directory of artifacts, one by one. Lines end with
 * `\n`; empty ones are skipped. What is `null` counts as absent.
 *
 * Needs `--allow-read` for the directory.
 *
 * @throws {Deno.errors.NotFound} if there is no file `results`
 * @throws {BadResultsError} if a line is not a JSON object in UTF-8, or has a
 * `status`, `name`, `note` or `files` of a wrong type
 */
export async function* readArtifacts(
  directory: string | URL,
): AsyncGenerator<Result> {
  for await (const results of readResultBatches(directory)) yield* results;
}

const FIRST_BLOCK = 16 * 1024;
/** Larger ones are no faster, and what they hold outlives a collection of young garbage. */
const BLOCK = 64 * 1024;

/**
 * The same as {@linkcode readArtifacts}, with all results of each block read at
 * once: several times faster for a million results.
 *
 * Needs `--allow-read` for the directory.
 *
 * @example
 * ```ts
 * import { readResultBatches } from "jsr:@atex/atex/executors/results";
 *
 * let count = 0;
 * for await (const batch of readResultBatches("artifacts/smoke")) {
 *   count += batch.length;
 * }
 * console.log(count);
 * ```
 */
export async function* readResultBatches(
  directory: string | URL,
): AsyncGenerator<Result[]> {
  const path = `${pathOf(directory)}/results`;
  using file = openForReading(path);
  let buffer = new Uint8Array(FIRST_BLOCK);
  let filled = 0;
  let line = 1;
  for (;;) {
    const free = buffer.subarray(filled);
    // most files are small: then a hop to another thread costs most of the time
    const count = buffer.length === FIRST_BLOCK
      ? file.readSync(free)
      : await file.read(free);
    if (count === null) break;
    const newline = free.subarray(0, count).lastIndexOf(10);
    const end = newline === -1 ? 0 : filled + newline + 1;
    filled += count;
    if (end > 0) {
      const results: Result[] = [];
      line = parseLines(buffer.subarray(0, end), path, line, results);
      buffer.copyWithin(0, end, filled);
      filled -= end;
      if (results.length > 0) yield results;
    }
    if (count === free.length) {
      const larger = new Uint8Array(Math.max(BLOCK, filled * 2));
      larger.set(buffer.subarray(0, filled));
      buffer = larger;
    }
  }
  const results: Result[] = [];
  parseLines(buffer.subarray(0, filled), path, line, results);
  if (results.length > 0) yield results;
}

function openForReading(path: string): Deno.FsFile {
  try {
    return Deno.openSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Deno.errors.NotFound(
      `Cannot read results from "${path}": there is no such file`,
      { cause: error },
    );
  }
}

/** Adds the results in whole lines to `results`; returns the number of the next line. */
function parseLines(
  bytes: Uint8Array,
  path: string,
  line: number,
  results: Result[],
): number {
  const text = decode(bytes, path, line);
  let start = 0;
  while (start < text.length) {
    let end = text.indexOf("\n", start);
    if (end === -1) end = text.length;
    const result = parseLine(trim(text.slice(start, end)), path, line);
    if (result) results.push(result);
    start = end + 1;
    line++;
  }
  return line;
}

/** Without white space around, to which U+FEFF does not belong. */
function trim(line: string): string {
  const trimmed = line.trim();
  if (trimmed.length === line.length || !line.includes("\ufeff")) {
    return trimmed;
  }
  const start = line.indexOf(trimmed);
  const around = line.slice(0, start) + line.slice(start + trimmed.length);
  return around.includes("\ufeff") ? line : trimmed;
}

function decode(bytes: Uint8Array, path: string, line: number): string {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    // only now find out which line it was
    for (let start = 0; start < bytes.length; line++) {
      let end = bytes.indexOf(10, start);
      if (end === -1) end = bytes.length;
      try {
        decoder.decode(bytes.subarray(start, end));
      } catch {
        break;
      }
      start = end + 1;
    }
    throw new BadResultsError(path, line, "is not UTF-8", { cause });
  }
}

function parseLine(
  text: string,
  path: string,
  line: number,
): Result | undefined {
  if (text === "") return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new BadResultsError(path, line, "is not JSON", { cause });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new BadResultsError(path, line, "is not a JSON object");
  }
  const result = value as Result;
  for (const key of ["status", "name", "note"] as const) {
    if (result[key] === null) delete result[key];
    if (typeof result[key] !== "string" && result[key] !== undefined) {
      throw new BadResultsError(path, line, `has a "${key}" that is not text`);
    }
  }
  if (result.files === null) result.files = [];
  if (result.files !== undefined && !isTextList(result.files)) {
    throw new BadResultsError(
      path,
      line,
      'has "files" that are not a list of texts',
    );
  }
  return result;
}

function isTextList(value: unknown): value is string[] {
  return Array.isArray(value) &&
    value.every((item) => typeof item === "string");
}
