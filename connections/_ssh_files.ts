import { runLocal } from "./process.ts";
import { quote } from "./_quote.ts";

/** The environment of the script, without what ssh would pass on to the system. */
export function environment(): Record<string, string> {
  const env = Object.fromEntries(
    Object.entries(Deno.env.toObject())
      .filter(([name]) => name !== "LANG" && !name.startsWith("LC_")),
  );
  // ssh runs its own helpers in this shell: that of the user may refuse, or be gone.
  env.SHELL = "/bin/sh";
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

/**
 * Gives the password to nobody but who asks for that of the system: what else ssh may
 * ask, the server included, is answered by failing.
 */
const ASKPASS = `#!/bin/sh
asked=$1
case $asked in
"("*"@"*") "*) asked=\${asked#*") "} ;;
esac
case $asked in
*"'s password: ") ;;
*[Nn]ew" "* | *[Oo]ld" "* | *[Cc]urrent* | *[Rr]etype* | *[Oo]ne?[Tt]ime*) no=1 ;;
[Pp]assword | [Pp]assword: | [Pp]assword:" " | [Pp]assword" for "*) ;;
*" "[Pp]assword: | *" "[Pp]assword:" ") ;;
*) no=1 ;;
esac
if [ "$no" ]; then
  # Keys that cannot be used without one are passed over.
  case $asked in
  *passphrase*) ;;
  *) printf 'ssh asks for something else than the password: %s\\n' "$1" >&2 ;;
  esac
  exit 1
fi
printf '%s\\n' "$ATEX_SSH_PASSWORD"
`;

/** The variables with which ssh gets the password. */
const ASKING = [
  "ATEX_SSH_PASSWORD",
  "SSH_ASKPASS",
  "SSH_ASKPASS_REQUIRE",
  "DISPLAY",
];

/**
 * The shell for what ssh runs itself, such as the ssh of a `ProxyJump`: that
 * must not get the password, but what it would find without us.
 */
function innerShell(env: Readonly<Record<string, string>>): string {
  const before = ASKING.filter((name) => env[name] !== undefined)
    .map((name) => `export ${name}=${quote(env[name])}\n`);
  return `#!/bin/sh\nunset ${ASKING.join(" ")}\n${before.join("")}` +
    `export SHELL=/bin/sh\nexec /bin/sh "$@"\n`;
}

/**
 * Makes the programs with which ssh, and nobody whom it starts, learns the password;
 * returns the variables it takes.
 *
 * @param env the environment that ssh has without them
 */
export async function askpass(
  directory: string,
  password: string,
  env: Readonly<Record<string, string>>,
): Promise<Record<string, string>> {
  const program = `${directory}/askpass`;
  const shell = `${directory}/shell`;
  // A shell writes them: while this program has one open for writing, what else is
  // started here inherits that for a moment, and nobody can run it.
  const write = 'cat >"$1" && chmod 700 "$1"';
  for (const [file, stdin] of [[program, ASKPASS], [shell, innerShell(env)]]) {
    await runLocal({ argv: ["/bin/sh", "-c", write, "sh", file] }, { stdin });
  }
  return {
    ATEX_SSH_PASSWORD: password,
    SHELL: shell,
    SSH_ASKPASS: program,
    SSH_ASKPASS_REQUIRE: "force",
    DISPLAY: env.DISPLAY ?? ":0", // before OpenSSH 8.4
  };
}

/** Removes a directory, if it is still there. */
async function remove(directory: string): Promise<void> {
  await Deno.remove(directory, { recursive: true }).catch(() => {});
}
