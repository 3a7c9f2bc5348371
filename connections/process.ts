/**
 * Running commands: to the end ({@linkcode run}, {@linkcode output}) or as a
 * {@linkcode Process} under the caller's control ({@linkcode start}).
 *
 * Whatever is started here runs in a session of its own: Ctrl-C reaches the
 * program that started it only, and ending it ends its children too.
 *
 * A program that is missing *here* (`ssh`, `podman`, or anything on a
 * connection to the local system) is a `Deno.errors.NotFound` that names it.
 * One that is missing on another system ends with exit code 127, as in a shell.
 *
 * Needs the permission to run programs.
 *
 * @example Ask a system for something
 * ```ts
 * import { LocalConnection } from "jsr:@atex/atex/connections/local";
 * import { output, run } from "jsr:@atex/atex/connections/process";
 *
 * await using here = await LocalConnection.open();
 * console.log(await run(here, ["uname", "-r"]));
 * const { success } = await output(here, ["test", "-e", "/etc/os-release"]);
 * ```
 *
 * @example Let a command write into a file, and end it
 * ```ts
 * import { LocalConnection } from "jsr:@atex/atex/connections/local";
 * import { start } from "jsr:@atex/atex/connections/process";
 *
 * await using here = await LocalConnection.open();
 * const log = await Deno.makeTempFile();
 * await using ping = start(here, ["ping", "localhost"], {
 *   stdout: { append: log },
 *   stderr: "stdout",
 * });
 * const { signal } = await ping.terminate();
 * ```
 *
 * @module
 */
import { pathOf } from "./_command.ts";
import { resolve } from "@std/path/resolve";
import type {
  Connection,
  LocalCommand,
  RemoteCommandOptions,
  SignalOptions,
} from "./connection.ts";
import { quote } from "./_quote.ts";
import { linkOf } from "./_sessions.ts";

/** How much of what a failed command printed is kept, in bytes. */
const OUTPUT_KEPT = 64 * 1024;

/** A command ended with a status other than 0. */
export class CommandError extends Error {
  /** The command and its arguments. */
  readonly argv: readonly string[];
  /** How the command ended. */
  readonly status: Deno.CommandStatus;
  /**
   * What the command printed last, at most 64 KiB: its stderr, or its stdout if
   * there is nothing on stderr.
   */
  readonly output: string;

  /** Creates the error for a finished command. */
  constructor(
    argv: readonly string[],
    status: Deno.CommandStatus,
    output: string = "",
  ) {
    const how = status.signal ?? `exit code ${status.code}`;
    const lastLine = output.trimEnd().split("\n").at(-1)!.trim();
    const said = lastLine && `: ${shorten(lastLine, 500)}`;
    super(`Cannot run "${describe(argv)}": ended with ${how}${said}`);
    this.name = "CommandError";
    this.argv = argv;
    this.status = status;
    this.output = output;
  }
}

/** Options of {@linkcode runLocal} and {@linkcode outputLocal}. */
export interface RunLocalOptions extends SignalOptions {
  /**
   * What the command reads.
   *
   * @default nothing: `/dev/null`
   */
  stdin?: string | Uint8Array;
  /**
   * Milliseconds between SIGTERM and SIGKILL, after an abort.
   *
   * @default {5000}
   */
  grace?: number;
}

/** Options of {@linkcode run} and {@linkcode output}. */
export interface RunOptions extends RunLocalOptions, RemoteCommandOptions {}

/** How a command ended and what it printed. */
export interface CommandResult extends Deno.CommandStatus {
  /** All of its stdout. */
  readonly stdout: Uint8Array<ArrayBuffer>;
  /** All of its stderr. */
  readonly stderr: Uint8Array<ArrayBuffer>;
}

/** Options of {@linkcode startLocal}. */
export interface StartLocalOptions extends SignalOptions {
  /**
   * What the command reads: `/dev/null`, or {@linkcode Process.stdin}.
   *
   * @default {"null"}
   */
  stdin?: "null" | "piped";
  /**
   * Where its stdout goes: `/dev/null`, {@linkcode Process.stdout}, or the end
   * of a file here. The command writes to the file itself: this program may
   * be busy or gone.
   *
   * @default {"null"}
   */
  stdout?: "null" | "piped" | { readonly append: string | URL };
  /**
   * Where its stderr goes; `stdout`: to the same place as stdout.
   *
   * @default {"null"}
   */
  stderr?: "null" | "piped" | "stdout" | { readonly append: string | URL };
  /**
   * Milliseconds between SIGTERM and SIGKILL.
   *
   * @default {5000}
   */
  grace?: number;
}

/** Options of {@linkcode start}. */
export interface StartOptions extends StartLocalOptions, RemoteCommandOptions {}

/** Options of {@linkcode Process.terminate}. */
export interface TerminateOptions {
  /**
   * Milliseconds between SIGTERM and SIGKILL.
   *
   * @default the `grace` the process was started with
   */
  grace?: number;
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
  /**
   * Ends the process: SIGTERM, after the grace SIGKILL. What is left of its
   * group when the process itself has ended is killed.
   */
  terminate(options?: TerminateOptions): Promise<Deno.CommandStatus>;
}

/**
 * Runs `argv` on a system to its end and returns its stdout as text, as it is.
 *
 * @throws {CommandError} if it ends with a status other than 0
 * @throws {NotConnectedError} if the connection is not connected
 * @throws {Deno.errors.NotFound} if a program is missing here
 */
export async function run(
  connection: Connection,
  argv: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  return textOf(argv, await output(connection, argv, options));
}

/**
 * Runs `argv` on a system to its end, whatever its status.
 *
 * The end is when the command has ended and its stdout and stderr are closed.
 *
 * @throws {NotConnectedError} if the connection is not connected
 * @throws {Deno.errors.NotFound} if a program is missing here
 */
export async function output(
  connection: Connection,
  argv: readonly string[],
  options: RunOptions = {},
): Promise<CommandResult> {
  options.signal?.throwIfAborted();
  return await outputLocal(connection.local(argv, options), options);
}

/** As {@linkcode run}, for a command that is to run here. */
export async function runLocal(
  command: LocalCommand,
  options: RunLocalOptions = {},
): Promise<string> {
  return textOf(command.argv, await outputLocal(command, options));
}

/** As {@linkcode output}, for a command that is to run here. */
export async function outputLocal(
  command: LocalCommand,
  options: RunLocalOptions = {},
): Promise<CommandResult> {
  const { stdin, signal, grace } = options;
  signal?.throwIfAborted();
  using _session = await linkOf(command)?.enter(signal);
  await using process = spawn(command, {
    stdin: stdin === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
    ...(signal && { signal }),
    ...(grace !== undefined && { grace }),
  });
  const stdout = process.stdout.getReader();
  const stderr = process.stderr.getReader();
  const writer = stdin === undefined ? undefined : process.stdin.getWriter();
  const letGo = () =>
    Promise.allSettled([stdout.cancel(), stderr.cancel(), writer?.abort()]);
  // What the command leaves running may hold its pipes open.
  const abort = () => void process.status.then(letGo);
  signal?.addEventListener("abort", abort);
  try {
    const [out, err, status] = await Promise.all([
      readAll(stdout),
      readAll(stderr),
      process.status,
      writer && feed(writer, stdin!),
    ]);
    // Some clients end with 0 when they are terminated.
    signal?.throwIfAborted();
    return { ...status, stdout: out, stderr: err };
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener("abort", abort);
    await letGo();
  }
}

/**
 * Starts `argv` on a system.
 *
 * Aborting the `signal` terminates it; {@linkcode Process.status} tells its end
 * as usual. A signal that is aborted already is thrown.
 *
 * @throws {NotConnectedError} if the connection is not connected
 * @throws {Deno.errors.NotFound} if a program or directory is missing here
 */
export function start(
  connection: Connection,
  argv: readonly string[],
  options: StartOptions = {},
): Process {
  options.signal?.throwIfAborted();
  return startLocal(connection.local(argv, options), options);
}

/** As {@linkcode start}, for a command that is to run here. */
export function startLocal(
  command: LocalCommand,
  options: StartLocalOptions = {},
): Process {
  options.signal?.throwIfAborted();
  const session = linkOf(command)?.join();
  try {
    const process = spawn(command, options);
    process.status.then(() => session?.[Symbol.dispose]());
    return process;
  } catch (error) {
    session?.[Symbol.dispose]();
    throw error;
  }
}

function spawn(command: LocalCommand, options: StartLocalOptions): Process {
  const { argv, env, clearEnv, cwd } = command;
  if (argv.length === 0) throw new TypeError("Cannot run an empty command");
  const { stdin = "null", grace = 5000, signal } = options;
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
    this.status = child.status.then((status) => {
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

  async terminate(
    { grace = this.#grace }: TerminateOptions = {},
  ): Promise<Deno.CommandStatus> {
    if (this.#ended) return await this.status;
    this.kill("SIGTERM");
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, grace);
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

/** The path of a file that can be written to: errors are clearer from here than from a shell. */
function openable(file: string | URL): string {
  Deno.openSync(file, { append: true, create: true }).close();
  return resolve(pathOf(file));
}

function explain(error: unknown, { argv, cwd }: LocalCommand): unknown {
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
  return error;
}

async function readAll(
  reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>,
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
  }
  return await new Blob(chunks).bytes();
}

/** Writes all of it; whether a command reads its input is its own affair. */
async function feed(
  writer: WritableStreamDefaultWriter<Uint8Array<ArrayBufferLike>>,
  data: string | Uint8Array,
): Promise<void> {
  try {
    await writer.write(
      typeof data === "string" ? new TextEncoder().encode(data) : data,
    );
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
  await writer.close().catch(() => {});
}

function textOf(argv: readonly string[], result: CommandResult): string {
  const { stdout, stderr, ...status } = result;
  if (status.success) return new TextDecoder().decode(stdout);
  const tail = (bytes: Uint8Array) =>
    new TextDecoder().decode(bytes.subarray(-OUTPUT_KEPT));
  throw new CommandError(argv, status, tail(stderr).trim() || tail(stdout));
}

function describe(argv: readonly string[]): string {
  return shorten(argv.map(quote).join(" "), 200);
}

function shorten(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}
