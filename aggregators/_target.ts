/** The file that results are appended to. */
import type { Spool } from "./_spool.ts";
import { Turns } from "./_turns.ts";

/** What to do right before a text is appended, right after it, and if that or the text failed. */
interface Steps {
  before?: () => void;
  after?: () => void;
  undo?: () => void;
}

/** A new file, to which whole tests are appended one after the other. */
export class Target {
  readonly #file: Deno.FsFile;
  /** Bytes of whole tests. */
  #length = 0;
  /** Whether there may be more in the file. */
  #spoilt = false;
  readonly #turns = new Turns();

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
   * Appends text between two steps of the caller, while nobody else does either. If any
   * of it fails, the file is as it was before.
   */
  async append(
    text: Spool,
    { before, after, undo }: Steps = {},
  ): Promise<void> {
    using turn = this.#turns.take("");
    if (turn.comes) await turn.comes;
    if (this.#spoilt) this.#cut();
    before?.();
    try {
      this.#spoilt = true;
      try {
        const added = await text.copyTo(this.#file);
        after?.();
        this.#length += added;
        this.#spoilt = false;
      } finally {
        if (this.#spoilt) this.#cut();
      }
    } catch (error) {
      undo?.();
      throw error;
    }
  }

  /** Waits for what is under way; then everything is on disk, and the file closed. */
  async close(): Promise<void> {
    using turn = this.#turns.take("");
    await turn.comes;
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
