import { errorNote } from "./error_note.ts";
import type { TestAbortedError } from "./executor.ts";
import { openArtifacts } from "./open_artifacts.ts";
import { isOfTheDisk, storageError, storeResults } from "./storage.ts";
import {
  type ArtifactsWriter,
  normaliseFileName,
  normalisePath,
  placeOf,
  type Result,
} from "./results.ts";

/** A result that a test function reports. */
export interface Report {
  /** The subtest that it is about; absent for the test itself. */
  name?: string | undefined;
  /** How it went: `pass`, `fail`, `info`, `warn`, `skip`, `error`, or any other text. */
  status?: string | undefined;
  /** A short text for people. */
  note?: string | undefined;
  /**
   * Files that belong to it: names of files in the test's directory `artifacts`,
   * which are moved to where they belong, or contents by name.
   */
  files?:
    | readonly string[]
    | Readonly<Record<string, string | Uint8Array>>
    | undefined;
}

const OUTPUT = "output.txt";
const SCRATCH = "scratch";
const FAILED = new Set(["fail", "error"]);

/** The artifacts of a test function, from its first report to its own result. */
export class FunctionArtifacts implements Disposable {
  readonly #writer: ArtifactsWriter;
  readonly #own: Result & { files: string[] } = { files: [] };
  readonly scratch: string;
  #output: Deno.FsFile | undefined;
  #subtestFailed = false;
  #ended = false;
  /** Why something could not be stored, whatever the test made of it. */
  #failure: TestAbortedError | undefined;

  private constructor(writer: ArtifactsWriter) {
    this.#writer = writer;
    this.scratch = `${writer.directory}/${SCRATCH}`;
  }

  /** Makes the artifacts in an existing empty directory. */
  static open(directory: string | URL): FunctionArtifacts {
    return new FunctionArtifacts(
      openArtifacts(directory, SCRATCH, (path) => Deno.mkdirSync(path)),
    );
  }

  /** Stores a result of the test. */
  report({ files = [], ...reported }: Report): void {
    this.checkOpen(`report ${subjectOf(reported)}`);
    const result = asStored(reported); // first: a result that is refused takes no files
    const names = Array.isArray(files)
      ? files.map((name) => this.#take(name, result))
      : Object.entries(files).map(([name, content]) =>
        this.#write(name, content, result)
      );
    if (result.name) {
      this.#subtestFailed ||= FAILED.has(result.status ?? "");
      this.#storeResult(
        { ...result, ...(names.length > 0 && { files: names }) },
        `the result "${result.name}"`,
      );
    } else {
      Object.assign(this.#own, result);
      this.#own.files.push(...names);
    }
  }

  /** Adds a line to the output of the test. */
  log(text: string): void {
    this.write(new TextEncoder().encode(`${text}\n`));
  }

  /** Adds to the output of the test. */
  write(bytes: Uint8Array): void {
    if (this.#ended) return;
    this.#store("the output of the test", () => {
      this.#output ??= Deno.openSync(this.#writer.pathFor(OUTPUT), {
        append: true,
        create: true,
      });
      for (let done = 0; done < bytes.length;) {
        done += this.#output.writeSync(bytes.subarray(done));
      }
    });
  }

  /**
   * Checks that all could be stored.
   *
   * @throws {TestAbortedError} if it could not (`storage`)
   */
  checkStored(): void {
    if (this.#failure) throw this.#failure;
  }

  #storeResult(result: Result, what?: string): void {
    try {
      storeResults(this.#writer, result, what);
    } catch (error) {
      throw this.#failure ??= error as TestAbortedError;
    }
  }

  /** Stores what the test can make impossible to store; a full disk is not its fault. */
  #store(what: string, write: () => void): void {
    try {
      write();
    } catch (error) {
      if (!isOfTheDisk(error)) throw error;
      throw this.#failure ??= storageError(`store ${what}`, error);
    }
  }

  /**
   * Checks that the test has not ended.
   *
   * @throws {Error} if it has
   */
  checkOpen(what: string): void {
    if (this.#ended) throw new Error(`Cannot ${what}: the test has ended`);
  }

  /** Whether a test that returned this has failed. */
  isFailed(returned: unknown): boolean {
    const reported = this.#own.status;
    if (typeof returned === "number") return returned !== 0;
    return reported === undefined ? this.#subtestFailed : FAILED.has(reported);
  }

  /** Ends the artifacts of a test that returned; gives its exit code. */
  finish(returned: unknown): number {
    const failed = this.isFailed(returned);
    const status = this.#own.status ?? (failed ? "fail" : "pass");
    this.#writeOwn({ status });
    return typeof returned === "number" ? returned : Number(failed);
  }

  /** Ends the artifacts of a test that threw; gives its exit code. */
  fail(error: unknown): number {
    const details = Deno.inspect(error);
    this.tell(details);
    const said = error instanceof Error ? error.message : error;
    const note = typeof said === "string" ? said : details;
    this.#writeOwn({ status: "fail", note });
    return 1;
  }

  /** Ends the artifacts of a test that did not come to its end. */
  abort(error: TestAbortedError): void {
    try {
      this.#writeOwn({ status: "infra", note: errorNote(error) });
    } catch (failure) {
      // the error itself tells more than a full disk
      if (failure !== this.#failure) throw failure;
    }
  }

  /** Adds a line to the output, if it can be written: the result matters more. */
  tell(text: string): void {
    try {
      this.log(text);
    } catch {
      // The note of the result has the essence.
    }
  }

  #writeOwn(result: Result): void {
    const left = filesBelow(this.scratch).flatMap((name) => this.#keep(name));
    this.#ended = true;
    const files = [
      ...(this.#output ? [OUTPUT] : []),
      ...this.#own.files,
      ...left,
    ];
    const { files: _, ...own } = this.#own;
    this.#storeResult({
      ...own,
      ...result,
      ...(files.length > 0 && { files }),
    });
  }

  /** Takes over a file that was left; a name that cannot be used is told. */
  #keep(name: string): string[] {
    try {
      return [this.#move(name, this.#unusedName(normalisePath(name)), {})];
    } catch (error) {
      this.tell(`Cannot keep "${name}": ${(error as Error).message}`);
      return [];
    }
  }

  #take(name: string, result: Result): string {
    const path = normaliseFileName(name);
    if (isDirectory(`${this.scratch}/${path}`)) {
      throw new Deno.errors.IsADirectory(
        `Cannot report file "${path}": it is a directory`,
      );
    }
    return this.#move(path, path, result);
  }

  #move(from: string, to: string, result: Result): string {
    const target = this.#newPath(to, result);
    try {
      this.#store(
        `the file "${to}"`,
        () => Deno.renameSync(`${this.scratch}/${from}`, target),
      );
    } catch (cause) {
      if (!(cause instanceof Deno.errors.NotFound)) throw cause;
      throw new Deno.errors.NotFound(
        `Cannot report file "${from}": it is not in the directory "artifacts" of the test`,
        { cause },
      );
    }
    return to;
  }

  #write(name: string, content: string | Uint8Array, result: Result): string {
    const path = normaliseFileName(name);
    const bytes = typeof content === "string"
      ? new TextEncoder().encode(content)
      : content;
    this.#store(`the file "${path}"`, () => {
      const target = this.#newPath(path, result);
      try {
        Deno.writeFileSync(target, bytes, { createNew: true });
      } catch (error) {
        if (isOfTheDisk(error) && exists(target)) Deno.removeSync(target); // half of it
        throw error;
      }
    });
    return path;
  }

  #newPath(name: string, result: Result): string {
    const refuse = (reason: string) => {
      const of = result.name ? ` of "${result.name}"` : "";
      return new Deno.errors.AlreadyExists(
        `Cannot report file "${name}"${of}: ${reason}`,
      );
    };
    const place = placeOf(result);
    if (isOutput(place ? `${place}/${name}` : name)) {
      throw refuse(`"${OUTPUT}" is where the output of the test belongs`);
    }
    const path = this.#writer.pathFor(name, result);
    if (exists(path)) throw refuse("there is one of that name");
    return path;
  }

  /** A name for a file that was left, next to those that were reported. */
  #unusedName(name: string): string {
    const [first, ...rest] = name.split("/");
    for (let number = 0;; number++) {
      const candidate = number === 0
        ? name
        : [`${first}.${number}`, ...rest].join("/");
      if (
        !isOutput(candidate) && !exists(`${this.#writer.files}/${candidate}`)
      ) {
        return candidate;
      }
    }
  }

  /** Removes what is not an artifact. */
  [Symbol.dispose](): void {
    this.#ended = true;
    this.#output?.close();
    this.#writer.close();
    try {
      Deno.removeSync(this.scratch, { recursive: true });
    } catch (error) {
      // The test may have removed it.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

/** What a result is about, for messages. */
function subjectOf({ name }: Omit<Report, "files">): string {
  return name ? `"${name}"` : "the result of the test";
}

/**
 * A result as readers will see it: scripts are run without a check of their types.
 *
 * @throws {TypeError} if they could not read it
 */
function asStored(result: Omit<Report, "files">): Result {
  const refuse = (reason: string, options?: ErrorOptions) =>
    new TypeError(`Cannot report ${subjectOf(result)}: ${reason}`, options);
  let stored: Result;
  try {
    stored = JSON.parse(JSON.stringify(result));
  } catch (cause) {
    throw refuse((cause as Error).message, { cause });
  }
  for (const key of ["name", "status", "note"] as const) {
    if (typeof (stored[key] ?? "") === "string") continue;
    throw refuse(`its "${key}" is not a string`);
  }
  return stored;
}

/** Whether a path, below the files of the test, is that of its output or leads through it. */
function isOutput(path: string): boolean {
  return path.split("/")[0] === OUTPUT;
}

function isDirectory(path: string): boolean {
  return exists(path) && Deno.lstatSync(path).isDirectory;
}

/** Whether a path is taken, perhaps by a file in place of a directory on the way. */
function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    if (error instanceof Deno.errors.NotADirectory) return true;
    throw error;
  }
}

/** Paths below a directory; none if the test has removed it. */
function filesBelow(directory: string): string[] {
  if (!exists(directory)) return [];
  return [...Deno.readDirSync(directory)]
    .flatMap(({ name, isDirectory }) =>
      isDirectory
        ? filesBelow(`${directory}/${name}`).map((path) => `${name}/${path}`)
        : [name]
    ).sort();
}
