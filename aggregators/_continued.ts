/** Going on with results that an earlier process wrote. */
import { dirname } from "@std/path/dirname";
import { lookAt } from "./_move.ts";

/**
 * What stands around the lines of a test, so that a later process sees whether all
 * are there. Blanks mean nothing to who reads the lines as JSON.
 */
export const MARK = " ";

const NEWLINE = 10;
const BLANK = MARK.charCodeAt(0);
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

/** What tells stored tests apart: the name is that under which it is stored. */
export function keyOf(platform: string, name: string): string {
  return JSON.stringify([platform, name]);
}

/**
 * Finds the tests in results, and where the last whole one ends.
 *
 * @throws {Error} if they were not written to be continued, or are damaged; the
 * message is to be put behind a path
 */
export async function findTests(file: Deno.FsFile): Promise<Found> {
  const keys = new Set<string>();
  let length = 0;
  /** Where the next line begins. */
  let at = 0;
  let number = 0;
  let key: string | undefined;
  let start: number | undefined;
  for await (const line of linesOf(file)) {
    at += line.length;
    if (start === undefined) start = line[0];
    if (line.at(-1) !== NEWLINE) break;
    number++;
    const first = line[0] === BLANK;
    if (first !== (key === undefined)) throw misplaced(number);
    if (first) key = keyOfLine(line, number);
    if (line.at(-2) === BLANK) {
      keys.add(key!);
      key = undefined;
      length = at;
    }
  }
  // a fault of the host may leave nothing but zeros
  if (number === 0 && start && start !== BLANK) throw misplaced(1);
  return { length, keys };
}

function misplaced(line: number): Error {
  return new Error(
    line === 1
      ? 'it was not written with existing: "continue"'
      : `line ${line} is not where it should be`,
  );
}

function keyOfLine(line: Uint8Array, number: number): string {
  try {
    const [platform, , name] = JSON.parse(new TextDecoder().decode(line));
    if (typeof platform === "string" && typeof name === "string") {
      return keyOf(platform, name);
    }
  } catch {
    // the same to the caller
  }
  throw new Error(`line ${number} cannot be understood`);
}

/** Lines with their ends, also a last one without. */
async function* linesOf(file: Deno.FsFile): AsyncGenerator<Uint8Array> {
  file.seekSync(0, Deno.SeekMode.Start);
  const block = new Uint8Array(64 * 1024);
  let parts: Uint8Array[] = [];
  for (;;) {
    const count = await file.read(block);
    if (count === null) break;
    for (let from = 0; from < count;) {
      const end = block.subarray(0, count).indexOf(NEWLINE, from) + 1 || count;
      parts.push(block.slice(from, end));
      from = end;
      if (block[end - 1] !== NEWLINE) continue;
      yield joined(parts);
      parts = [];
    }
  }
  if (parts.length > 0) yield joined(parts);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  const whole = new Uint8Array(
    parts.reduce((sum, { length }) => sum + length, 0),
  );
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** How often each platform and test is stored, from the names that they got. */
export function countNames(keys: Iterable<string>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const key of keys) {
    const [platform, name] = JSON.parse(key);
    const again = /^(.*) \((\d+)\)$/s.exec(name);
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
  const names = [...Deno.readDirSync(files)].map(({ name }) => name);
  for (const name of names.filter((name) => name.startsWith(INTENT))) {
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
  for (const name of names.filter((name) => name.startsWith(INCOMING))) {
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
