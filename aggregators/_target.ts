/** The file that results are appended to. */
import type { Spool } from "./_spool.ts";

/** A new file, to which whole tests are appended one after the other. */
export class Target {
  readonly #file: Deno.FsFile;
  /** Bytes of whole tests. */
  #length = 0;
  /** Whether there may be more in the file. */
  #spoilt = false;
  #queue: Promise<unknown> = Promise.resolve();

  private constructor(file: Deno.FsFile, length = 0) {
    this.#file = file;
    this.#length = length;
  }

  /**
   * Makes the file.
   *
   * @throws {Deno.errors.AlreadyExists} if there is one
   */
  static open(path: string): Target {
    const file = Deno.openSync(path, {
      write: true,
      append: true,
      createNew: true,
    });
    lock(file);
    return new Target(file);
  }

  /**
   * Opens a file that may be there, and leaves only what `keep` finds to be whole.
   *
   * @throws {Deno.errors.Busy} if somebody is writing to it
   */
  static async reopen(
    path: string,
    keep: (file: Deno.FsFile) => Promise<number>,
  ): Promise<Target> {
    const file = Deno.openSync(path, {
      read: true,
      append: true,
      create: true,
    });
    try {
      if (!lock(file)) {
        throw new Deno.errors.Busy(
          `Cannot go on with results in "${path}": the run that writes to it has not ended`,
        );
      }
      const length = await keep(file);
      file.truncateSync(length);
      return new Target(file, length);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** Bytes of whole tests. */
  get length(): number {
    return this.#length;
  }

  /**
   * Appends text while nobody else does, between two steps of the caller. If any
   * of it fails, the file is as it was before.
   */
  append(
    text: Spool,
    steps: { before?: () => void; after?: () => void } = {},
  ): Promise<void> {
    const done = this.#queue.then(async () => {
      if (this.#spoilt) this.#cut();
      steps.before?.();
      this.#spoilt = true;
      try {
        await text.copyTo(this.#file);
        steps.after?.();
        this.#length += text.length;
        this.#spoilt = false;
      } finally {
        if (this.#spoilt) this.#cut();
      }
    });
    this.#queue = done.catch(() => {});
    return done;
  }

  /** Waits for what is under way; then everything is on disk, and the file closed. */
  async close(): Promise<void> {
    await this.#queue;
    try {
      if (this.#spoilt) this.#cut();
      await this.#file.sync();
    } finally {
      this.#file.close();
    }
  }

  /** Removes what does not belong to a whole test. */
  #cut(): void {
    this.#file.truncateSync(this.#length);
    this.#spoilt = false;
  }
}

/** Says that somebody is writing to a file, until it is closed; tells whether nobody else is. */
export function lock(file: Deno.FsFile): boolean {
  try {
    return file.tryLockSync(true);
  } catch {
    // not all file systems can
    return true;
  }
}
