import { resolve } from "@std/path/posix/resolve";
import { checkMilliseconds, checkWord, pathOf, shorten } from "../options.ts";
import type { LocalCommand, SignalOptions } from "./connection.ts";
import { checkArgv, checkKinds, quote } from "./_quote.ts";
import { after } from "./time_limit.ts";

/** Options of {@linkcode startLocal}. */
export interface StartLocalOptions extends SignalOptions {
  /**
   * What the command reads: `/dev/null`, or {@linkcode Process.stdin}.
   *
   * @default {"null"}
   */
  stdin?: "null" | "piped" | undefined;
  /**
   * Where its stdout goes: `/dev/null`, {@linkcode Process.stdout}, or the end
   * of a file here. The command writes to the file itself: this program may
   * be busy or gone.
   *
   * @default {"null"}
   */
  stdout?: "null" | "piped" | { readonly append: string | URL } | undefined;
  /**
   * Where its stderr goes; `stdout`: to the same place as stdout.
   *
   * @default {"null"}
   */
  stderr?:
    | "null"
    | "piped"
    | "stdout"
    | { readonly append: string | URL }
    | undefined;
  /**
   * Milliseconds between SIGTERM and SIGKILL; `Infinity`: no SIGKILL before it has ended.
   *
   * @default {5000}
   */
  grace?: number | undefined;
}

/** Options of {@linkcode Process.terminate}. */
export interface TerminateOptions {
  /**
   * Milliseconds between SIGTERM and SIGKILL; `Infinity`: no SIGKILL before it has ended.
   *
   * @default the `grace` the process was started with
   */
  grace?: number | undefined;
}

/**
 * A process that runs here, and what it started. Disposing of it terminates it
 * and cancels the streams that nobody holds a lock on.
 *
 * Piped output has to be read, or the process stands still when the pipe is full.
 */
export interface Process extends AsyncDisposable {
  /** Process id, here. Also that of its group and session. */
  readonly pid: number;
  /**
   * What the process reads.
   *
   * @throws {TypeError} if stdin is not piped
   */
  readonly stdin: WritableStream<Uint8Array<ArrayBufferLike>>;
  /**
   * What it prints to its standard output.
   *
   * @throws {TypeError} if stdout is not piped
   */
  readonly stdout: ReadableStream<Uint8Array<ArrayBuffer>>;
  /**
   * What it prints to its standard error.
   *
   * @throws {TypeError} if stderr is not piped
   */
  readonly stderr: ReadableStream<Uint8Array<ArrayBuffer>>;
  /**
   * Resolves when the process has ended, even if others still hold its pipes.
   * Never rejects.
   */
  readonly status: Promise<Deno.CommandStatus>;
  /**
   * Sends a signal (SIGTERM if none is given) to the process and what it
   * started. Does nothing after its end.
   */
  kill(signal?: Deno.Signal): void;
  /** Lets the program that started it end by itself while this process runs. */
  unref(): void;
  /** Undoes {@linkcode unref}: the program does not end by itself while this process runs. */
  ref(): void;
  /**
   * Ends the process: SIGTERM, after the grace SIGKILL. What is left of its
   * group when the process itself has ended is killed.
   */
  terminate(options?: TerminateOptions): Promise<Deno.CommandStatus>;
}

/** Starts a command as a session of its own. */
export function spawn(
  command: LocalCommand,
  options: StartLocalOptions,
): Process {
  const { argv, env, clearEnv, cwd } = command;
  checkArgv(argv);
  checkKinds(command);
  const { stdin = "null", grace = 5000, signal } = options;
  checkMilliseconds({ grace }, { orZero: true });
  const [[file, ...args], stdout, stderr] = redirect(argv, options);
  let child;
  try {
    child = new Deno.Command(file, {
      args,
      stdin,
      stdout,
      stderr,
      detached: true,
      ...(env && { env: { ...env } }),
      ...(clearEnv && { clearEnv }),
      ...(cwd !== undefined && { cwd }),
    }).spawn();
  } catch (error) {
    throw explain(error, command);
  }
  return new ChildGroup(child, grace, signal);
}

class ChildGroup implements Process {
  readonly #child: Deno.ChildProcess;
  readonly #grace: number;
  readonly status: Promise<Deno.CommandStatus>;
  #ended = false;

  constructor(child: Deno.ChildProcess, grace: number, signal?: AbortSignal) {
    this.#child = child;
    this.#grace = grace;
    // A group that may not be signalled cannot be ended: its status tells.
    const abort = () => void this.terminate().catch(() => {});
    signal?.addEventListener("abort", abort);
    this.status = statusOf(child).then((status) => {
      this.#ended = true;
      signal?.removeEventListener("abort", abort);
      return status;
    });
  }

  get pid(): number {
    return this.#child.pid;
  }

  get stdin(): WritableStream<Uint8Array<ArrayBufferLike>> {
    return this.#child.stdin;
  }

  get stdout(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#child.stdout;
  }

  get stderr(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#child.stderr;
  }

  kill(signal: Deno.Signal = "SIGTERM"): void {
    if (!this.#ended) this.#signalGroup(signal);
  }

  ref(): void {
    if (!this.#ended) this.#child.ref();
  }

  unref(): void {
    if (!this.#ended) this.#child.unref();
  }

  async terminate(
    { grace = this.#grace }: TerminateOptions = {},
  ): Promise<Deno.CommandStatus> {
    checkMilliseconds({ grace }, { orZero: true });
    if (this.#ended) return await this.status;
    this.kill("SIGTERM");
    const late = Promise.withResolvers<void>();
    const timer = after(grace, late.resolve);
    await Promise.race([this.status, late.promise]);
    clearTimeout(timer);
    // Also after the end of the process itself: its children may be there.
    this.#signalGroup("SIGKILL");
    return await this.status;
  }

  #signalGroup(signal: Deno.Signal): void {
    try {
      Deno.kill(-this.pid, signal);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.terminate();
    await Promise.all([
      release(() => this.stdin, (stdin) => stdin.close()),
      release(() => this.stdout, (stdout) => stdout.cancel()),
      release(() => this.stderr, (stderr) => stderr.cancel()),
    ]);
  }
}

/** How a child ended. Deno's own promise rejects for signals that it has no name for, such as those for real time. */
export async function statusOf(
  child: Pick<Deno.ChildProcess, "status">,
): Promise<Deno.CommandStatus> {
  try {
    return await child.status;
  } catch (error) {
    const [, number] = /signal: (\d+)/i.exec((error as Error).message) ?? [];
    return { success: false, code: 128 + Number(number ?? 0), signal: null };
  }
}

/** Closes a stream, if there is one and nobody else uses it. */
async function release<Stream extends { readonly locked: boolean }>(
  get: () => Stream,
  close: (stream: Stream) => Promise<void>,
): Promise<void> {
  try {
    const stream = get();
    if (!stream.locked) await close(stream);
  } catch {
    // Not piped, or closed already.
  }
}

type Kind = "null" | "piped" | "inherit";

/** `Deno.Command` cannot write to files: a shell redirects and becomes the command. */
function redirect(
  argv: readonly string[],
  { stdout = "null", stderr = "null" }: StartLocalOptions,
): [argv: readonly string[], stdout: Kind, stderr: Kind] {
  checkPlace("stdout", stdout, ["null", "piped"]);
  checkPlace("stderr", stderr, ["null", "piped", "stdout"]);
  const files: string[] = [];
  const steps: string[] = [];
  if (typeof stdout === "object") {
    files.push(openable(stdout.append));
    steps.push('exec >>"$1"', "shift");
  }
  if (stderr === "stdout") steps.push("exec 2>&1");
  else if (typeof stderr === "object") {
    files.push(openable(stderr.append));
    steps.push('exec 2>>"$1"', "shift");
  }
  const out = typeof stdout === "object" ? "null" : stdout;
  const err = typeof stderr === "object" || stderr === "stdout"
    ? "null"
    : stderr;
  if (steps.length === 0) return [argv, out, err];
  const script = [...steps, 'exec "$@"'].join("; ");
  return [["/bin/sh", "-c", script, "sh", ...files, ...argv], out, err];
}

/** Checks where output goes, but for the path of a file. */
function checkPlace(name: string, place: unknown, words: string[]): void {
  if (typeof place === "object" && place !== null) return;
  checkWord("a command", name, place, words);
}

/** The path of a file that can be written to: errors are clearer from here than from a shell. */
function openable(file: string | URL): string {
  const path = resolve(pathOf(file));
  Deno.openSync(path, { append: true, create: true }).close();
  return path;
}

/** The error to throw for one of the system. */
export function explain(error: unknown, { argv, cwd }: LocalCommand): unknown {
  const what = `Cannot run "${describe(argv)}"`;
  if (error instanceof Deno.errors.NotFound) {
    if (/ cwd /.test(error.message)) {
      return new Deno.errors.NotFound(
        `${what}: "${cwd}" is not a directory`,
        { cause: error },
      );
    }
    const missing = argv[0].includes("/")
      ? `"${argv[0]}" does not exist, or the interpreter that it names`
      : `the program "${argv[0]}" is not installed`;
    return new Deno.errors.NotFound(`${what}: ${missing}`, { cause: error });
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return new Deno.errors.PermissionDenied(
      `${what}: "${argv[0]}" is not executable`,
      { cause: error },
    );
  }
  if (error instanceof Error && "code" in error && error.code === "E2BIG") {
    return new RangeError(
      `${what}: its arguments and variables are more than the system takes, stdin or a file can hold more`,
      { cause: error },
    );
  }
  return error;
}

/** A command for messages. */
export function describe(argv: readonly string[]): string {
  return shorten(argv.map(quote).join(" "), 200);
}
