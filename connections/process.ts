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
import { checkOptions, type Known, shorten, wrongKind } from "../options.ts";
import type {
  Connection,
  LocalCommand,
  RemoteCommandOptions,
  SignalOptions,
} from "./connection.ts";
import {
  describe,
  type Process,
  spawn,
  type StartLocalOptions,
  type TerminateOptions,
} from "./_child.ts";
import { linkOf } from "./_sessions.ts";
import { readAll } from "./_streams.ts";

export type { Process, StartLocalOptions, TerminateOptions };

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
  stdin?: string | Uint8Array | undefined;
  /**
   * Milliseconds between SIGTERM and SIGKILL, after an abort; `Infinity`: no
   * SIGKILL before it has ended.
   *
   * @default {5000}
   */
  grace?: number | undefined;
}

const RUN_LOCAL_OPTIONS: Known<RunLocalOptions> = {
  stdin: "optional",
  grace: "optional",
  signal: "optional",
};

/** Options of {@linkcode run} and {@linkcode output}. */
export interface RunOptions extends RunLocalOptions, RemoteCommandOptions {}

const RUN_OPTIONS: Known<RunOptions> = {
  ...RUN_LOCAL_OPTIONS,
  env: "optional",
  cwd: "optional",
};

/** How a command ended and what it printed. */
export interface CommandResult extends Deno.CommandStatus {
  /** All of its stdout. */
  readonly stdout: Uint8Array<ArrayBuffer>;
  /** All of its stderr. */
  readonly stderr: Uint8Array<ArrayBuffer>;
}

/** Options of {@linkcode start}. */
export interface StartOptions extends StartLocalOptions, RemoteCommandOptions {}

const START_LOCAL_OPTIONS: Known<StartLocalOptions> = {
  stdin: ["null", "piped"],
  stdout: "optional",
  stderr: "optional",
  grace: "optional",
  signal: "optional",
};

const START_OPTIONS: Known<StartOptions> = {
  ...START_LOCAL_OPTIONS,
  env: "optional",
  cwd: "optional",
};

/**
 * Runs `argv` on a system to its end and returns its stdout as text, as it is.
 *
 * Aborting the `signal` terminates what runs here. Over a network, that is the
 * client: a command that neither reads nor writes goes on on the system, and
 * holds a session of its sshd. What has to end there, too, is for the `timeout`
 * of `exec()` in `executors/function`, or for `executors/command`.
 *
 * @throws {CommandError} if it ends with a status other than 0
 * @throws {NotConnectedError} if the connection is not connected
 * @throws {Deno.errors.NotFound} if a program is missing here
 * @throws {RangeError} if arguments and variables are more than the system takes
 * @throws {TypeError} if an option is misspelt or of the wrong kind
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
 * @throws {RangeError} if arguments and variables are more than the system takes
 * @throws {TypeError} if an option is misspelt or of the wrong kind
 */
export async function output(
  connection: Connection,
  argv: readonly string[],
  options: RunOptions = {},
): Promise<CommandResult> {
  checkOptions("a command", options, RUN_OPTIONS);
  options.signal?.throwIfAborted();
  return await outputLocal(connection.local(argv, options), options);
}

/**
 * As {@linkcode run}, for a command that is to run here.
 *
 * @example
 * ```ts
 * import { runLocal } from "jsr:@atex/atex/connections/process";
 *
 * console.log(await runLocal({ argv: ["uname", "-s"], env: { LC_ALL: "C" } }));
 * ```
 */
export async function runLocal(
  command: LocalCommand,
  options: RunLocalOptions = {},
): Promise<string> {
  return textOf(command.argv, await outputLocal(command, options));
}

/**
 * As {@linkcode output}, for a command that is to run here.
 *
 * @example
 * ```ts
 * import { outputLocal } from "jsr:@atex/atex/connections/process";
 *
 * const { code, stdout } = await outputLocal({ argv: ["cat"] }, { stdin: "hi" });
 * console.log(code, new TextDecoder().decode(stdout)); // 0 hi
 * ```
 */
export async function outputLocal(
  command: LocalCommand,
  options: RunLocalOptions = {},
): Promise<CommandResult> {
  checkOptions("a command", options, RUN_LOCAL_OPTIONS);
  const { stdin, signal, grace } = options;
  if (
    stdin !== undefined && typeof stdin !== "string" &&
    !(stdin instanceof Uint8Array)
  ) {
    throw wrongKind("a command", "stdin", stdin, "a string or a Uint8Array");
  }
  signal?.throwIfAborted();
  using _session = await linkOf(command)?.enter(signal);
  signal?.throwIfAborted(); // it may have been aborted meanwhile
  await using process = spawn(command, {
    stdin: stdin === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
    signal,
    grace,
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
 * @throws {TypeError} if an option is misspelt or of the wrong kind
 */
export function start(
  connection: Connection,
  argv: readonly string[],
  options: StartOptions = {},
): Process {
  checkOptions("a command", options, START_OPTIONS);
  options.signal?.throwIfAborted();
  return startLocal(connection.local(argv, options), options);
}

/**
 * As {@linkcode start}, for a command that is to run here.
 *
 * @example
 * ```ts
 * import { startLocal } from "jsr:@atex/atex/connections/process";
 *
 * await using child = startLocal({ argv: ["sleep", "60"] }, { grace: 1000 });
 * const { signal } = await child.terminate();
 * console.log(signal); // SIGTERM
 * ```
 */
export function startLocal(
  command: LocalCommand,
  options: StartLocalOptions = {},
): Process {
  checkOptions("a command", options, START_LOCAL_OPTIONS);
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
