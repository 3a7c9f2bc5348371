/** The files of results: written as the bytes come, never outside their directory. */
import { shorten } from "../../options.ts";
import { BadReportJSONError, TestAbortedError } from "../executor.ts";
import { storageError } from "../storage.ts";

/** Bytes of a path that the system takes, with its end. */
const MAX_PATH = 4096;

/** How long a write may hold up whoever else is served, in milliseconds; a disk that needs longer is slow. */
const SLOW = 5;
/** So many writes go into the background then; it may have been the processor that was slow. */
const CAUTION = 256;

/** What the system does: another one for tests of systems that do less, or slower. */
export interface SystemCalls {
  /**
   * Makes a hard link.
   *
   * @default {Deno.linkSync}
   */
  readonly link?: (from: string, to: string) => void;
  /**
   * Tells the time, in milliseconds.
   *
   * @default {performance.now}
   */
  readonly now?: () => number;
}

/** Has somebody else append to a file that is open here; `size` tells its size. */
export type Append = (path: string, size: () => number) => Promise<unknown>;

/** Puts files of one run into a directory. */
export class Uploads {
  readonly #root: string;
  readonly #output: string;
  readonly #link: (from: string, to: string) => void;
  readonly #now: () => number;
  readonly #directories = new Set<string>();
  /** Files that are the output of the test; appending to one would spoil it. */
  readonly #attached = new Set<string>();
  /** Those of them that are to be copies. */
  readonly #copies = new Set<string>();
  #open: { readonly file: Deno.FsFile; readonly path: string } | undefined;
  /** How many writes had better be made in the background. */
  #caution = 0;

  /** `root` exists; `output` is the file with the output of the test. */
  constructor(root: string, output: string, system: SystemCalls = {}) {
    this.#root = root;
    this.#output = output;
    this.#link = system.link ?? Deno.linkSync;
    this.#now = system.now ?? (() => performance.now());
  }

  /** Whether `append()` has held up the others for long: `appendLater()` is better for large files then. */
  get slow(): boolean {
    return this.#caution > 0;
  }

  /** Stores all of a file, or appends it to what is there. */
  store(path: string, bytes: Uint8Array): void {
    this.close();
    this.#prepare(path);
    const began = this.#now();
    try {
      // a new file cannot be a link to anywhere
      Deno.writeFileSync(`${this.#root}/${path}`, bytes, { createNew: true });
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) {
        throw failure("store the file", path, error);
      }
      this.open(path);
      this.append(bytes, true);
      return;
    }
    this.#watch(began);
  }

  /** Opens a file, for {@linkcode append} and {@linkcode appendLater}. */
  open(path: string): void {
    this.close();
    this.#prepare(path);
    this.#open = { file: this.#openForAppending(path), path };
  }

  /** Appends the next bytes to the open file, and closes it after the last; nobody else is served meanwhile. */
  append(bytes: Uint8Array, last: boolean): void {
    const { file, path } = this.#open!;
    const began = this.#now();
    try {
      for (let done = 0; done < bytes.length;) {
        done += file.writeSync(bytes.subarray(done));
      }
    } catch (error) {
      throw failure("store the file", path, error);
    }
    this.#watch(began);
    if (last) this.close();
  }

  /** The same in the background, which takes twice the processor time. */
  async appendLater(bytes: Uint8Array, last: boolean): Promise<void> {
    this.#caution--;
    const { file, path } = this.#open!;
    try {
      for (let done = 0; done < bytes.length;) {
        done += await file.write(bytes.subarray(done));
      }
    } catch (error) {
      throw failure("store the file", path, error);
    }
    if (last) this.close();
  }

  /** Has somebody else append to the open file, and returns how many bytes came. */
  async transfer(append: Append): Promise<number> {
    const { file, path } = this.#open!;
    const size = () => file.statSync().size;
    const before = size();
    try {
      await append(`${this.#root}/${path}`, size);
    } catch (error) {
      throw failure("store the file", path, error);
    }
    return size() - before;
  }

  /**
   * Gives the output of the test a name among the files.
   *
   * @throws {BadReportJSONError} if there is something of that name
   */
  attach(path: string): void {
    this.#makeDirectories(path);
    const target = `${this.#root}/${path}`;
    try {
      this.#link(this.#output, target);
    } catch (error) {
      if (!NO_LINKS.has(codeOf(error))) {
        throw failure("attach the output of the test as", path, error);
      }
      try {
        Deno.openSync(target, { write: true, createNew: true }).close();
      } catch (error) {
        throw failure("attach the output of the test as", path, error);
      }
      this.#copies.add(path);
    }
    this.#attached.add(path);
  }

  /** Copies the output to where it could not be linked. */
  async copyOutput(): Promise<void> {
    for (const path of this.#copies) {
      try {
        await Deno.copyFile(this.#output, `${this.#root}/${path}`);
      } catch (error) {
        throw failure("attach the output of the test as", path, error);
      }
    }
  }

  /** Closes the file that is being written, if any. */
  close(): void {
    this.#open?.file.close();
    this.#open = undefined;
  }

  #watch(began: number): void {
    if (this.#now() - began > SLOW) this.#caution = CAUTION;
  }

  /** Makes sure that there can be such a file. */
  #prepare(path: string): void {
    if (this.#attached.size > 0 && this.#attached.has(path)) {
      throw refusal("store the file", path, "it is the output of the test");
    }
    this.#makeDirectories(path);
  }

  #openForAppending(path: string): Deno.FsFile {
    const target = `${this.#root}/${path}`;
    try {
      // a new file cannot be a link to anywhere
      return Deno.openSync(target, { append: true, createNew: true });
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) {
        throw failure("store the file", path, error);
      }
    }
    let file: Deno.FsFile;
    try {
      const found = Deno.lstatSync(target);
      if (found.isDirectory) {
        throw refusal("store the file", path, "it is a directory");
      }
      if (!found.isFile) {
        throw foreign("store the file", path, "it is not a regular file");
      }
      file = Deno.openSync(target, { append: true });
      const opened = file.statSync();
      if (opened.ino !== found.ino || opened.dev !== found.dev) {
        file.close();
        throw foreign("store the file", path, "it was replaced meanwhile");
      }
    } catch (error) {
      throw failure("store the file", path, error);
    }
    return file;
  }

  #makeDirectories(path: string): void {
    const bytes = this.#root.length + path.length + 2;
    if (
      bytes * 3 > MAX_PATH &&
      new TextEncoder().encode(`${this.#root}/${path}`).length >= MAX_PATH
    ) {
      throw refusal("store the file", path, "the path is too long");
    }
    this.#makeDirectory(parentOf(path));
  }

  #makeDirectory(path: string): void {
    if (path === "" || this.#directories.has(path)) return;
    this.#makeDirectory(parentOf(path));
    const target = `${this.#root}/${path}`;
    try {
      Deno.mkdirSync(target);
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) {
        throw failure("make the directory", path, error);
      }
      const found = Deno.lstatSync(target);
      if (found.isSymlink) {
        throw foreign("make the directory", path, "it is a symbolic link");
      }
      if (!found.isDirectory) {
        throw refusal("make the directory", path, "it is a file");
      }
    }
    this.#directories.add(path);
  }
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

/** What systems say that have no hard links, or no more of them. */
const NO_LINKS = new Set([
  "EPERM",
  "EACCES",
  "EXDEV",
  "EMLINK",
  "ENOSYS",
  "ENOTSUP",
  "EOPNOTSUPP",
  "EINVAL",
]);

/** What systems say because of what the test asked for. */
const CLASHES: Record<string, string> = {
  EEXIST: "it is there already",
  EISDIR: "it is a directory",
  ENOTDIR: "a directory on the way is a file",
  ENAMETOOLONG: "the name is too long for the file system",
  EILSEQ: "the file system does not take the name",
};

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

/** The error to throw for one of the system: whose fault is it? */
function failure(what: string, path: string, error: unknown): Error {
  if (
    error instanceof BadReportJSONError || error instanceof TestAbortedError
  ) return error;
  const clash = CLASHES[codeOf(error)];
  if (clash) return refusal(what, path, clash, error);
  return storageError(`${what} ${quote(path)}`, error);
}

/** What the test asked for cannot be done. */
function refusal(
  what: string,
  path: string,
  reason: string,
  cause?: unknown,
): BadReportJSONError {
  return new BadReportJSONError(
    `Cannot ${what} ${quote(path)}: ${reason}`,
    cause === undefined ? undefined : { cause },
  );
}

/** Somebody else was here: not the fault of the test. */
function foreign(what: string, path: string, reason: string): TestAbortedError {
  return new TestAbortedError(
    `Cannot ${what} ${quote(path)}: ${reason}`,
    "storage",
  );
}

function quote(path: string): string {
  return JSON.stringify(shorten(path, 100));
}
