/** Encoded results of one test, until they are appended to the target. */

/** Bytes that are held in memory; what is beyond goes into a temporary file. */
const MOST_IN_MEMORY = 8 * 1024 * 1024;
const BLOCK = 1024 * 1024;

/** Writes all of some bytes. */
export async function writeAll(
  file: Deno.FsFile,
  bytes: Uint8Array,
): Promise<void> {
  // a small write is faster than the way to another thread and back
  if (bytes.length <= 65536) {
    for (let done = 0; done < bytes.length;) {
      done += file.writeSync(bytes.subarray(done));
    }
  } else {
    for (let done = 0; done < bytes.length;) {
      done += await file.write(bytes.subarray(done));
    }
  }
}

/** Text that may become larger than memory. */
export class Spool implements Disposable {
  /** What comes first; always in memory. */
  #before: Uint8Array[] = [];
  #parts: Uint8Array[] = [];
  #length = 0;
  #buffer = new Uint8Array();
  #file: Deno.FsFile | undefined;

  /** How many bytes there are. */
  get length(): number {
    return this.#length;
  }

  /** Appends text. */
  async add(text: string): Promise<void> {
    if (this.#file) return await this.#write(this.#file, text);
    const bytes = new TextEncoder().encode(text);
    this.#length += bytes.length;
    this.#parts.push(bytes);
    if (this.#length > MOST_IN_MEMORY) {
      this.#file = await openTemporary();
      for (const part of this.#parts.splice(0)) {
        await writeAll(this.#file, part);
      }
    }
  }

  async #write(file: Deno.FsFile, text: string): Promise<void> {
    // new bytes each time would be garbage faster than it is collected
    if (this.#buffer.length < text.length * 3) {
      this.#buffer = new Uint8Array(text.length * 3);
    }
    const { written } = new TextEncoder().encodeInto(text, this.#buffer);
    this.#length += written;
    await writeAll(file, this.#buffer.subarray(0, written));
  }

  /** Puts text before all that there is. */
  addBefore(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.#length += bytes.length;
    this.#before.unshift(bytes);
  }

  /** Appends everything to a file: by one write, unless it is too large for memory. */
  async copyTo(target: Deno.FsFile): Promise<void> {
    await writeAll(
      target,
      joined(this.#file ? this.#before : [...this.#before, ...this.#parts]),
    );
    if (!this.#file) return;
    await this.#file.seek(0, Deno.SeekMode.Start);
    const block = new Uint8Array(BLOCK);
    for (;;) {
      const count = await this.#file.read(block);
      if (count === null) return;
      await writeAll(target, block.subarray(0, count));
    }
  }

  /** Forgets everything. */
  [Symbol.dispose](): void {
    this.#before = [];
    this.#parts = [];
    this.#file?.close();
    this.#file = undefined;
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const whole = new Uint8Array(length);
  let filled = 0;
  for (const part of parts) {
    whole.set(part, filled);
    filled += part.length;
  }
  return whole;
}

/** A file without a name: nothing can be left of it. */
async function openTemporary(): Promise<Deno.FsFile> {
  const path = await Deno.makeTempFile({ prefix: "atex-" });
  const file = await Deno.open(path, { read: true, write: true });
  try {
    await Deno.remove(path);
  } catch (error) {
    file.close();
    throw error;
  }
  return file;
}
