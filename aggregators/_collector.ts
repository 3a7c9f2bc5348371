/** What aggregators have in common that append to one file and keep files beside it. */
import { Semaphore } from "@std/async/unstable-semaphore";
import { normalize } from "@std/path/posix/normalize";
import { normalisePath, type Result } from "../executors/results.ts";
import { pathOf } from "../options.ts";
import type { Stored } from "./aggregator.ts";
import {
  completeCompression,
  type Compression,
  openCompressor,
} from "./_compression.ts";
import type { CompressedTree } from "./_compressed_tree.ts";
import type { FindTests, Intent } from "./_continued.ts";
import type { Compressor } from "./_compressor.ts";
import { compressResults } from "./_finish_results.ts";
import {
  copyTree,
  isCrossDevice,
  lookAt,
  Move,
  notADirectory,
  type Shelf,
} from "./_move.ts";
import { Names } from "./_names.ts";
import {
  cannotGoOn,
  checkExisting,
  checkVacant,
  partOf,
  reopenPart,
} from "./_part.ts";
import {
  cannotWrite,
  makeParents,
  occupied,
  placeFor,
  unmake,
} from "./_paths.ts";
import { Spool } from "./_spool.ts";
import { Target } from "./_target.ts";
import { notStarted, UnderWay } from "./_under_way.ts";

/** Where a collector puts everything. */
export interface CollectorOptions {
  /** The file that results go to. It must not exist. */
  results: string | URL;
  /** The directory that files go to. It must not exist. */
  files: string | URL;
  /** Whether a test of a platform may come again; its name then gets a number. */
  allowDuplicate?: boolean | undefined;
  /** Whether to go on with what is there. */
  existing?: "fail" | "continue" | undefined;
  /** Loads what finds the tests in results that are there. */
  loadFinder: () => Promise<FindTests>;
  /** How results and files are compressed, if they are. */
  compression?: Compression | undefined;
}

/**
 * Encodes the results of one test under the name that it gets; `listed`, which is to be
 * called for each of them, gives its files as they are to be named.
 */
export type Encode = (
  name: string,
  text: Spool,
  listed: (result: Result) => string[],
) => Promise<void>;

/** What there is between the start and the stop. */
interface Started {
  /** Makes a note of each move, if a later process may have to take it back. */
  intentOf: ((key: string) => Intent) | undefined;
  target: Target;
  names: Names;
  compressing: Compressing | undefined;
  /** The length of results that an earlier process had compressed. */
  whole?: number | undefined;
  /** The file system that files go to. */
  device: number;
  /** What the start made, if a later one would not go on with it. */
  made: readonly string[];
}

/** What compresses results and files. */
interface Compressing {
  compressor: Compressor;
  /** What becomes of a directory of files, unless it stays as it is. */
  treeOf(path: string): CompressedTree | undefined;
}

/** A test, with everything that is known of it when its turn has come. */
interface Incoming {
  /** Where its files are to be, below the directory of files. */
  place: string;
  /** Its files, if there are any. */
  files: { path: string; isEmpty: boolean } | undefined;
  /** What becomes of them when they are compressed. */
  tree: CompressedTree | undefined;
  /** Where its move is noted. */
  intent: Intent | undefined;
  /** Appends the text and removes the results file: both, or neither. */
  append(move?: Move): Promise<void>;
}

/** Tests that are read and moved at once. */
const AT_ONCE = 16;

/** Takes over artifacts: all of a test, or nothing. */
export class Collector {
  readonly #results: string;
  readonly #files: string;
  readonly #allowDuplicate: boolean;
  /** Loads what finds the tests in results; absent if none are to be there. */
  readonly #loadFinder: (() => Promise<FindTests>) | undefined;
  readonly #compression: Required<Compression> | undefined;
  readonly #shelf: Shelf;
  readonly #slots = new Semaphore(AT_ONCE);
  readonly #underWay = new UnderWay();
  #used = false;
  /** Whether files came from another file system: then the next ones are likely to. */
  #crosses = false;
  #started: Started | undefined;
  #stopped: Promise<void> | undefined;

  constructor(
    {
      results,
      files,
      allowDuplicate = false,
      existing = "fail",
      loadFinder,
      compression,
    }: CollectorOptions,
  ) {
    this.#loadFinder = checkExisting(existing) ? loadFinder : undefined;
    this.#results = pathOf(results);
    this.#files = pathOf(files);
    checkApart(this.#results, this.#files);
    this.#shelf = { root: this.#files, seen: new Map() };
    this.#allowDuplicate = allowDuplicate;
    this.#compression = compression && completeCompression(compression);
  }

  /** Makes the file and the directory, or neither. */
  async start(): Promise<void> {
    const compressing = this.#compression &&
      await openCompressing(this.#compression);
    if (this.#started) {
      throw new Error(`Cannot start writing to "${this.#results}" twice`);
    }
    if (this.#loadFinder) {
      return await this.#continue(this.#loadFinder, compressing);
    }
    if (compressing) checkVacant(this.#results, "finishResults");
    else if (lookAt(this.#results)) throw occupied("results", this.#results);
    if (lookAt(this.#files)) throw occupied("files", this.#files);
    const made: string[] = [];
    const path = compressing ? partOf(this.#results) : this.#results;
    try {
      makeParents(this.#results, made);
      makeParents(this.#files, made);
      Deno.mkdirSync(this.#files);
      made.push(this.#files);
      const device = Deno.lstatSync(this.#files).dev;
      const target = Target.open(path);
      made.push(path);
      this.#started = {
        intentOf: undefined,
        target,
        names: new Names(this.#allowDuplicate),
        compressing,
        device,
        made,
      };
      this.#stopped = undefined;
    } catch (error) {
      unmake(made);
      throw cannotWrite("results", this.#results, error);
    }
  }

  /** Opens what is there, and makes what is not. */
  async #continue(
    loadFinder: () => Promise<FindTests>,
    compressing: Compressing | undefined,
  ): Promise<void> {
    const files = this.#files;
    const results = this.#results;
    const { countNames, Intent, tidyUp } = await import("./_continued.ts");
    const findTests = await loadFinder();
    makeParents(results, []);
    Deno.mkdirSync(files, { recursive: true });
    const made = compressing && await reopenPart(results);
    const path = compressing ? partOf(results) : results;
    let keys = new Set<string>();
    let target: Target;
    try {
      target = await Target.reopen(path, async (file) => {
        const found = await findTests(file).catch((cause) => {
          throw cannotGoOn(made ? results : path, cause);
        });
        await tidyUp(files, found.keys);
        keys = found.keys;
        return found.length;
      });
    } catch (error) {
      if (made) Deno.removeSync(path);
      throw error;
    }
    this.#started = {
      intentOf: (key) => new Intent(files, key),
      target,
      names: new Names(
        this.#allowDuplicate,
        countNames(keys, this.#allowDuplicate),
      ),
      compressing,
      whole: made ? target.length : undefined,
      device: Deno.lstatSync(files).dev,
      made: [],
    };
    this.#stopped = undefined;
  }

  /** Whether it was given anything. */
  get used(): boolean {
    return this.#used;
  }

  /** Whether it takes tests. */
  get started(): boolean {
    return this.#started !== undefined;
  }

  /** How often a test is stored. */
  count(platform: string, test: string): number {
    return this.#started?.names.count(platform, test) ?? 0;
  }

  /** Stops; if nothing was stored, what the start made is gone. */
  async undoStart(): Promise<void> {
    await this.#underWay.ended();
    const started = this.#started;
    if (!started?.made.length || started.target.length > 0) return this.stop();
    this.#started = undefined;
    await started.target.close();
    unmake(started.made);
  }

  /** Waits for what is under way, and finishes the file. */
  stop(): Promise<void> {
    const started = this.#started;
    this.#started = undefined;
    if (started) this.#stopped = this.#finish(started);
    return this.#stopped ?? Promise.resolve();
  }

  async #finish({ target, compressing, whole }: Started): Promise<void> {
    await this.#underWay.ended();
    await target.close();
    if (!compressing) return;
    // nothing came to what is there
    if (target.length === whole) return Deno.removeSync(partOf(this.#results));
    await compressResults(this.#results, compressing.compressor);
  }

  /** Takes over the artifacts of one test. */
  ingest(
    platform: string,
    test: string,
    artifacts: string | URL,
    encode: Encode,
  ): Promise<Stored> {
    const started = this.#started;
    if (!started) return Promise.reject(notStarted(platform, test));
    this.#used = true;
    return this.#underWay.add(
      this.#ingest(platform, test, pathOf(artifacts), encode, started),
    );
  }

  async #ingest(
    platform: string,
    test: string,
    artifacts: string,
    encode: Encode,
    started: Started,
  ): Promise<Stored> {
    using turn = await started.names.take(platform, test);
    const place = placeFor(platform, turn.name);
    using _slot = this.#slots.tryAcquire() ?? await this.#slots.acquire();
    using text = new Spool();
    const path = `${artifacts}/files`;
    const tree = started.compressing?.treeOf(path);
    let listsAny = false;
    let output: string | undefined;
    await encode(turn.name, text, (result) => {
      const { name, files = [] } = result;
      if (files.length === 0) return files;
      listsAny = true;
      const listed = tree ? tree.listed(result) : files;
      if (!name) output ??= firstPath(listed);
      return listed;
    });
    const hasOutput = output !== undefined &&
      (tree ? tree.has(output) : isThere(`${path}/${output}`));
    // to look only for what is not known yet spares a tenth of the time
    const held = hasOutput ? "some" : heldBy(path);
    const files = held === "some" || (held === "nothing" && listsAny)
      ? { path, isEmpty: held === "nothing" }
      : undefined;
    const intent = started.intentOf?.(JSON.stringify([platform, turn.name]));
    const append = (move?: Move) =>
      started.target.append(text, {
        before: () => move?.do(),
        after: () => Deno.removeSync(`${artifacts}/results`),
        undo: () => move?.undo(),
      });
    await this.#store({ place, files, tree, intent, append }, started);
    turn.keep();
    if (!files || tree?.isEmpty) return {};
    const stored = { directory: `${this.#files}/${place}` };
    return hasOutput
      ? { ...stored, output: `${stored.directory}/${output}` }
      : stored;
  }

  async #store(
    { place, files, tree, intent, append }: Incoming,
    { device, compressing }: Started,
  ): Promise<void> {
    if (!files) return await append();
    const move = async (from: string) => {
      const note = intent && intent.note.bind(intent);
      const { isEmpty } = files;
      const move = new Move(from, this.#shelf, place, { isEmpty, note });
      try {
        await append(move);
      } finally {
        intent?.forget();
      }
      move.finish();
    };
    const isElsewhere = tree !== undefined ||
      (this.#crosses && lookAt(files.path)?.dev !== device);
    if (!isElsewhere) {
      try {
        return await move(files.path);
      } catch (error) {
        if (!isCrossDevice(error)) throw error;
        this.#crosses = true;
      }
    }
    if (tree?.isEmpty) await append();
    else {
      // others see the files only by the rename, so all that is slow comes before it
      const copy = `${this.#files}/.incoming-${crypto.randomUUID()}`;
      try {
        if (tree) {
          await tree.make(copy, compressing!.compressor, `${copy}.scratch`);
        } else if (directoryAt(files.path)) await copyTree(files.path, copy);
        await move(copy);
      } catch (error) {
        await removeIfPossible(copy);
        throw error;
      }
    }
    await removeIfPossible(files.path, { entries: tree?.size });
  }
}

/**
 * Checks that neither is the other one, or on the way to it.
 *
 * @throws {TypeError} if they are not apart
 */
function checkApart(results: string, files: string): void {
  const file = `${normalize(results)}/`;
  const directory = `${normalize(files).replace(/\/+$/, "")}/`;
  if (!file.startsWith(directory) && !directory.startsWith(file)) return;
  throw new TypeError(
    `Cannot keep "files" in "${files}" and "results" in "${results}": neither may be in the other`,
  );
}

/** Whether something is at a path, which a test may have made up. */
function isThere(path: string): boolean {
  try {
    return lookAt(path) !== undefined;
  } catch {
    return false; // it is none: too long, or below a file
  }
}

/** Loads what most scripts do not need. */
async function openCompressing(
  compression: Required<Compression>,
): Promise<Compressing> {
  const compressor = await openCompressor(compression);
  const { CompressedTree } = await import("./_compressed_tree.ts");
  return {
    compressor,
    treeOf(path) {
      const found = compression.files && directoryAt(path);
      return found ? new CompressedTree(path, found, compression) : undefined;
    },
  };
}

/** The directory for the files of a test, if there is one. */
function directoryAt(path: string): Deno.FileInfo | undefined {
  const found = lookAt(path);
  if (found && !found.isDirectory) throw notADirectory(path);
  return found;
}

/** Whether the directory for the files of a test has some; `undefined` if there is no directory. */
function heldBy(path: string): "some" | "nothing" | undefined {
  if (!directoryAt(path)) return undefined;
  for (const _entry of Deno.readDirSync(path)) return "some";
  return "nothing";
}

/** The first of some names that is a path, if one is. */
function firstPath(names: readonly string[]): string | undefined {
  for (const name of names) {
    const path = normalisePath(name);
    if (path !== "") return path;
  }
  return undefined;
}

/** Entries of a tree that are removed without a hop to another thread, which would take longer. */
const FEW = 100;

/** Everything is stored, or nothing was: what is left over must not change that. */
async function removeIfPossible(
  path: string,
  { entries = Infinity }: { entries?: number | undefined } = {},
): Promise<void> {
  try {
    if (entries <= FEW) Deno.removeSync(path, { recursive: true });
    else await Deno.remove(path, { recursive: true });
  } catch {
    // it stays
  }
}
