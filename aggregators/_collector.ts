/** What aggregators have in common that append to one file and keep files beside it. */
import { fromFileUrl } from "@std/path/from-file-url";
import { dirname } from "@std/path/dirname";
import { Semaphore } from "@std/async/unstable-semaphore";
import { normalisePath } from "../executors/results.ts";
import { DuplicateResultError, type Stored } from "./aggregator.ts";
import { copyTree, isCrossDevice, lookAt, Move } from "./_move.ts";
import { Spool } from "./_spool.ts";
import { Target } from "./_target.ts";
import { PathTurns, Turns } from "./_turns.ts";

/** Where a collector puts everything. */
export interface CollectorOptions {
  /** The file that results go to. It must not exist. */
  results: string | URL;
  /** The directory that files go to. It must not exist. */
  files: string | URL;
  /** Whether a test of a platform may come again; its name then gets a number. */
  allowDuplicate: boolean;
}

/**
 * Encodes the results of one test under the name that it gets. Returns the files
 * of the test's own results.
 */
export type Encode = (name: string, text: Spool) => Promise<readonly string[]>;

/** Tests that are read and moved at once. */
const AT_ONCE = 16;

/** Takes over artifacts: all of a test, or nothing. */
export class Collector {
  readonly #results: string;
  readonly #files: string;
  readonly #allowDuplicate: boolean;
  readonly #keys = new Turns();
  readonly #places = new PathTurns();
  readonly #slots = new Semaphore(AT_ONCE);
  /** How often each platform and test was ingested. */
  readonly #counts = new Map<string, number>();
  readonly #underWay = new Set<Promise<unknown>>();
  #device = 0;
  #target: Target | undefined;
  #stopped: Promise<void> | undefined;

  constructor({ results, files, allowDuplicate }: CollectorOptions) {
    this.#results = pathOf(results);
    this.#files = pathOf(files);
    this.#allowDuplicate = allowDuplicate;
  }

  /** Makes the file and the directory, or neither. */
  start(): void {
    if (this.#target) {
      throw new Error(`Cannot start writing to "${this.#results}" twice`);
    }
    for (
      const [what, path] of [["results", this.#results], ["files", this.#files]]
    ) {
      if (lookAt(path!)) throw occupied(what!, path!);
    }
    const made: string[] = [];
    try {
      makeParents(this.#results, made);
      makeParents(this.#files, made);
      Deno.mkdirSync(this.#files);
      made.push(this.#files);
      this.#device = Deno.lstatSync(this.#files).dev;
      this.#target = Target.open(this.#results);
      this.#counts.clear();
      this.#stopped = undefined;
    } catch (error) {
      for (const path of made.reverse()) Deno.removeSync(path);
      throw error;
    }
  }

  /** Waits for what is under way, and closes the file. */
  stop(): Promise<void> {
    const target = this.#target;
    this.#target = undefined;
    if (target) {
      this.#stopped = (async () => {
        await Promise.allSettled([...this.#underWay]);
        await target.close();
      })();
    }
    return this.#stopped ?? Promise.resolve();
  }

  /** Takes over the artifacts of one test. */
  ingest(
    platform: string,
    test: string,
    artifacts: string | URL,
    encode: Encode,
  ): Promise<Stored> {
    const target = this.#target;
    if (!target) {
      return Promise.reject(
        new Error(
          `Cannot ingest test "${test}" of platform "${platform}": the aggregator is not started`,
        ),
      );
    }
    const done = this.#ingest(
      platform,
      test,
      pathOf(artifacts),
      encode,
      target,
    );
    this.#underWay.add(done);
    const forget = () => void this.#underWay.delete(done);
    done.then(forget, forget);
    return done;
  }

  async #ingest(
    platform: string,
    test: string,
    artifacts: string,
    encode: Encode,
    target: Target,
  ): Promise<Stored> {
    const key = JSON.stringify([platform, test]);
    using _turn = await this.#keys.take(key);
    const count = this.#counts.get(key) ?? 0;
    if (count > 0 && !this.#allowDuplicate) {
      throw new DuplicateResultError(platform, test);
    }
    const name = count > 0 ? `${test} (${count})` : test;
    const place = placeFor("platform", platform) + "/" + placeFor("test", name);
    using _place = await this.#places.take(place);
    using _slot = await this.#slots.acquire();

    using text = new Spool();
    const own = await encode(name, text);
    const files = filesOf(artifacts);
    if (files) await this.#moveAndAppend(target, text, artifacts, files, place);
    else await this.#append(target, text, artifacts);
    this.#counts.set(key, count + 1);
    return files ? this.#stored(place, own) : {};
  }

  /** Appends the text and removes the results file: both, or neither. */
  #append(
    target: Target,
    text: Spool,
    artifacts: string,
    move?: Move,
  ): Promise<void> {
    return target.append(text, {
      before: () => move?.do(),
      after: () => Deno.removeSync(`${artifacts}/results`),
    });
  }

  async #moveAndAppend(
    target: Target,
    text: Spool,
    artifacts: string,
    { path: files, dev }: { path: string; dev: number },
    place: string,
  ): Promise<void> {
    const move = async (from: string) => {
      const move = new Move(from, this.#files, place);
      try {
        await this.#append(target, text, artifacts, move);
      } catch (error) {
        move.undo();
        throw error;
      }
      move.finish();
    };
    if (dev === this.#device) {
      try {
        return await move(files);
      } catch (error) {
        if (!isCrossDevice(error)) throw error;
      }
    }
    // a rename must do what shows; the slow part goes before it
    const copy = `${this.#files}/.incoming-${crypto.randomUUID()}`;
    try {
      await copyTree(files, copy);
      await move(copy);
    } catch (error) {
      if (lookAt(copy)) await Deno.remove(copy, { recursive: true });
      throw error;
    }
    await Deno.remove(files, { recursive: true });
  }

  #stored(place: string, own: readonly string[]): Stored {
    const directory = `${this.#files}/${place}`;
    const first = own.map(normalisePath).find((file) => file !== "");
    const output = first && `${directory}/${first}`;
    return output && lookAt(output) ? { directory, output } : { directory };
  }
}

/** The directory of files and its device, if there is anything in it. */
function filesOf(
  artifacts: string,
): { path: string; dev: number } | undefined {
  const path = `${artifacts}/files`;
  const found = lookAt(path);
  if (!found) return undefined;
  if (!found.isDirectory) {
    throw new Deno.errors.NotADirectory(
      `Cannot ingest the files in "${path}": it is not a directory`,
    );
  }
  for (const _entry of Deno.readDirSync(path)) return { path, dev: found.dev };
  return undefined;
}

function placeFor(what: string, name: string): string {
  const place = normalisePath(name);
  if (place === "") {
    throw new TypeError(
      `Cannot ingest a test: nothing is left of the name of its ${what}, ${
        JSON.stringify(name)
      }`,
    );
  }
  return place;
}

function makeParents(path: string, made: string[]): void {
  const parent = dirname(path);
  if (lookAt(parent)) return;
  makeParents(parent, made);
  Deno.mkdirSync(parent);
  made.push(parent);
}

function occupied(what: string, path: string): Deno.errors.AlreadyExists {
  return new Deno.errors.AlreadyExists(
    `Cannot write ${what} to "${path}": it is there already; choose another path or remove it`,
  );
}

function pathOf(path: string | URL): string {
  return typeof path === "string" ? path : fromFileUrl(path);
}
