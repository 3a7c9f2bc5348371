import { open } from "node:fs/promises";
import { basename } from "@std/path/posix/basename";
import { dirname } from "@std/path/posix/dirname";
import { join } from "@std/path/posix/join";
import { temporaryPrefix } from "../connections/ownership.ts";
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

  get id(): string {
    return this.#holder.lease;
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
    await provideDirectory(path);
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

/** Makes the directory of a lock, for the locks of all users, if it is not there. */
async function provideDirectory(lock: string): Promise<void> {
  const path = dirname(lock);
  try {
    if (await isDirectory(path)) return;
    await using undo = new AsyncDisposableStack();
    // Others find it with all its rights or not yet, and never put theirs in
    // place of it, as they could if it were empty.
    const made = await Deno.makeTempDir({
      dir: dirname(path),
      prefix: temporaryPrefix(),
    });
    undo.defer(() => Deno.remove(made, { recursive: true }));
    await provideLock(join(made, basename(lock)));
    await Deno.chmod(made, 0o1777);
    await Deno.rename(made, path);
    undo.move();
  } catch (error) {
    // Somebody else was faster.
    if (await isDirectory(path).catch(() => false)) return;
    throw new LeaseError(
      `Cannot make the directory for leases "${path}": ${
        (error as Error).message
      }`,
      { cause: error, fatal: true },
    );
  }
}

/**
 * Whether it is there.
 *
 * @throws {Error} if something else is
 */
async function isDirectory(path: string): Promise<boolean> {
  try {
    if ((await Deno.lstat(path)).isDirectory) return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
  throw new Error("there is a link, or a file, of that name");
}

/** Makes the file, for all users, if it is not there. */
async function provideLock(path: string): Promise<void> {
  try {
    await using file = await open(path, "wx");
    await file.chmod(0o666); // of what was made, whatever is at the path by now
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return;
    const why = code === "EACCES" || code === "EROFS"
      ? 'its directory cannot be written to; set the option "leaseDirectory" to another directory'
      : message;
    throw new LeaseError(`Cannot make the lease "${path}": ${why}`, {
      cause: error,
      fatal: true,
    });
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
