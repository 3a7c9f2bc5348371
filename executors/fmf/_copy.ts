/**
 * Copying trees of files, here.
 */
import { parseTemporaryName } from "../../connections/ownership.ts";
import { FmfError } from "./metadata/errors.ts";
import { reasonOf } from "./metadata/paths.ts";

/** Options of {@linkcode copyTree}. */
export interface CopyOptions {
  signal?: AbortSignal | undefined;
  /** Called for what is not copied. */
  warn: (message: string, path: string) => void;
}

/** How many entries are copied before others get a turn. */
const BATCH = 500;

/**
 * Copies what is in the directory `from` into `to`, which is made if need be:
 * symbolic links as they are, modes and times kept; `.git`, and temporary
 * directories of this package, left out at any depth. What is there already is
 * kept, files of the same name are replaced.
 *
 * @throws {FmfError} of kind `discover`
 */
export async function copyTree(
  from: string,
  to: string,
  options: CopyOptions,
): Promise<void> {
  await new Copier(options).directory(from, to);
}

/** Removes a tree, also one with directories that must not be written to. */
export async function removeTree(path: string): Promise<void> {
  try {
    await Deno.remove(path, { recursive: true });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    if (!(error instanceof Deno.errors.PermissionDenied)) throw error;
    makeWritable(path);
    await Deno.remove(path, { recursive: true });
  }
}

function makeWritable(directory: string): void {
  Deno.chmodSync(directory, 0o700);
  for (const { name, isDirectory } of Deno.readDirSync(directory)) {
    if (isDirectory) makeWritable(`${directory}/${name}`);
  }
}

class Copier {
  readonly #options: CopyOptions;
  #copied = 0;

  constructor(options: CopyOptions) {
    this.#options = options;
  }

  async directory(from: string, to: string): Promise<void> {
    const info = wrapped(from, () => Deno.statSync(from));
    const fresh = makeDirectory(to);
    const entries = wrapped(from, () => [...Deno.readDirSync(from)]);
    for (const { name, isDirectory, isSymlink, isFile } of entries) {
      if (name === ".git") continue;
      // the copy itself, if temporary directories are made inside of the tree
      if (isDirectory && parseTemporaryName(name)) continue;
      const source = `${from}/${name}`;
      const target = `${to}/${name}`;
      if (++this.#copied % BATCH === 0) await this.#pause();
      if (isDirectory) {
        await this.directory(source, target);
      } else if (isSymlink || isFile) {
        if (!fresh) makeRoom(target);
        wrapped(
          source,
          () => isFile ? file(source, target) : link(source, target),
        );
      } else {
        this.#options.warn("left out a special file", source);
      }
    }
    wrapped(to, () => {
      if (info.mode !== null) Deno.chmodSync(to, info.mode & 0o7777);
      keepTimes(to, info);
    });
  }

  async #pause(): Promise<void> {
    this.#options.signal?.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve));
    this.#options.signal?.throwIfAborted();
  }
}

function file(from: string, to: string): void {
  Deno.copyFileSync(from, to);
  keepTimes(to, Deno.statSync(from));
}

function link(from: string, to: string): void {
  Deno.symlinkSync(Deno.readLinkSync(from), to);
}

function keepTimes(path: string, { atime, mtime }: Deno.FileInfo): void {
  if (mtime) Deno.utimeSync(path, atime ?? mtime, mtime);
}

/**
 * Makes a directory unless it is there; tells whether it was made.
 *
 * @throws {FmfError} of kind `discover` if something else is there: a symbolic
 * link would lead the copy elsewhere
 */
export function makeDirectory(path: string): boolean {
  try {
    Deno.mkdirSync(path, { mode: 0o700 });
    return true;
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) {
      throw new FmfError(
        "discover",
        `cannot make the directory ${path}: ${reasonOf(error)}`,
        { cause: error },
      );
    }
  }
  if (wrapped(path, () => Deno.lstatSync(path)).isDirectory) return false;
  throw new FmfError(
    "discover",
    `cannot copy a directory to ${path}: something else is there`,
  );
}

function makeRoom(path: string): void {
  let info;
  try {
    info = Deno.lstatSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw copyError(path, error);
  }
  if (info.isDirectory) {
    throw new FmfError(
      "discover",
      `cannot copy a file to ${path}: a directory is there`,
    );
  }
  wrapped(path, () => Deno.removeSync(path));
}

function wrapped<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw copyError(path, error);
  }
}

function copyError(path: string, error: unknown): FmfError {
  if (error instanceof FmfError) return error;
  return new FmfError(
    "discover",
    `cannot copy ${path}: ${reasonOf(error, path)}`,
    {
      cause: error,
    },
  );
}
