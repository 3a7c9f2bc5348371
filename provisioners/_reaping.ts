import { deadline } from "@std/async/deadline";
import { delay } from "@std/async/delay";
import { findDeadRuns, signOff } from "./_other_runs.ts";
import { findDirectories, temporaryDirectories } from "./_directory_reaper.ts";
import type { Candidate } from "./_leftover.ts";
import { holdRun, type Run } from "./_run.ts";

/** Milliseconds that a start waits for the removal of what dead scripts left. */
const WAIT = 5000;
/** Things that are removed at the same time. */
const AT_ONCE = 4;

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
    await using me = await holdRun(kind);
    const dead = await findDeadRuns(me);
    let isClean = !find || await this.#remove(find, onReaped);
    isClean = await this.#remove((signal) => ownDirectories(me, signal)) &&
      isClean;
    const isLate = late > 0 && dead.some(({ kinds }) => kinds.includes(kind));
    if (find && isLate) {
      this.#looked.resolve();
      await delay(late, { signal, persistent: false });
      isClean = await this.#remove(find, onReaped) && isClean;
    }
    if (!isClean) return;
    for (const run of dead) await signOff(run, (cleaned) => cleaned === kind);
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

function ownDirectories(me: Run, signal: AbortSignal): Promise<Candidate[]> {
  return findDirectories({
    kinds: new Set(["ssh", "directory"]),
    directories: temporaryDirectories(),
    me,
    signal,
  });
}
