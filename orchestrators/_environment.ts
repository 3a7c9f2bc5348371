import { basename } from "@std/path/posix/basename";
import { dirname } from "@std/path/posix/dirname";
import { join } from "@std/path/posix/join";
import { KEPT, temporaryPrefix } from "../connections/ownership.ts";
import { after } from "../connections/time_limit.ts";
import { ensureOwnResult } from "../executors/results.ts";
import { pathOf } from "../options.ts";
import type { JournalStore } from "./_journal.ts";

/** What a run takes from outside, beside its options: tests give it another one. */
export interface Environment {
  /** Milliseconds since 1970. */
  now(): number;
  /** Calls once, after this time; disposing of the timer prevents it. `Infinity` is never. */
  after(ms: number, call: () => void): Disposable;
  /** Resolves in another turn of the event loop. */
  pause(): Promise<void>;
  /** Gives the artifacts of a run a place below this directory. */
  openArtifacts(parent?: string | URL): Artifacts;
  /**
   * Opens a journal.
   *
   * @throws {Error} if another process has it open, or it cannot be opened
   */
  openJournal(path: string): Promise<JournalStore>;
  /** Names the time since the host was started, if that can be found out. */
  boot(): string | undefined;
}

/** The directories of artifacts of one run. */
export interface Artifacts {
  /** Chooses where directories will be made; nothing is made yet. */
  reserve(): string;
  /** Makes that place: nothing else has to be there for it. */
  open(): void;
  /** Makes a new directory that only this user can read. */
  make(): string;
  /** See {@linkcode ensureOwnResult}. */
  addOwnResult(directory: string, error: Error): Promise<void>;
  /** Removes a directory and what is in it; at once if it is empty. */
  remove(directory: string): Promise<void> | undefined;
  /** Leaves a directory where it is when the others are removed. */
  keep(directory: string): void;
  /** Removes everything but what is kept. */
  close(): Promise<void>;
  /** What is left in a directory of another process; undefined if it is gone. */
  look(directory: string): { results: boolean } | undefined;
  /** Removes what is left of another process that reserved this place, but what is kept. */
  sweep(place: string): Promise<void>;
}

/** The names of the places that {@linkcode Artifacts.reserve} chooses. */
const RESERVED = /^atex-[0-9a-f-]{36}$/;

class ArtifactsDirectory implements Artifacts {
  readonly #parent?: string;
  #reserved?: string;
  #directory?: string;
  #made = 0;
  readonly #kept = new Set<string>();

  constructor(parent?: string | URL) {
    this.#parent = parent === undefined ? undefined : pathOf(parent);
  }

  reserve(): string {
    const parent = this.#parent ?? ".";
    Deno.mkdirSync(parent, { recursive: true });
    const name = `atex-${crypto.randomUUID()}`;
    return this.#reserved = join(Deno.realPathSync(parent), name);
  }

  open(): void {
    this.#directory ??= this.#makeParents();
  }

  make(): string {
    this.open();
    const directory = `${this.#directory}/${this.#made + 1}`;
    Deno.mkdirSync(directory, { mode: 0o700 });
    this.#made++;
    return directory;
  }

  #makeParents(): string {
    if (this.#reserved !== undefined) {
      Deno.mkdirSync(this.#reserved, { mode: 0o700 });
      return this.#reserved;
    }
    const dir = this.#parent;
    if (dir !== undefined) Deno.mkdirSync(dir, { recursive: true });
    return Deno.makeTempDirSync({ dir, prefix: temporaryPrefix() });
  }

  addOwnResult(directory: string, error: Error): Promise<void> {
    return ensureOwnResult(directory, error);
  }

  remove(directory: string): Promise<void> | undefined {
    try {
      Deno.removeSync(directory); // an aggregator leaves it empty: no need for another thread
    } catch {
      return removeTree(directory);
    }
  }

  keep(directory: string): void {
    this.#kept.add(directory);
    if (dirname(directory) !== this.#directory) return;
    try {
      Deno.writeTextFileSync(join(this.#directory, KEPT), "");
    } catch {
      // what could not be stored is there; others may remove it when we are dead
    }
  }

  async close(): Promise<void> {
    const own = this.#directory;
    if (own === undefined) return;
    for (const kept of this.#kept) if (dirname(kept) === own) return;
    await removeTree(own);
  }

  look(directory: string): { results: boolean } | undefined {
    if (!isThere(directory)) return undefined;
    return { results: isThere(join(directory, "results")) };
  }

  async sweep(place: string): Promise<void> {
    // it was read from a file, which may have been changed
    if (!RESERVED.test(basename(place)) || !isThere(place)) return;
    for (const { name } of Deno.readDirSync(place)) {
      const directory = join(place, name);
      if (!this.#kept.has(directory)) await removeTree(directory);
    }
    await Deno.remove(place).catch(() => {}); // something may be kept
  }
}

function isThere(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Removes what can be removed: a rest of artifacts is no reason to end a run with an error. */
async function removeTree(directory: string): Promise<void> {
  await Deno.remove(directory, { recursive: true }).catch(() => {});
}

/** The real one. */
export const environment: Environment = {
  now: Date.now,
  after(ms, call) {
    const timer = after(ms, call);
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  },
  pause: () => new Promise((resolve) => setImmediate(resolve)),
  openArtifacts: (parent) => new ArtifactsDirectory(parent),
  async openJournal(path) {
    const { JournalFile } = await import("./_journal_file.ts");
    return await JournalFile.open(path);
  },
  boot() {
    const path = "/proc/sys/kernel/random/boot_id";
    const { state } = Deno.permissions.querySync({ name: "read", path });
    if (state !== "granted") return undefined;
    try {
      return Deno.readTextFileSync(path).trim();
    } catch {
      return undefined; // only Linux has it
    }
  },
};
