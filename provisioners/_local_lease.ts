import { join } from "@std/path/join";
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
    const path = join(this.#directory, `${await digest(this.#name)}.lock`);
    try {
      using file = await Deno.open(path);
      // Shared: whoever else looks at the same time does not take us for the holder.
      if (await file.tryLock(false)) return undefined;
      return (await Deno.readTextFile(path)).trim();
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  async take(signal: AbortSignal): Promise<true | string> {
    signal.throwIfAborted();
    const path = join(this.#directory, `${await digest(this.#name)}.lock`);
    await provideDirectory(this.#directory);
    await using undo = new AsyncDisposableStack();
    const file = await openLock(path);
    undo.defer(() => file.close());
    if (!await file.tryLock(true)) {
      return (await Deno.readTextFile(path).catch(() => "")).trim();
    }
    this.#file = file;
    // The file may be another user's: then it says nothing of the holder.
    await this.#tell(path, JSON.stringify(this.#holder) + "\n");
    undo.move();
    this.#path = path;
    return true;
  }

  #path = "";

  async #tell(path: string, text: string): Promise<void> {
    await Deno.writeTextFile(path, text, { create: false }).catch(() => {});
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
    await this.#tell(this.#path, "");
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
    if (error instanceof Deno.errors.AlreadyExists) return;
    throw new LeaseError(
      `Cannot make the directory for leases "${path}": ${
        (error as Error).message
      }`,
      { cause: error, fatal: true },
    );
  }
}

/** Another user's file can be locked, but neither made nor written. */
async function openLock(path: string): Promise<Deno.FsFile> {
  try {
    await Deno.open(path, { createNew: true, write: true, mode: 0o666 })
      .then((file) => file.close());
    await Deno.chmod(path, 0o666);
  } catch {
    // It is there already, or opening it tells what is wrong.
  }
  try {
    return await Deno.open(path);
  } catch (error) {
    throw new LeaseError(
      `Cannot open the lease "${path}": ${(error as Error).message}`,
      { cause: error },
    );
  }
}
