/**
 * The system on which the script runs, as a connection.
 *
 * Needs the permission to run programs (`--allow-run`).
 *
 * @example Run something here
 * ```ts
 * import { LocalConnection } from "jsr:@atex/atex/connections/local";
 * import { run } from "jsr:@atex/atex/connections/process";
 *
 * await using here = await LocalConnection.open();
 * console.log(await run(here, ["cat", "/etc/os-release"]));
 * ```
 *
 * @module
 */
import { checkOptions, type Known, pathOf } from "../options.ts";
import type {
  Connection,
  LocalCommand,
  LocalOptions,
  SignalOptions,
} from "./connection.ts";
import { denoCommand } from "./_command.ts";
import { checkArgv, checkSurroundings } from "./_quote.ts";
import { rsyncBehindPrefix } from "./_rsync.ts";

/** Options of {@linkcode LocalConnection}. */
export interface LocalConnectionOptions {
  /**
   * Directory in which commands run that name none.
   *
   * @default the current directory
   */
  cwd?: string | URL | undefined;
  /**
   * Variables added to the environment of all commands.
   *
   * @default `{}`
   */
  env?: Readonly<Record<string, string>> | undefined;
  /**
   * Start commands with an empty environment instead of that of the script.
   *
   * @default {false}
   */
  clearEnv?: boolean | undefined;
}

const OPTIONS: Known<LocalConnectionOptions> = {
  cwd: "a path or a URL, if given",
  env: "an object of texts, if given",
  clearEnv: "true or false, if given",
};

/**
 * The local system. Always connected: connecting and disconnecting do nothing.
 *
 * Commands inherit the environment and the current directory of the script, unless
 * the options say otherwise.
 */
export class LocalConnection implements Connection {
  /**
   * Always false: the script does not outlive the reboot of its system.
   */
  readonly canReboot: boolean = false;

  readonly #options: LocalConnectionOptions;

  /**
   * Stores the options.
   *
   * @throws {TypeError} if they cannot be used
   */
  constructor(options: LocalConnectionOptions = {}) {
    checkOptions("LocalConnection", options, OPTIONS);
    this.#options = options;
  }

  /**
   * Makes a connection and connects it.
   *
   * @throws {TypeError} if the options cannot be used
   */
  static async open(
    options: LocalConnectionOptions & SignalOptions = {},
  ): Promise<LocalConnection> {
    const connection = new this(options);
    await connection.connect(options);
    return connection;
  }

  /** Does nothing, unless the signal is aborted. */
  connect({ signal }: SignalOptions = {}): Promise<void> {
    return signal?.aborted ? Promise.reject(signal.reason) : Promise.resolve();
  }

  /** Does nothing. */
  disconnect(): Promise<void> {
    return Promise.resolve();
  }

  /**
   * Gives the command itself.
   *
   * @throws {TypeError} if `argv` is empty or an argument holds a NUL character
   */
  local(
    argv: readonly string[],
    options: LocalOptions = {},
  ): LocalCommand {
    checkArgv(argv);
    checkSurroundings(options);
    const defaults = this.#options;
    const cwd = options.cwd ?? defaults.cwd;
    return {
      argv: [...argv],
      ...((defaults.env || options.env) &&
        { env: { ...defaults.env, ...options.env } }),
      ...(defaults.clearEnv && { clearEnv: true }),
      ...(cwd !== undefined && { cwd: pathOf(cwd) }),
    };
  }

  /** Makes a command; `clearEnv`, `uid` and `gid` count too. */
  command(file: string, options: Deno.CommandOptions = {}): Deno.Command {
    const { args = [], env, cwd, ...rest } = options;
    const command = this.local([file, ...args], {
      ...(env && { env }),
      ...(cwd !== undefined && { cwd: pathOf(cwd) }),
    });
    return denoCommand(command, rest);
  }

  /**
   * Makes a command that runs `rsync`; `remote:PATH` is a path here, relative to
   * the directory of this connection. Other paths are relative to the directory in
   * which rsync runs: the option `cwd`, or the current directory.
   */
  rsync(
    args: readonly string[],
    options: Deno.CommandOptions = {},
  ): Deno.Command {
    return rsyncBehindPrefix(this, args, options);
  }

  /** Does nothing. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.disconnect();
  }
}
