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

/** Larger ones are no faster, and what they hold outlives a collection of young garbage. */
const BLOCK = 16 * 1024;
/** Most files fit in it. Shared: what was read into it is parsed before anybody else has a turn. */
const firstBlock = new Uint8Array(BLOCK);
/** How long everything else may have to wait for a large file, in milliseconds. */
const PATIENCE = 5;

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
  let line = 1;
  let results: Result[] = [];
  let count: number | null = fill(file, firstBlock);
  if (count < BLOCK) {
    const end = firstBlock.subarray(0, count).lastIndexOf(10) + 1;
    try {
      line = parseLines(firstBlock.subarray(0, end), path, line, results);
      // whoever wrote it may have been killed
      parseLines(firstBlock.subarray(end, count), path, line, results);
    } finally {
      if (results.length > 0) yield results;
    }
    return;
  }
  let buffer = firstBlock.slice();
  let filled = 0;
  let since = performance.now();
  while (count !== null) {
    const newline = buffer.subarray(filled, filled + count).lastIndexOf(10);
    const end = newline === -1 ? 0 : filled + newline + 1;
    filled += count;
    if (end > 0) {
      line = parseLines(buffer.subarray(0, end), path, line, results);
      buffer.copyWithin(0, end, filled);
      filled -= end;
      if (results.length > 0) yield results;
      results = [];
    }
    if (filled === buffer.length) {
      const larger = new Uint8Array(filled * 2);
      larger.set(buffer);
      buffer = larger;
    }
    const free = buffer.subarray(filled);
    if (performance.now() - since < PATIENCE) count = file.readSync(free);
    else {
      // the hop to another thread lets everything else go on
      count = await file.read(free);
      since = performance.now();
    }
  }
  parseLines(buffer.subarray(0, filled), path, line, results);
  if (results.length > 0) yield results;
}

/** Reads until there is no room, or nothing more; returns how much was read. */
function fill(file: Deno.FsFile, block: Uint8Array): number {
  for (let filled = 0;;) {
    const count = file.readSync(block.subarray(filled));
    filled += count ?? 0;
    if (count === null || filled === block.length) return filled;
  }
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

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function decode(bytes: Uint8Array, path: string, line: number): string {
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
  const { status, name, note, files } = result;
  // few results have more than these, which are fast to check
  if (isTextOrAbsent(status) && isTextOrAbsent(name) && isTextOrAbsent(note)) {
    if (files === undefined) return result;
  } else checkTexts(result, path, line);
  if (files === null) result.files = [];
  else if (files !== undefined && !isTextList(files)) {
    throw new BadResultsError(
      path,
      line,
      'has "files" that are not a list of texts',
    );
  }
  return result;
}

/** Removes texts that are `null`. */
function checkTexts(result: Result, path: string, line: number): void {
  for (const key of ["status", "name", "note"] as const) {
    if (result[key] === null) delete result[key];
    if (!isTextOrAbsent(result[key])) {
      throw new BadResultsError(
        path,
        line,
        `has a "${key}" that is not a string`,
      );
    }
  }
}

function isTextOrAbsent(value: unknown): boolean {
  return value === undefined || typeof value === "string";
}

function isTextList(value: unknown): value is string[] {
  return Array.isArray(value) &&
    value.every((item) => typeof item === "string");
}
