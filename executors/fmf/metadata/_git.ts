/**
 * Running git.
 */
import { FmfError } from "./errors.ts";

/** How a git command ended. */
export interface GitOutput {
  success: boolean;
  stdout: string;
  /** What it complained about, without blanks around. */
  stderr: string;
}

/** Options of {@linkcode git}. */
export interface GitOptions {
  cwd?: string;
  env?: Record<string, string>;
  /** In milliseconds. */
  timeout?: number;
  signal?: AbortSignal | undefined;
}

/** How long what git started may take to end, in milliseconds. */
const GRACE = 2000;
/** The longest time that a timer of the platform can take. */
const LONGEST = 2 ** 31 - 1;

/** Variables that would lead git to another repository than the one it is told. */
const REPOSITORY_VARIABLES = [
  "GIT_DIR",
  "GIT_WORK_TREE",
  "GIT_INDEX_FILE",
  "GIT_OBJECT_DIRECTORY",
  "GIT_ALTERNATE_OBJECT_DIRECTORIES",
  "GIT_COMMON_DIR",
  "GIT_NAMESPACE",
  "GIT_PREFIX",
  "GIT_CEILING_DIRECTORIES",
  "GIT_GRAFT_FILE",
  "GIT_SHALLOW_FILE",
  "GIT_NO_REPLACE_OBJECTS",
  "GIT_REPLACE_REF_BASE",
];

const SETTINGS = [
  "-c",
  "protocol.ext.allow=never",
  // What git would do behind our back, after the command.
  "-c",
  "gc.auto=0",
  "-c",
  "maintenance.auto=false",
  "-c",
  "core.hooksPath=/dev/null",
  "-c",
  "advice.detachedHead=false",
];

function environment(): Record<string, string> {
  const env = Deno.env.toObject();
  for (const name of REPOSITORY_VARIABLES) delete env[name];
  return {
    ...env,
    // Nobody is there to be asked: neither by git, nor by its credential
    // helper, nor by ssh.
    GIT_TERMINAL_PROMPT: "0",
    GIT_ASKPASS: "false",
    SSH_ASKPASS: "false",
    SSH_ASKPASS_REQUIRE: "force",
    GCM_INTERACTIVE: "never",
    LC_ALL: "C",
  };
}

/**
 * Runs git to its end, whatever its exit status.
 *
 * @throws {FmfError} of kind `fetch` if git is not there, or takes too long
 */
export async function git(
  args: readonly string[],
  options: GitOptions = {},
): Promise<GitOutput> {
  const { cwd, env = {}, timeout = Infinity, signal } = options;
  signal?.throwIfAborted();
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command("git", {
      args: [...SETTINGS, ...args],
      env: { ...environment(), ...env },
      clearEnv: true,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      detached: true, // it is ended with all that it started
      ...(cwd !== undefined && { cwd }),
    }).spawn();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      throw new FmfError(
        "fetch",
        "cannot run git: the program is not installed",
        { cause: error },
      );
    }
    throw error;
  }
  const output = await outputWithin(child, timeout, signal);
  signal?.throwIfAborted();
  if (!output) {
    const [command] = args.filter((arg) => !arg.startsWith("-"));
    throw new FmfError(
      "fetch",
      `git ${command} takes longer than ${timeout / 1000} s`,
    );
  }
  return output;
}

/** What comes through a pipe, until it ends or is given up. */
class Pipe {
  readonly ended: Promise<void>;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;
  readonly #pieces: Uint8Array<ArrayBuffer>[] = [];

  constructor(stream: ReadableStream<Uint8Array<ArrayBuffer>>) {
    this.#reader = stream.getReader();
    this.ended = this.#read();
  }

  async #read(): Promise<void> {
    for (;;) {
      const { done, value } = await this.#reader.read();
      if (done) return;
      this.#pieces.push(value);
    }
  }

  /** What came; nothing more is taken. */
  async close(): Promise<string> {
    await this.#reader.cancel();
    return await new Blob(this.#pieces).text();
  }
}

/** Nothing if it took too long; an abort ends it. */
async function outputWithin(
  child: Deno.ChildProcess,
  ms: number,
  signal?: AbortSignal,
): Promise<GitOutput | undefined> {
  let isLate = false;
  const timers: ReturnType<typeof setTimeout>[] = [];
  const end = () => {
    killGroup(child.pid, "SIGTERM");
    timers.push(setTimeout(() => killGroup(child.pid, "SIGKILL"), GRACE));
  };
  if (ms <= LONGEST) {
    timers.push(setTimeout(() => {
      isLate = true;
      end();
    }, ms));
  }
  signal?.addEventListener("abort", end);
  const pipes = [new Pipe(child.stdout), new Pipe(child.stderr)] as const;
  try {
    const { success } = await child.status;
    const wasLate = isLate;
    // what an ssh of git's leaves in the background may hold them for ever
    const grace = Promise.withResolvers<void>();
    timers.push(setTimeout(grace.resolve, GRACE));
    await Promise.race([
      Promise.all(pipes.map(({ ended }) => ended)),
      grace.promise,
    ]);
    const [stdout, stderr] = await Promise.all(
      pipes.map((pipe) => pipe.close()),
    );
    return wasLate ? undefined : { success, stdout, stderr: stderr.trim() };
  } finally {
    signal?.removeEventListener("abort", end);
    for (const timer of timers) clearTimeout(timer);
  }
}

function killGroup(pid: number, signal: Deno.Signal): void {
  try {
    Deno.kill(-pid, signal);
  } catch {
    // it has ended
  }
}
