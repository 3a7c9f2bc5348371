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
import { pathOf } from "../options.ts";
import { errorNote } from "./error_note.ts";
import { normaliseFileName, placeOf, type Result } from "./_result.ts";
import { readArtifacts } from "./_read_results.ts";

export {
  normaliseFileName,
  normalisePath,
  placeOf,
  type Result,
} from "./_result.ts";
export {
  BadResultsError,
  readArtifacts,
  readResultBatches,
} from "./_read_results.ts";

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
 *
 * @example
 * ```ts
 * import { ensureOwnResult, readArtifacts } from "jsr:@atex/atex/executors/results";
 *
 * const artifacts = await Deno.makeTempDir();
 * await ensureOwnResult(artifacts, new Error("the system is gone"));
 * for await (const { status, note } of readArtifacts(artifacts)) {
 *   console.log(status, note); // infra Error(the system is gone)
 * }
 * ```
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
  const own = { status: "infra", note: errorNote(error) };
  const line = `${JSON.stringify(own)}\n`;
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
