/** Going on with results that an earlier process wrote. */
import { dirname } from "@std/path/posix/dirname";
import { lookAt } from "./_move.ts";

/** How names begin of what is in the directory of files for a while. */
const INTENT = ".moving-";
const INCOMING = ".incoming-";

/** What a file of results holds. */
export interface Found {
  /** Bytes of whole tests. */
  length: number;
  /** Keys of the tests, see {@linkcode keyOf}, in their order. */
  keys: Set<string>;
}

/**
 * Finds the tests in results, and where the last whole one ends; for results that
 * were not written to be continued, or are damaged, it throws an error whose message
 * is to be put behind a path.
 */
export type FindTests = (file: Deno.FsFile) => Promise<Found>;

/** What tells stored tests apart: the name is that under which it is stored. */
export function keyOf(platform: string, name: string): string {
  return JSON.stringify([platform, name]);
}

/** The error for a line that does not follow the one before it as it should. */
export function misplaced(line: number): Error {
  return new Error(
    line === 1
      ? 'it was not written with existing: "continue"'
      : `line ${line} is not where it should be`,
  );
}

/** How often each platform and test is stored, from the names that they got. */
export function countNames(
  keys: Iterable<string>,
  allowDuplicate: boolean,
): Map<string, number> {
  const counts = new Map<string, number>();
  for (const key of keys) {
    const [platform, name] = JSON.parse(key);
    const again = allowDuplicate && /^(.*) \((\d+)\)$/s.exec(name);
    const test = again && keyOf(platform, again[1]!);
    const count = test ? counts.get(test) : undefined;
    if (test && count === Number(again[2])) counts.set(test, count + 1);
    else counts.set(key, 1);
  }
  return counts;
}

/** A move that is noted before it is made, so that it can be taken back later. */
export class Intent {
  readonly #path: string;
  readonly #key: string;

  /** `key` is that of the test. */
  constructor(files: string, key: string) {
    this.#path = `${files}/${INTENT}${crypto.randomUUID()}`;
    this.#key = key;
  }

  /** Notes what will be renamed. */
  note(renames: readonly [from: string, to: string][]): void {
    const text = JSON.stringify({ key: this.#key, renames });
    Deno.writeTextFileSync(this.#path, text, { createNew: true });
  }

  /** Forgets it: it is made and will stay, or was taken back. */
  forget(): void {
    try {
      Deno.removeSync(this.#path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

/**
 * Takes back what was moved for tests that are not among the stored ones, and
 * removes what a process that was killed left in the directory of files.
 */
export async function tidyUp(
  files: string,
  stored: ReadonlySet<string>,
): Promise<void> {
  const namesOf = (begin: string) =>
    [...Deno.readDirSync(files)].map(({ name }) => name)
      .filter((name) => name.startsWith(begin));
  for (const name of namesOf(INTENT)) {
    const path = `${files}/${name}`;
    const intent = readIntent(path);
    if (intent && !stored.has(intent.key)) {
      for (const [from, to] of intent.renames.reverse()) {
        await takeBack(from, to);
        prune(dirname(to), files);
      }
    }
    Deno.removeSync(path);
  }
  // also what was moved back just now
  for (const name of namesOf(INCOMING)) {
    await Deno.remove(`${files}/${name}`, { recursive: true });
  }
}

interface NotedMove {
  key: string;
  renames: [from: string, to: string][];
}

/** Undefined if it was not written to its end: then nothing was renamed. */
function readIntent(path: string): NotedMove | undefined {
  try {
    return JSON.parse(Deno.readTextFileSync(path));
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

async function takeBack(from: string, to: string): Promise<void> {
  if (!lookAt(to)) return;
  if (lookAt(from)) {
    // it was not renamed yet, but there may be an empty directory in its stead
    return prune(to, dirname(to));
  }
  try {
    Deno.renameSync(to, from);
  } catch {
    // where it came from is gone: whoever has the test runs it again
    await Deno.remove(to, { recursive: true });
  }
}

/** Removes empty directories, from the inner ones to that outside of which all stays. */
function prune(path: string, root: string): void {
  for (let at = path; at.startsWith(`${root}/`); at = dirname(at)) {
    try {
      Deno.removeSync(at);
    } catch {
      return;
    }
  }
}
