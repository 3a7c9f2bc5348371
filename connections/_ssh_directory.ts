/**
 * A directory for a socket. A file in it is locked for as long as this object or
 * process lives, however that ends: others can tell whether it is in use.
 */
export class PrivateDirectory implements AsyncDisposable {
  private constructor(
    readonly path: string,
    private readonly owner: Deno.FsFile,
  ) {}

  /** Makes one. */
  static async open(): Promise<PrivateDirectory> {
    const path = await makeDirectory();
    await using undo = new AsyncDisposableStack();
    undo.defer(() => remove(path));
    // Locked before it gets its name: nobody ever finds it unlocked.
    const hidden = `${path}/.owner`;
    const owner = undo.use(
      await Deno.open(hidden, { createNew: true, write: true }),
    );
    await owner.lock(true);
    await Deno.rename(hidden, `${path}/owner`);
    undo.move();
    return new this(path, owner);
  }

  /** The socket in it. */
  get socket(): string {
    return `${this.path}/s`;
  }

  /** Removes it. Disposing twice is harmless. */
  async [Symbol.asyncDispose](): Promise<void> {
    await remove(this.path);
    this.owner[Symbol.dispose]();
  }
}

/** The path of a socket is short. */
async function makeDirectory(): Promise<string> {
  const prefix = "atex-ssh-";
  const directory = await Deno.makeTempDir({ prefix }).catch((error) => {
    throw explain(error);
  });
  // 103 bytes (on macOS, 107 on Linux), of which two are for the name, and ssh needs 17 while it makes the socket.
  const isShort = new TextEncoder().encode(directory).length <= 84;
  // ssh would put variables in their place.
  if (isShort && !/\$\{|[\n\r]/.test(directory)) return directory;
  await Deno.remove(directory);
  return await Deno.makeTempDir({ prefix, dir: "/tmp" });
}

/** Where the directory of temporary files is, which is missing or not for us. */
function explain(error: unknown): unknown {
  if (error instanceof Deno.errors.NotCapable) return error;
  const place = Deno.env.get("TMPDIR");
  const where = place ? `"${place}", which TMPDIR names` : '"/tmp"';
  const what = `Cannot make a directory for temporary files in ${where}`;
  if (error instanceof Deno.errors.NotFound) {
    return new Deno.errors.NotFound(`${what}: it does not exist`, {
      cause: error,
    });
  }
  return new Error(`${what}: ${(error as Error).message}`, { cause: error });
}

/** Removes a directory, if it is still there. */
async function remove(directory: string): Promise<void> {
  await Deno.remove(directory, { recursive: true }).catch(() => {});
}
