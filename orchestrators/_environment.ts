import { fromFileUrl } from "@std/path/from-file-url";
import { join } from "@std/path/join";
import { ensureOwnResult } from "../executors/results.ts";

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
}

/** The directories of artifacts of one run. */
export interface Artifacts {
  /** Makes a new directory that only this user can read. */
  make(): string;
  /** See {@linkcode ensureOwnResult}. */
  addOwnResult(directory: string, error: Error): Promise<void>;
  /** Removes a directory and what is in it. */
  remove(directory: string): Promise<void>;
  /** Leaves a directory where it is when the others are removed. */
  keep(directory: string): void;
  /** Removes everything but what is kept. */
  close(): Promise<void>;
}

/** The longest time that a timer of the platform can take. */
const LONGEST = 2 ** 31 - 1;

class ArtifactsDirectory implements Artifacts {
  readonly #parent?: string;
  #directory?: string;
  #made = 0;
  #kept = false;

  constructor(parent?: string | URL) {
    this.#parent = parent instanceof URL ? fromFileUrl(parent) : parent;
  }

  make(): string {
    this.#directory ??= this.#makeParents();
    const directory = join(this.#directory, `${this.#made + 1}`);
    Deno.mkdirSync(directory, { mode: 0o700 });
    this.#made++;
    return directory;
  }

  #makeParents(): string {
    const dir = this.#parent;
    if (dir !== undefined) Deno.mkdirSync(dir, { recursive: true });
    return Deno.makeTempDirSync({ dir, prefix: "atex-" });
  }

  addOwnResult(directory: string, error: Error): Promise<void> {
    return ensureOwnResult(directory, error);
  }

  async remove(directory: string): Promise<void> {
    try {
      Deno.removeSync(directory); // an aggregator leaves it empty: no need for another thread
    } catch {
      await removeTree(directory);
    }
  }

  keep(_directory: string): void {
    this.#kept = true;
  }

  async close(): Promise<void> {
    if (this.#directory && !this.#kept) await removeTree(this.#directory);
  }
}

/** Removes what can be removed: a rest of artifacts is no reason to end a run with an error. */
async function removeTree(directory: string): Promise<void> {
  await Deno.remove(directory, { recursive: true }).catch(() => {});
}

/** The real one. */
export const platform: Environment = {
  now: Date.now,
  after(ms, call) {
    const timer = ms > LONGEST ? undefined : setTimeout(call, ms);
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  },
  pause: () => new Promise((resolve) => setImmediate(resolve)),
  openArtifacts: (parent) => new ArtifactsDirectory(parent),
};
