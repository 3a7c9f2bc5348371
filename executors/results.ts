/**
 * Test artifacts: what a run of a test leaves behind, and what aggregators take
 * over. A directory with a file `results`, one JSON object on each line, and a
 * directory `files` with what belongs to the results.
 *
 * @example Write the artifacts of a test, then read them
 * ```ts
 * import { ArtifactsWriter, readArtifacts } from "jsr:@atex/atex/executors/results";
 *
 * const directory = await Deno.makeTempDir();
 * {
 *   using artifacts = ArtifactsWriter.open(directory);
 *   const result = { name: "disk/root", status: "pass", files: ["df.txt"] };
 *   await Deno.writeTextFile(artifacts.pathFor("df.txt", result), "12 % used\n");
 *   artifacts.write(result);
 *   artifacts.write({ status: "pass" });
 * }
 * for await (const { name, status } of readArtifacts(directory)) {
 *   console.log(name ?? "the test itself", status);
 * }
 * ```
 *
 * @module
 */
import { fromFileUrl } from "@std/path/from-file-url";

/** One line of `results`. */
export interface Result {
  /** The part of the test that it is about; absent for the test itself. */
  name?: string;
  /**
   * How it went: `pass`, `fail`, `info`, `warn`, `skip`, `error`, or `infra` if
   * the test could not be carried out. Any other text is allowed.
   */
  status?: string;
  /** A short text for people. */
  note?: string;
  /** Paths of its files, below the directory that {@linkcode placeOf} tells. */
  files?: string[];
  /** Whatever else was reported. */
  [key: string]: unknown;
}

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

// deno-lint-ignore no-control-regex -- these are what it looks for
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f]|\p{Surrogate}/gu;

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
  return text.replaceAll(UNPRINTABLE, "_").split("/")
    .filter((part) => part !== "" && part !== "." && part !== "..").join("/");
}

/**
 * The directory, below `files`, of the files of a result: `""` for `files`
 * itself, otherwise a path such as `a/b`.
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
 */
export function normaliseFileName(name: string): string {
  const reason = name.startsWith("/")
    ? "it begins with a slash"
    : name.split("/").includes("..")
    ? 'it has a ".." part'
    : undefined;
  if (reason) throw badFileName(name, reason);
  const path = normalisePath(name);
  if (path === "") throw badFileName(name, "nothing is left of it");
  // a UTF-16 unit never takes more than 3 bytes
  if (path.length > 85 && path.split("/").some((part) => bytes(part) > 255)) {
    throw badFileName(name, "a part of it is longer than 255 bytes");
  }
  return path;
}

function bytes(text: string): number {
  return new TextEncoder().encode(text).length;
}

function badFileName(name: string, reason: string): TypeError {
  const shown = name.length > 100 ? `${name.slice(0, 100)}…` : name;
  return new TypeError(
    `Cannot use ${JSON.stringify(shown)} as a file name: ${reason}`,
  );
}

function pathOf(directory: string | URL): string {
  return typeof directory === "string" ? directory : fromFileUrl(directory);
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
const BLOCK = 256 * 1024;

/**
 * The same as {@linkcode readArtifacts}, with all results of each block read at
 * once: several times faster for a million results.
 *
 * Needs `--allow-read` for the directory.
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
    const result = parseLine(text.slice(start, end).trim(), path, line);
    if (result) results.push(result);
    start = end + 1;
    line++;
  }
  return line;
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

/**
 * Writes the artifacts of one run of a test. Everything is on disk when a method
 * returns. Close it at the end, or declare it with `using`.
 */
export class ArtifactsWriter implements Disposable {
  /** The directory of artifacts. */
  readonly directory: string;
  /** The directory that files are put into: `files` in the one above. */
  readonly files: string;
  readonly #results: Deno.FsFile;
  #size = 0;
  #closed = false;

  private constructor(directory: string, results: Deno.FsFile) {
    this.directory = directory;
    this.files = `${directory}/files`;
    this.#results = results;
  }

  /**
   * Makes `results` and `files` in an existing directory.
   *
   * Needs `--allow-write` for the directory.
   *
   * @throws {Deno.errors.AlreadyExists} if one of them is there; nothing is touched
   * @throws {Deno.errors.NotFound} if the directory does not exist
   */
  static open(directory: string | URL): ArtifactsWriter {
    const path = pathOf(directory);
    const results = at(
      path,
      "results",
      () =>
        Deno.openSync(`${path}/results`, {
          createNew: true,
          append: true,
          write: true,
        }),
    );
    try {
      at(path, "files", () => Deno.mkdirSync(`${path}/files`));
    } catch (error) {
      results.close();
      Deno.removeSync(`${path}/results`);
      throw error;
    }
    return new ArtifactsWriter(path, results);
  }

  /**
   * Where to put a file of a result. The directories on the way are made.
   *
   * @throws {TypeError} if it is no valid file name (see {@linkcode normaliseFileName})
   */
  pathFor(file: string, result: Pick<Result, "name"> = {}): string {
    const place = placeOf(result);
    const path = `${this.files}/${place && `${place}/`}${
      normaliseFileName(file)
    }`;
    Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    return path;
  }

  /**
   * Appends one result, or all of several, by one write. If that fails, for
   * example because the disk is full, `results` is as it was before.
   */
  write(results: Result | readonly Result[]): void {
    const list = Array.isArray(results) ? results : [results];
    const lines = list.map((result) => `${JSON.stringify(result)}\n`).join("");
    const bytes = new TextEncoder().encode(lines);
    try {
      for (let done = 0; done < bytes.length;) {
        done += this.#results.writeSync(bytes.subarray(done));
      }
    } catch (error) {
      this.#results.truncateSync(this.#size);
      throw error;
    }
    this.#size += bytes.length;
  }

  /** Closes `results`. May be called repeatedly. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#results.close();
  }

  /** The same as {@linkcode ArtifactsWriter.close}. */
  [Symbol.dispose](): void {
    this.close();
  }
}

function at<T>(directory: string, entry: string, make: () => T): T {
  try {
    return make();
  } catch (cause) {
    const attempt = `Cannot write artifacts to "${directory}"`;
    if (cause instanceof Deno.errors.AlreadyExists) {
      throw new Deno.errors.AlreadyExists(
        `${attempt}: "${entry}" is there already`,
        { cause },
      );
    }
    if (cause instanceof Deno.errors.NotFound) {
      throw new Deno.errors.NotFound(
        `${attempt}: there is no such directory`,
        { cause },
      );
    }
    throw cause;
  }
}

/**
 * Sees to it that artifacts tell of an error: unless there is a result for the
 * test itself, one with status `infra` is added, with the error's name and
 * message as its note. A missing `results` or `files` is made.
 *
 * Needs `--allow-read` and `--allow-write` for the directory.
 *
 * @throws {BadResultsError} if the results that are there cannot be understood
 */
export async function ensureOwnResult(
  directory: string | URL,
  error: unknown,
): Promise<void> {
  const path = pathOf(directory);
  await Deno.mkdir(`${path}/files`, { recursive: true });
  const results = `${path}/results`;
  await Deno.writeTextFile(results, "", { append: true });
  for await (const { name } of readArtifacts(path)) if (!name) return;
  const note = error instanceof Error
    ? `${error.name}: ${error.message}`
    : String(error);
  const line = `${JSON.stringify({ status: "infra", note })}\n`;
  await Deno.writeTextFile(
    results,
    await endsWithNewline(results) ? line : `\n${line}`,
    { append: true },
  );
}

/** Whether a file is empty or ends with a newline. */
async function endsWithNewline(path: string): Promise<boolean> {
  using file = await Deno.open(path);
  const { size } = await file.stat();
  if (size === 0) return true;
  await file.seek(-1, Deno.SeekMode.End);
  const last = new Uint8Array(1);
  await file.read(last);
  return last[0] === 10;
}
