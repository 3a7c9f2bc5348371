/** Encoded results of one test, until they are appended to the target. */

/** Bytes that are held in memory; what is beyond goes into a temporary file. */
const MOST_IN_MEMORY = 8 * 1024 * 1024;
const BLOCK = 1024 * 1024;
/** Characters that are held before they are encoded: most tests have fewer. */
const MOST_AS_TEXT = 32 * 1024;

/** Bytes that are written at once: that takes less time than asking another thread to. */
const SMALL = 64 * 1024;

/** Writes all of some bytes. */
export async function writeAll(
  file: Deno.FsFile,
  bytes: Uint8Array,
): Promise<void> {
  if (bytes.length <= SMALL) return writeAllSync(file, bytes);
  for (let done = 0; done < bytes.length;) {
    done += await file.write(bytes.subarray(done));
  }
}

function writeAllSync(file: Deno.FsFile, bytes: Uint8Array): void {
  let done = file.writeSync(bytes);
  while (done < bytes.length) done += file.writeSync(bytes.subarray(done));
}

/** Text that may become larger than memory. */
export class Spool implements Disposable {
  /** What comes first; always in memory. */
  #before = "";
  /** What comes after that, unless it is in the file. */
  #parts: Uint8Array[] = [];
  #size = 0;
  #file: Deno.FsFile | undefined;
  #buffer = new Uint8Array();
  /** What was added last. */
  #rest = "";

  /** Whether nothing was added. */
  get isEmpty(): boolean {
    return this.#before === "" && this.#size === 0 && this.#rest === "";
  }

  /** Appends text. */
  async add(text: string): Promise<void> {
    this.#rest += text;
    if (this.#rest.length >= MOST_AS_TEXT) await this.#encodeRest();
  }

  /** Puts text before all that there is. */
  addBefore(text: string): void {
    this.#before = text + this.#before;
  }

  async #encodeRest(): Promise<void> {
    const text = this.#rest;
    this.#rest = "";
    if (this.#file) return await this.#write(this.#file, text);
    const bytes = encode(text);
    this.#size += bytes.length;
    this.#parts.push(bytes);
    if (this.#size <= MOST_IN_MEMORY) return;
    this.#file = await openTemporary();
    for (const part of this.#parts.splice(0)) await writeAll(this.#file, part);
  }

  async #write(file: Deno.FsFile, text: string): Promise<void> {
    // new bytes each time would be garbage faster than it is collected
    if (this.#buffer.length < text.length * 3) {
      this.#buffer = new Uint8Array(text.length * 3);
    }
    const { written } = new TextEncoder().encodeInto(text, this.#buffer);
    this.#size += written;
    await writeAll(file, this.#buffer.subarray(0, written));
  }

  /**
   * Appends everything to a file: by one write, unless it is too large for memory.
   * Returns how many bytes that are.
   */
  copyTo(target: Deno.FsFile): number | Promise<number> {
    if (this.#size > 0) return this.#copyTo(target);
    const bytes = encode(this.#before + this.#rest);
    if (bytes.length > SMALL) return this.#copyTo(target);
    if (bytes.length > 0) writeAllSync(target, bytes);
    return bytes.length;
  }

  async #copyTo(target: Deno.FsFile): Promise<number> {
    await this.#encodeRest();
    const before = this.#before === "" ? [] : [encode(this.#before)];
    const first = joined([...before, ...this.#parts]);
    await writeAll(target, first);
    if (!this.#file) return first.length;
    await copy(this.#file, target);
    return first.length + this.#size;
  }

  /** Forgets everything. */
  [Symbol.dispose](): void {
    this.#before = this.#rest = "";
    this.#parts = [];
    this.#file?.close();
    this.#file = undefined;
  }
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

async function copy(from: Deno.FsFile, to: Deno.FsFile): Promise<void> {
  await from.seek(0, Deno.SeekMode.Start);
  const block = new Uint8Array(BLOCK);
  for (;;) {
    const count = await from.read(block);
    if (count === null) return;
    await writeAll(to, block.subarray(0, count));
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
