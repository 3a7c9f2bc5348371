/**
 * Connections to running podman containers.
 *
 * Commands go straight to the container's runtime (`runc exec`, `crun exec`):
 * `podman exec` hides from a command that nobody reads its output any more, and
 * from its caller how it ended. Where the runtime cannot be used (a podman that is
 * called with arguments, as for another machine, a container of another user, no
 * session bus for an ordinary user) it is
 * `podman exec` nevertheless, and {@linkcode PodmanConnection.canReboot} is
 * false.
 *
 * Needs the permissions to run programs and to read the user id (`--allow-run`,
 * `--allow-sys=uid`).
 *
 * @example Run something in a container
 * ```ts no-run
 * import { PodmanConnection } from "jsr:@atex/atex/connections/podman";
 * import { run } from "jsr:@atex/atex/connections/process";
 *
 * await using container = await PodmanConnection.open({ container: "web" });
 * console.log(await run(container, ["cat", "/etc/os-release"]));
 * ```
 *
 * @module
 */
import { checkMilliseconds, checkOptions, type Known } from "../options.ts";
import {
  ConnectError,
  type Connection,
  type LocalCommand,
  type LocalOptions,
  NotConnectedError,
  type SignalOptions,
  withOptions,
} from "./connection.ts";
import { remoteCommand } from "./_command.ts";
import {
  MADE,
  type MadeContainer,
  type MadeOption,
  type WayIn,
} from "./made_container.ts";
import { checkProgram } from "./program.ts";
import { connectWithin } from "./time_limit.ts";
import { IN_SHELL } from "./_quote.ts";
import { rsyncBehindPrefix } from "./_rsync.ts";
import { CommandError, runLocal } from "./process.ts";

/** What podman tells of a container. */
interface FoundContainer {
  /** Its long id. */
  readonly id: string;
  /** The program of its runtime. */
  readonly runtime: string;
}

/** Options of {@linkcode PodmanConnection}. */
export interface PodmanOptions {
  /** Name or id of the container. */
  container: string;
  /**
   * Whether to use the container's runtime directly: `true` insists on it,
   * `false` always uses `podman exec`.
   *
   * @default directly if that works, and `podman` has no arguments: with some it may
   * be another machine that says what the runtime is
   */
  direct?: boolean | undefined;
  /**
   * The podman program, and arguments that come before all others, as in
   * `["podman", "--remote"]`.
   *
   * @default {["podman"]}
   */
  podman?: readonly string[] | undefined;
  /**
   * Longest time, in milliseconds, in which the connection is made; `Infinity`: no
   * limit.
   *
   * @default {60_000}
   */
  connectTimeout?: number | undefined;
}

const OPTIONS: Known<PodmanOptions> = {
  container: "a string",
  direct: "true or false, if given",
  podman: "optional",
  connectTimeout: "optional",
};

/** A running container. The container itself belongs to somebody else. */
export class PodmanConnection implements Connection {
  readonly #options: PodmanOptions;
  /** What to put in front of a command, while connected. */
  #prefix?: readonly string[];
  /** Its long id, while connected. */
  #id?: string;
  #made?: MadeContainer;
  #direct = true;

  /**
   * Only stores the options.
   *
   * @throws {TypeError} if `container` is missing, `podman` is no list of words, or the time no number
   * @throws {RangeError} if the time is not above 0
   */
  constructor(options: PodmanOptions) {
    checkOptions("PodmanConnection", options, OPTIONS);
    const { podman = ["podman"], connectTimeout = 60_000 } = options;
    checkProgram("podman", podman);
    checkMilliseconds({ connectTimeout });
    this.#options = { ...options };
    this.#made = (options as MadeOption)[MADE];
  }

  /**
   * Makes a connection and connects it.
   *
   * @throws {TypeError} if the options cannot be used
   * @throws {RangeError} if `connectTimeout` is not above 0
   * @throws {ConnectError} if there is no such container, it does not run, or it takes too long
   */
  static async open(
    options: PodmanOptions & SignalOptions,
  ): Promise<PodmanConnection> {
    const connection = new this(options);
    await connection.connect(options);
    return connection;
  }

  /** False if commands have to go through `podman exec`. */
  get canReboot(): boolean {
    return this.#direct;
  }

  /**
   * Finds the container and tries which way commands can be run in it.
   *
   * @throws {ConnectError} if there is no such container, it does not run, or it takes too long
   */
  async connect({ signal }: SignalOptions = {}): Promise<void> {
    signal?.throwIfAborted();
    if (this.#prefix) return;
    const { container, connectTimeout = 60_000 } = this.#options;
    const system = `the container "${container}"`;
    await connectWithin(
      connectTimeout,
      { system, signal },
      (signal) => this.#connect(signal),
    );
  }

  async #connect(signal: AbortSignal): Promise<void> {
    const { podman = ["podman"] } = this.#options;
    const { id: madeId, alike } = this.#made ?? {};
    this.#made = undefined; // the container may end before the next connection
    if (madeId !== undefined && alike?.way) {
      return this.#use(madeId, alike.way);
    }
    const { id, runtime } = await this.#inspect(signal);
    const said: string[] = [];
    for (const direct of waysOf(podman, this.#options.direct)) {
      const way = { runtime, direct };
      const failure = await tryToRun(
        [...this.#prefixOf(id, way), "true"],
        signal,
      );
      if (failure === undefined) {
        if (alike) alike.way = way;
        return this.#use(id, way);
      }
      said.push(failure);
    }
    throw this.#error(`cannot run a command in it: ${said.join("; ")}`);
  }

  #use(id: string, way: WayIn): void {
    this.#id = id;
    this.#prefix = this.#prefixOf(id, way);
    this.#direct = way.direct;
  }

  /** What to put in front of a command. */
  #prefixOf(id: string, { runtime, direct }: WayIn): readonly string[] {
    const { podman = ["podman"] } = this.#options;
    return direct
      // Runtimes end with 255 for a missing program, as if there were no container.
      ? [...enterCgroup(), runtime, "exec", id, ...IN_SHELL]
      : [...podman, "exec", "-i", id];
  }

  /** Forgets the container. */
  disconnect(): Promise<void> {
    this.#prefix = undefined;
    return Promise.resolve();
  }

  /**
   * Gives the command that, run here, runs `argv` in the container.
   *
   * Variables and directory are those of the container unless given. A program
   * that is missing ends with exit code 127.
   *
   * @throws {NotConnectedError} without {@linkcode connect}
   * @throws {TypeError} if `argv` is empty or an argument holds a NUL character
   */
  local(
    argv: readonly string[],
    options: LocalOptions = {},
  ): LocalCommand {
    if (!this.#prefix) {
      throw new NotConnectedError(
        `Cannot run "${
          argv[0]
        }" in the container "${this.#options.container}": not connected`,
      );
    }
    const { podman = ["podman"] } = this.#options;
    const prefix = options.terminal
      // It follows the size of the window, which runtimes leave to it.
      ? [...podman, "exec", "-it", this.#id!]
      : this.#prefix;
    return { argv: [...prefix, ...withOptions(argv, options)] };
  }

  /**
   * Makes a command that runs `file` in the container.
   *
   * @throws {NotConnectedError} without {@linkcode connect}
   */
  command(file: string, options: Deno.CommandOptions = {}): Deno.Command {
    return remoteCommand(this, file, options);
  }

  /**
   * Makes a command that runs `rsync`, where `remote:PATH` is in the container.
   * Both sides need rsync.
   *
   * @throws {NotConnectedError} without {@linkcode connect}
   */
  rsync(
    args: readonly string[],
    options: Deno.CommandOptions = {},
  ): Deno.Command {
    return rsyncBehindPrefix(this, args, options);
  }

  /** Disconnects. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.disconnect();
  }

  async #inspect(signal?: AbortSignal): Promise<FoundContainer> {
    const { podman = ["podman"], container } = this.#options;
    const format = "{{.Id}} {{.State.Status}} {{.OCIRuntime}}";
    const argv = [
      ...podman,
      "container",
      "inspect",
      "-f",
      format,
      "--",
      container,
    ];
    let text;
    try {
      text = await runLocal({ argv }, { signal });
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof CommandError) {
        throw this.#error(error.output.trim(), error);
      }
      throw this.#error((error as Error).message, error);
    }
    const [id, status, runtime] = text.trim().split(" ");
    if (status !== "running") throw this.#error(`it is ${status}, not running`);
    return { id, runtime };
  }

  #error(reason: string, cause?: unknown): ConnectError {
    return new ConnectError(
      `Cannot connect to the container "${this.#options.container}": ${reason}`,
      cause instanceof CommandError
        ? { cause, code: cause.status.code, output: cause.output }
        : { cause },
    );
  }
}

/** Whether to go directly, in the order in which it is tried. */
function waysOf(
  podman: readonly string[],
  direct: boolean | undefined,
): readonly boolean[] {
  if (direct !== undefined) return [direct];
  return podman.length > 1 ? [false] : [true, false];
}

/** An ordinary user may start processes in a container from within the own session only. */
function enterCgroup(): readonly string[] {
  if (Deno.uid() === 0) return [];
  return ["systemd-run", "--quiet", "--user", "--scope", "--collect", "--"];
}

/** Returns what went wrong, if anything did. */
async function tryToRun(
  argv: readonly string[],
  signal?: AbortSignal,
): Promise<string | undefined> {
  try {
    await runLocal({ argv }, { signal });
  } catch (error) {
    signal?.throwIfAborted();
    return (error as Error).message;
  }
}
