import { dirname } from "@std/path/posix/dirname";
import { join } from "@std/path/posix/join";
import { readResults, type StoredResult } from "../aggregators/reader.ts";

/**
 * How files of results are called in a directory: those of the second run there have a
 * number, those to be compressed at the end a part before.
 */
const RESULTS =
  /^results(?:-([1-9]\d*))?\.(jsonl|ya?ml)(\.(gz|zst|xz)(\.part)?)?$/;

/** What a part becomes at the end of a run. */
const wholeOf = (path: string) => path.replace(/\.part$/, "");

/** Stored results: where they are, and where the files of their tests are. */
export interface Stored {
  readonly path: string;
  /** Absent if there is no directory that could be it. */
  readonly files?: string;
  /** Names of those of earlier runs, which are in the same directory. */
  readonly earlier?: readonly string[];
}

/** Which run in its directory wrote a file of results, counted from 1, by its name. */
export function runOf(name: string): number | undefined {
  const [whole, number = "1"] = RESULTS.exec(name) ?? [];
  return whole === undefined ? undefined : Number(number);
}

/**
 * Finds results: in the file that is named, or those of the last run in the directory.
 *
 * @throws {Deno.errors.NotFound} if there is neither
 * @throws {Error} if the directory has none, or several of the last run
 */
export async function findResults(path: string): Promise<Stored> {
  const { isDirectory } = await statOf(path);
  if (!isDirectory) {
    return withFiles(path, [
      `${wholeOf(path)}.files`,
      join(dirname(path), "files"),
    ]);
  }
  const found = (await Array.fromAsync(Deno.readDir(path)))
    .map(({ name }) => name).filter((name) => runOf(name) !== undefined)
    .sort((a, b) => runOf(a)! - runOf(b)! || (a < b ? -1 : 1));
  const all = found.filter((name) =>
    name === wholeOf(name) || !found.includes(wholeOf(name))
  );
  const last = all.at(-1);
  if (last === undefined) {
    throw new Error(
      `Cannot show results of "${path}": there is no results.jsonl or results.yaml in it`,
    );
  }
  const names = all.filter((name) => runOf(name) === runOf(last));
  if (names.length > 1) {
    throw new Error(
      `Cannot show results of "${path}": there are ${names.join(" and ")}`,
    );
  }
  const file = join(path, last);
  const earlier = all.slice(0, -1);
  return {
    ...await withFiles(file, [`${wholeOf(file)}.files`, join(path, "files")]),
    ...(earlier.length > 0 && { earlier }),
  };
}

async function statOf(path: string): Promise<Deno.FileInfo> {
  try {
    return await Deno.stat(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Deno.errors.NotFound(
      `Cannot show results of "${path}": it does not exist`,
    );
  }
}

async function withFiles(
  path: string,
  candidates: readonly string[],
): Promise<Stored> {
  for (const files of candidates) {
    const isThere = await Deno.stat(files).then(
      ({ isDirectory }) => isDirectory,
      () => false,
    );
    if (isThere) return { path, files };
  }
  return { path };
}

/** All results, one file after the other; of several, each tells its file. */
export async function* readAll(
  all: readonly Stored[],
  signal: AbortSignal,
): AsyncGenerator<StoredResult> {
  for (const { path } of all) {
    for await (const result of readResults(path)) {
      signal.throwIfAborted();
      yield all.length > 1 ? { ...result, source: path } : result;
    }
  }
}
