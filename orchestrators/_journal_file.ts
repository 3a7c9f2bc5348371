/** A journal in a file. */
import { dirname } from "@std/path/posix/dirname";
import type { JournalStore } from "./_journal.ts";

/** A file that only grows, and belongs to one process at a time. */
export class JournalFile implements JournalStore {
  readonly text: string;
  readonly #file: Deno.FsFile;
  #length: number;
  /** Whether there may be part of a line after the whole ones. */
  #spoilt = false;

  private constructor(file: Deno.FsFile, bytes: Uint8Array) {
    this.#file = file;
    this.#length = bytes.length;
    this.text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  }

  /**
   * Opens a file, or makes it and the directories on the way.
   *
   * @throws {Error} if another process has it open, or it cannot be opened
   */
  static async open(path: string): Promise<JournalFile> {
    const directory = dirname(path);
    await Deno.mkdir(directory, { recursive: true });
    const file = await Deno.open(path, {
      read: true,
      append: true,
      create: true,
    });
    try {
      if (!lock(file)) {
        throw new Deno.errors.Busy(
          `the journal "${path}" cannot be used: the run that writes to it has not ended`,
        );
      }
      const { size } = await file.stat();
      const bytes = await readAll(file);
      if (size === 0) await flushEntry(directory);
      return new JournalFile(file, bytes);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  cut(length: number): void {
    const rest = new TextEncoder().encode(this.text.slice(0, length)).length;
    this.#file.truncateSync(rest);
    this.#length = rest;
  }

  append(text: string): void {
    if (this.#spoilt) this.#repair();
    const bytes = new TextEncoder().encode(text);
    this.#spoilt = true;
    try {
      for (let written = 0; written < bytes.length;) {
        written += this.#file.writeSync(bytes.subarray(written));
      }
      this.#length += bytes.length;
      this.#spoilt = false;
    } finally {
      if (this.#spoilt) this.#repair();
    }
  }

  sync(): Promise<void> {
    return this.#file.syncData();
  }

  close(): void {
    this.#file.close();
  }

  /** Removes what does not belong to a whole line. */
  #repair(): void {
    this.#file.truncateSync(this.#length);
    this.#spoilt = false;
  }
}

async function readAll(file: Deno.FsFile): Promise<Uint8Array> {
  const parts: BlobPart[] = [];
  const block = new Uint8Array(64 * 1024);
  for (;;) {
    const count = await file.read(block);
    if (count === null) break;
    parts.push(block.slice(0, count));
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

/** Not all file systems can lock. */
function lock(file: Deno.FsFile): boolean {
  try {
    return file.tryLockSync(true);
  } catch {
    return true;
  }
}

/** Without it a new file may be gone after a fault of the host, whatever was flushed to it. */
async function flushEntry(directory: string): Promise<void> {
  try {
    using opened = await Deno.open(directory);
    await opened.sync();
  } catch {
    // not all platforms can
  }
}
