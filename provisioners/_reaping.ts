import { deadline } from "@std/async/deadline";
import { delay } from "@std/async/delay";
import { join } from "@std/path/join";
import { findDirectories, temporaryDirectories } from "./_directory_reaper.ts";
import type { Candidate } from "./_leftover.ts";
import { holdRun, kindsIn, runDirectories } from "./_run.ts";
import { probeLock } from "./_verdict.ts";

/** Milliseconds that a start waits for the removal of what dead scripts left. */
const WAIT = 5000;
/** Things that are removed at the same time. */
const AT_ONCE = 4;
/** Nobody takes as many milliseconds to lock a file. */
const HOUR = 3_600_000;

/** What a reaping has to know. */
export interface ReapingOptions {
  /** Of the systems that are made. */
  readonly kind: string;
  /** Systems that scripts may have left behind. */
  readonly find?: (signal: AbortSignal) => Promise<Candidate[]>;
  /** Told of each system that was removed. */
  readonly onReaped?: (system: Candidate) => void;
  /**
   * Milliseconds within which what a script asked for just before it died may
   * still come into being: then there is a second look.
   *
   * @default {0}
   */
  readonly late?: number;
  /** Told of each thing that could not be removed. */
  readonly onTrouble: (error: Error) => void;
}

/**
 * Removes in the background what dead scripts left behind: their systems, then
 * their files here. Disposing of it ends it.
 */
export class Reaping implements AsyncDisposable {
  readonly #options: ReapingOptions;
  readonly #abort = new AbortController();
  readonly #looked = Promise.withResolvers<void>();
  readonly #done: Promise<void>;

  constructor(options: ReapingOptions) {
    this.#options = options;
    this.#done = this.#reap().catch((error) => {
      if (!this.#abort.signal.aborted) options.onTrouble(error);
    }).finally(this.#looked.resolve);
  }

  /** Waits until it has looked once, but not for long: there may be much. */
  async wait(signal: AbortSignal): Promise<void> {
    await deadline(this.#looked.promise, WAIT, { signal }).catch(() => {});
    signal.throwIfAborted();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await this.#done;
  }

  async #reap(): Promise<void> {
    const { kind, find, onReaped, late = 0 } = this.#options;
    const { signal } = this.#abort;
    const dead = await deadRuns(kind);
    let isClean = !find || await this.#remove(find, onReaped);
    isClean = await this.#remove((signal) => ownDirectories(kind, signal)) &&
      isClean;
    if (dead.length === 0) return;
    if (find && late > 0) {
      this.#looked.resolve();
      await delay(late, { signal, persistent: false });
      isClean = await this.#remove(find, onReaped) && isClean;
    }
    if (!isClean) return;
    // Last: they tell of all else that its owner is dead.
    for (const path of dead) {
      if (await probeLock(path) === "free") {
        await Deno.remove(path).catch(() => {}); // somebody else was faster
      }
    }
  }

  /** Removes what dead scripts have of those; gives whether nothing is left of it. */
  async #remove(
    find: (signal: AbortSignal) => Promise<Candidate[]>,
    onReaped?: (found: Candidate) => void,
  ): Promise<boolean> {
    const { signal } = this.#abort;
    let isClean = true;
    const attempt = async (action: () => Promise<void>) => {
      try {
        signal.throwIfAborted();
        await action();
      } catch (error) {
        if (signal.aborted) return;
        isClean = false;
        this.#options.onTrouble(error as Error);
      }
    };
    await attempt(async () => {
      const dead = (await find(signal))
        .filter(({ verdict }) => verdict === "dead").values();
      const worker = async () => {
        for (const found of dead) {
          await attempt(async () => {
            await found.remove(signal);
            onReaped?.(found);
          });
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, worker));
    });
    signal.throwIfAborted();
    return isClean;
  }
}

async function ownDirectories(
  kind: string,
  signal: AbortSignal,
): Promise<Candidate[]> {
  await using me = await holdRun(kind);
  return await findDirectories({
    kinds: new Set(["ssh", "directory"]),
    directories: temporaryDirectories(),
    me,
    signal,
  });
}

/** Run files of dead scripts of this user that made nothing of another kind. */
async function deadRuns(kind: string): Promise<string[]> {
  const found: string[] = [];
  for (const directory of runDirectories()) {
    const names = await Array.fromAsync(Deno.readDir(directory)).catch(
      () => [],
    );
    for (const { name } of names) {
      const path = join(directory, name);
      try {
        if (await probeLock(path) !== "free") continue;
        if (name.startsWith(".")) { // of one that died while it made it
          const { mtime } = await Deno.stat(path);
          if (Date.now() - (mtime?.getTime() ?? Date.now()) < HOUR) continue;
        }
        const kinds = kindsIn(await Deno.readTextFile(path));
        if (kinds.every((other) => other === kind)) found.push(path);
      } catch {
        // Gone meanwhile, or not ours.
      }
    }
  }
  return found;
}
