import { open } from "node:fs/promises";
import { join } from "@std/path/posix/join";
import { type Holder, type Lease, LeaseError } from "./_lease.ts";

/** A lease among the scripts of this machine: a lock on a file here. */
export class LocalLease implements Lease {
  readonly #directory: string;
  readonly #name: string;
  readonly #holder: Holder;
  #file?: Deno.FsFile;

  /** `name` is the same for all who mean this host. */
  constructor(directory: string, name: string, holder: Holder) {
    this.#directory = directory;
    this.#name = name;
    this.#holder = holder;
  }

  async look(signal: AbortSignal): Promise<string | undefined> {
    signal.throwIfAborted();
    const path = await this.#path();
    try {
      using file = await openLock(path, { write: false });
      // Shared: whoever else looks at the same time does not take us for the holder.
      return await file.tryLock(false) ? undefined : await read(file);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw cannotOpen(path, error);
    }
  }

  async take(signal: AbortSignal): Promise<true | string> {
    signal.throwIfAborted();
    const path = await this.#path();
    await provideDirectory(this.#directory);
    await provideLock(path);
    using undo = new DisposableStack();
    const file = undo.use(
      await openLock(path, { write: true }).catch((error) => {
        throw cannotOpen(path, error);
      }),
    );
    if (!await file.tryLock(true)) return await read(file).catch(() => "");
    await write(file, JSON.stringify(this.#holder) + "\n");
    undo.move();
    this.#file = file;
    return true;
  }

  async #path(): Promise<string> {
    return join(this.#directory, `${await digest(this.#name)}.lock`);
  }

  held(): Promise<void> {
    return Promise.resolve();
  }

  keepRunning(): void {
    // Nothing can happen to it.
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    if (!file) return;
    await write(file, "");
    file.close();
  }
}

async function digest(text: string): Promise<string> {
  const bytes = new TextEncoder().encode(text);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

/** One that all users of the machine can put their locks in. */
async function provideDirectory(path: string): Promise<void> {
  try {
    await Deno.mkdir(path);
    await Deno.chmod(path, 0o1777);
  } catch (error) {
    if (
      error instanceof Deno.errors.AlreadyExists &&
      (await Deno.lstat(path)).isDirectory
    ) return;
    throw new LeaseError(
      `Cannot make the directory for leases "${path}": ${
        (error as Error).message
      }`,
      { cause: error, fatal: true },
    );
  }
}

/** Makes the file, for all users, if it is not there. */
async function provideLock(path: string): Promise<void> {
  try {
    await using file = await open(path, "wx");
    await file.chmod(0o666); // of what was made, whatever is at the path by now
  } catch {
    // It is there already, or opening it tells what is wrong.
  }
}

/**
 * Opens what is there. Another user's file may be impossible to write, and can be
 * locked all the same; a link of theirs is not followed.
 */
async function openLock(
  path: string,
  { write }: { write: boolean },
): Promise<Deno.FsFile> {
  const { isFile, dev, ino } = await Deno.lstat(path);
  if (isFile) {
    using undo = new DisposableStack();
    const file = undo.use(
      await Deno.open(path, { read: true, write }).catch(() => Deno.open(path)),
    );
    const opened = await file.stat();
    if (opened.dev === dev && opened.ino === ino && opened.nlink === 1) {
      undo.move();
      return file;
    }
  }
  throw new Error(
    'it is a link, or no file; remove it, or set the option "leaseDirectory" to another directory',
  );
}

function cannotOpen(path: string, error: unknown): LeaseError {
  return new LeaseError(
    `Cannot open the lease "${path}": ${(error as Error).message}`,
    { cause: error },
  );
}

/** The beginning, in which a holder has place. */
async function read(file: Deno.FsFile): Promise<string> {
  const bytes = new Uint8Array(4096);
  const size = await file.read(bytes) ?? 0;
  return new TextDecoder().decode(bytes.subarray(0, size)).trim();
}

/** A file of another user then says nothing of the holder. */
async function write(file: Deno.FsFile, text: string): Promise<void> {
  try {
    await file.truncate();
    await file.seek(0, Deno.SeekMode.Start);
    await file.write(new TextEncoder().encode(text));
  } catch {
    // The lock is what counts.
  }
}
