import { runLocal } from "./process.ts";

/** That of the script, without what ssh would pass on to the system. */
export function environment(): Record<string, string> {
  const env = Object.fromEntries(
    Object.entries(Deno.env.toObject())
      .filter(([name]) => name !== "LANG" && !name.startsWith("LC_")),
  );
  // ssh runs its own helpers in this shell: that of a service refuses.
  if (/\/(nologin|false)$/.test(env.SHELL ?? "")) env.SHELL = "/bin/sh";
  return env;
}

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
  const directory = await Deno.makeTempDir({ prefix });
  // 103 bytes (on macOS, 107 on Linux), of which two are for the name, and ssh needs 17 while it makes the socket.
  if (new TextEncoder().encode(directory).length <= 84) return directory;
  await Deno.remove(directory);
  return await Deno.makeTempDir({ prefix, dir: "/tmp" });
}

/** Makes the program that tells ssh the password; returns the variables it takes. */
export async function askpass(
  directory: string,
  password: string,
): Promise<Record<string, string>> {
  const program = `${directory}/askpass`;
  const text = `#!/bin/sh\nprintf '%s\\n' "$ATEX_SSH_PASSWORD"\n`;
  // A shell writes it: while this program has it open for writing, what else is
  // started here inherits that for a moment, and nobody can run it.
  const write = 'cat >"$1" && chmod 700 "$1"';
  await runLocal(
    { argv: ["/bin/sh", "-c", write, "sh", program] },
    { stdin: text },
  );
  return {
    ATEX_SSH_PASSWORD: password,
    SSH_ASKPASS: program,
    SSH_ASKPASS_REQUIRE: "force",
    DISPLAY: Deno.env.get("DISPLAY") ?? ":0", // before OpenSSH 8.4
  };
}

/** Removes a directory, if it is still there. */
async function remove(directory: string): Promise<void> {
  await Deno.remove(directory, { recursive: true }).catch(() => {});
}
