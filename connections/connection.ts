/**
 * The contract of connections: how commands are run on one system, and the
 * errors of a link that does not work.
 *
 * An object of your own that fits {@linkcode Connection} is as good as the ones
 * of this package.
 *
 * @example A connection of one's own, to a chroot
 * ```ts
 * import { LocalConnection } from "jsr:@atex/atex/connections/local";
 * import {
 *   type LocalOptions,
 *   withOptions,
 * } from "jsr:@atex/atex/connections/connection";
 *
 * class ChrootConnection extends LocalConnection {
 *   override local(argv: readonly string[], options?: LocalOptions) {
 *     return super.local(["chroot", "/srv/root", ...withOptions(argv, options)]);
 *   }
 * }
 * ```
 *
 * @module
 */
import { checkArgv, checkSurroundings, withVariables } from "./_quote.ts";

/** Where and with what environment a command runs on the system. */
export interface RemoteCommandOptions {
  /**
   * Variables added to the environment of the command. Depending on the kind of
   * connection they are visible in the process lists of both sides: pass secrets
   * in another way.
   *
   * @default `{}`
   */
  env?: Readonly<Record<string, string>> | undefined;
  /**
   * Directory in which the command runs, on the system.
   *
   * @default the directory that a login starts in
   */
  cwd?: string | undefined;
}

/** Options of {@linkcode Connection.local}. */
export interface LocalOptions extends RemoteCommandOptions {
  /**
   * Give the command a terminal on the system, for a person. The command here then
   * has to be run with the streams of a terminal, as `interact()` of
   * `connections/terminal` does.
   *
   * @default {false}
   */
  terminal?: boolean | undefined;
}

/**
 * Puts variables and directory into a command itself, for links that pass on
 * nothing but arguments: it then needs `env` and `sh` on the system.
 *
 * @example
 * ```ts
 * import { withOptions } from "jsr:@atex/atex/connections/connection";
 *
 * const argv = withOptions(["make"], { env: { LC_ALL: "C" }, cwd: "/srv" });
 * console.log(["chroot", "/srv/root", ...argv]);
 * ```
 *
 * @throws {TypeError} if `argv` is empty, or something in it or in the options cannot be passed on
 */
export function withOptions(
  argv: readonly string[],
  options: RemoteCommandOptions = {},
): readonly string[] {
  checkArgv(argv);
  checkSurroundings(options);
  const { env = {}, cwd } = options;
  const command = withVariables(argv, env);
  if (cwd === undefined) return command;
  // The directory is neither an option nor a matter for CDPATH.
  const directory = /^\.{0,2}\//.test(cwd) ? cwd : `./${cwd}`;
  return [
    "sh",
    "-c",
    'cd "$1" && shift && exec "$@"',
    "sh",
    directory,
    ...command,
  ];
}

/** A command to run *here*: what {@linkcode Connection.local} returns. */
export interface LocalCommand {
  /** Program and arguments. */
  readonly argv: readonly string[];
  /**
   * Variables to set.
   *
   * @default `{}`
   */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /**
   * Start from an empty environment instead of that of this process.
   *
   * @default {false}
   */
  readonly clearEnv?: boolean | undefined;
  /**
   * Directory to run in, here.
   *
   * @default the current directory
   */
  readonly cwd?: string | undefined;
}

/** Options of calls that may take long. */
export interface SignalOptions {
  /** Ends the call; it then rejects with the reason of the signal. */
  signal?: AbortSignal | undefined;
}

/**
 * A link to one system, on which commands run. Each command on the system is
 * backed by one process here, with three separate byte streams and an exit
 * status. It has no terminal unless one is asked for.
 */
export interface Connection extends AsyncDisposable {
  /**
   * Makes the link usable: when this resolves, a command works. On a connected
   * link it does nothing. After a failure it may be called again.
   *
   * @throws {ConnectError} if the system cannot be reached
   */
  connect(options?: SignalOptions): Promise<void>;

  /** Ends the link. Harmless if it is down already; never rejects for that. */
  disconnect(): Promise<void>;

  /**
   * Gives the command that, run here, runs `argv` on the system. Starts nothing.
   * Arguments reach the program one to one: empty ones, blanks, quotes, newlines.
   * A connection that cannot give a command a terminal takes no notice of that
   * option.
   *
   * @throws {NotConnectedError} without {@linkcode connect}
   * @throws {TypeError} if `argv` is empty or an argument holds a NUL character
   */
  local(argv: readonly string[], options?: LocalOptions): LocalCommand;

  /**
   * Makes a command that runs `file` on the system, with the options of
   * `Deno.Command`: `args`, `env` and `cwd` are those on the system; `stdin`,
   * `stdout`, `stderr` and `signal` mean what they mean for a local command.
   *
   * @throws {NotConnectedError} without {@linkcode connect}
   */
  command(file: string, options?: Deno.CommandOptions): Deno.Command;

  /**
   * Makes a command that runs `rsync` with these arguments, in which a path that
   * begins with `remote:` is on the system.
   *
   * @throws {NotConnectedError} without {@linkcode connect}
   */
  rsync(args: readonly string[], options?: Deno.CommandOptions): Deno.Command;

  /**
   * Resolves with the reason when an established link ends by itself. Absent or
   * never settled where the end of a link shows only in the next command.
   */
  readonly closed?: Promise<ConnectionError> | undefined;

  /**
   * False if the system cannot be restarted and reached again over this
   * connection, or if a command would not notice that its output is not read any
   * more (which the reboot of a test needs).
   *
   * @default {true}
   */
  readonly canReboot?: boolean | undefined;
}

/** A link to a system does not work. The base of the errors of connections. */
export class ConnectionError extends Error {
  /** Creates the error. */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ConnectionError";
  }
}

/** A command was asked for on a connection that is not connected. */
export class NotConnectedError extends ConnectionError {
  /** Creates the error. */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "NotConnectedError";
  }
}

/** How a client program that was to connect ended. */
export interface ConnectErrorOptions extends ErrorOptions {
  /** Exit code of the program that was to connect. */
  code?: number | undefined;
  /** What that program printed, at most its last 64 KiB. */
  output?: string | undefined;
}

/** A system could not be reached. */
export class ConnectError extends ConnectionError {
  /** Exit code of the program that was to connect, if it ended. */
  readonly code?: number;
  /** What that program printed, at most its last 64 KiB. */
  readonly output: string;

  /** Creates the error. */
  constructor(message: string, options: ConnectErrorOptions = {}) {
    super(message, options);
    this.name = "ConnectError";
    this.code = options.code;
    this.output = options.output ?? "";
  }
}

/** A link was up and is not any more. */
export class ConnectionLostError extends ConnectionError {
  /** Exit code of the program that held the link, if it ended. */
  readonly code?: number;
  /** What that program printed last, at most 64 KiB. */
  readonly output: string;

  /** Creates the error. */
  constructor(message: string, options: ConnectErrorOptions = {}) {
    super(message, options);
    this.name = "ConnectionLostError";
    this.code = options.code;
    this.output = options.output ?? "";
  }
}
