import type { LocalCommand } from "./connection.ts";

/**
 * Bounds how many commands share one link. A command that can wait does so in
 * {@linkcode enter}; one that cannot (it is started synchronously) is counted
 * with {@linkcode join}. Commands that were joined may run for hours, so they
 * never take the last place: those that wait would wait as long.
 */
export class Sessions {
  readonly #limit: number;
  readonly #waiting = new Set<() => void>();
  #entered = 0;
  #joined = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Waits for a place; to be given back by disposing of what it returns. */
  async enter(signal?: AbortSignal): Promise<Disposable> {
    signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const abort = () => {
      this.#waiting.delete(resolve);
      reject(signal!.reason);
    };
    signal?.addEventListener("abort", abort);
    this.#waiting.add(resolve);
    this.#admit();
    try {
      await promise;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
    return place(() => {
      this.#entered--;
      this.#admit();
    });
  }

  /** Takes a place without waiting, even if there is none. */
  join(): Disposable {
    this.#joined++;
    return place(() => {
      this.#joined--;
      this.#admit();
    });
  }

  #admit(): void {
    for (const enter of this.#waiting) {
      if (this.#entered >= Math.max(1, this.#limit - this.#joined)) return;
      this.#entered++;
      this.#waiting.delete(enter);
      enter();
    }
  }
}

function place(giveBack: () => void): Disposable {
  let taken = true;
  return {
    [Symbol.dispose]: () => {
      if (taken) giveBack();
      taken = false;
    },
  };
}

const sessions = new WeakMap<LocalCommand, Sessions>();

/** Makes `command` one of those that share a link. */
export function shareLink(command: LocalCommand, link: Sessions): LocalCommand {
  sessions.set(command, link);
  return command;
}

/** The link that `command` shares with others, if it does. */
export function linkOf(command: LocalCommand): Sessions | undefined {
  return sessions.get(command);
}
