/**
 * Connections to systems by `ssh`, of OpenSSH.
 *
 * One `ssh` process, the master, makes the connection, and commands share it: a
 * command then takes a hundredth of a second. The master does not outlive the
 * script, not even one that is killed. With `stateless: true` every command
 * makes a connection of its own.
 *
 * The user's `ssh_config` counts as usual, so `host` may be a name from there.
 * Host keys are not checked unless asked for: systems under test are new each
 * time. The login shell on the system has to be one that understands POSIX
 * quoting.
 *
 * Exit code 255 means that `ssh` itself failed, or that the command was killed
 * by a signal.
 *
 * Needs the permissions to run programs, to read the environment and the
 * directory of temporary files, and to write there (`--allow-run`,
 * `--allow-env`, `--allow-read`, `--allow-write`).
 *
 * @example Run something on a machine
 * ```ts
 * import { SshConnection } from "jsr:@atex/atex/connections/ssh";
 * import { run } from "jsr:@atex/atex/connections/process";
 *
 * await using machine = await SshConnection.open({ host: "root@10.0.0.7" });
 * console.log(await run(machine, ["uname", "-a"]));
 * ```
 *
 * @example All there is to say
 * ```ts no-run
 * import { SshConnection } from "jsr:@atex/atex/connections/ssh";
 *
 * await using machine = await SshConnection.open({
 *   host: "admin@build.example.org:2222",
 *   identityFile: new URL("./id_ed25519", import.meta.url),
 *   sudo: "root",
 *   options: {
 *     ProxyJump: "gate.example.org",
 *     StrictHostKeyChecking: true,
 *     UserKnownHostsFile: "~/.ssh/known_hosts",
 *   },
 * });
 * ```
 *
 * @module
 */
import { abortable } from "@std/async/abortable";
import { delay } from "@std/async/delay";
import {
  checkCounts,
  checkMilliseconds,
  checkOptions,
  type Known,
  pathOf,
} from "../options.ts";
import {
  ConnectError,
  type Connection,
  type ConnectionError,
  ConnectionLostError,
  type LocalCommand,
  type LocalOptions,
  NotConnectedError,
  type SignalOptions,
  withOptions,
} from "./connection.ts";
import { remoteCommand } from "./_command.ts";
import { checkArgv, IN_SHELL, quoteAll } from "./_quote.ts";
import { rsyncCommand } from "./_rsync.ts";
import { Sessions, shareLink } from "./_sessions.ts";
import { PrivateDirectory } from "./_ssh_directory.ts";
import type { Forward, ForwardOptions } from "./_ssh_forward.ts";
import { environment, type MasterEnd, SshMaster } from "./_ssh_master.ts";
import {
  checkTarget,
  knowsSessions,
  sshArguments,
  type SshConfig,
  withTerminal,
} from "./_ssh_options.ts";
import {
  DROP_ATTEMPTS,
  isDropped,
  lastReason,
  pauseAfterDrop,
} from "./ssh_drop.ts";
import { faultOfKey } from "./ssh_key.ts";
import { connectWithin } from "./time_limit.ts";
import { outputLocal, runLocal } from "./process.ts";

export type { Forward, ForwardOptions, SshConfig };

/** Options of {@linkcode SshConnection}. */
export interface SshOptions {
  /**
   * Where to: `HOST`, `USER@HOST`, `HOST:PORT` or `USER@HOST:PORT`. The host is
   * a name, an address (one of version 6 in brackets if a port follows), or a
   * `Host` of the user's `ssh_config`.
   */
  host: string;
  /**
   * File with the private key; `~` at the beginning is the home directory.
   *
   * @default the usual ones of ssh, and those of its agent
   */
  identityFile?: string | URL | undefined;
  /**
   * Password to log in with. It reaches `ssh` by its environment, which other
   * users cannot read.
   *
   * @default none: ssh never asks
   */
  password?: string | undefined;
  /**
   * User as whom commands run, by `sudo`, which must not ask for a password.
   *
   * @default the user who logged in
   */
  sudo?: string | undefined;
  /**
   * Options of `ssh_config` by keyword. Defaults that can be changed:
   * `LogLevel` `ERROR`, `StrictHostKeyChecking` `no`, `UserKnownHostsFile`
   * `/dev/null`, `GlobalKnownHostsFile` `/dev/null` (unless keys are checked),
   * `ConnectionAttempts` 3, `ConnectTimeout` 30 s,
   * `ServerAliveInterval` 30 s, `ServerAliveCountMax` 4, `TCPKeepAlive` `no`,
   * `EscapeChar` `none`, `ExitOnForwardFailure` `yes` (if one of these options is
   * a forward), `BatchMode` `yes`, `ForwardAgent` `no`, `ForwardX11` `no`,
   * `Tunnel` `no`.
   *
   * What `ssh_config` forwards is not, as one port cannot be forwarded for
   * several systems, unless a forward is among these options, too.
   *
   * @default `{}`
   */
  options?: SshConfig | undefined;
  /**
   * The `ssh_config` to read; `none`: no configuration at all.
   *
   * @default that of the user and of the system
   */
  configFile?: string | URL | undefined;
  /**
   * Whether every command makes a connection of its own, without forwards, for
   * servers that forbid to share one.
   *
   * @default {false}
   */
  stateless?: boolean | undefined;
  /**
   * How many commands may run at once; more wait for their turn. Those made
   * by `start()` and `spawn()` count but never wait. Servers usually allow 10
   * (their option `MaxSessions`).
   *
   * @default {8}
   */
  maxSessions?: number | undefined;
  /**
   * The ssh program.
   *
   * @default {"ssh"}
   */
  ssh?: string | undefined;
  /**
   * Longest time, in milliseconds, in which the connection is made, all
   * attempts included; `Infinity`: no
   * limit.
   *
   * @default {180_000}
   */
  connectTimeout?: number | undefined;
}

const OPTIONS: Known<SshOptions> = {
  host: "a string",
  identityFile: "a path or a URL, if given",
  password: "a string, if given",
  sudo: "a string, if given",
  options: "an object, if given",
  configFile: "a path or a URL, if given",
  stateless: "true or false, if given",
  maxSessions: "a number, if given",
  ssh: "a string, if given",
  connectTimeout: "optional",
};

/** What there is while connected. */
interface Link {
  /** `ssh` with all arguments that come before the command. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Private to this link. */
  readonly directory?: PrivateDirectory;
  readonly master?: SshMaster;
  lost?: ConnectionLostError;
}

const CONNECT_TIMEOUT = 180_000;

/** A system that is reached by `ssh`. */
export class SshConnection implements Connection {
  readonly #options: SshOptions;
  readonly #sessions: Sessions;
  #link?: Link;
  #closed = Promise.withResolvers<ConnectionError>();
  /** End the calls of {@linkcode connect} that are under way. */
  readonly #connecting = new Set<AbortController>();
  /** Whether somebody wants to know when the connection ends. */
  #watched = false;
  #turn: Promise<unknown> = Promise.resolve();

  /**
   * Only stores the options.
   *
   * @throws {TypeError} if they cannot be used
   * @throws {RangeError} if `connectTimeout` is not above 0, or `maxSessions` no positive whole number
   */
  constructor(options: SshOptions) {
    checkOptions("SshConnection", options, OPTIONS);
    const { maxSessions = 8, connectTimeout = CONNECT_TIMEOUT } = options;
    checkTarget(options);
    checkMilliseconds({ connectTimeout });
    checkCounts({ maxSessions });
    this.#options = { ...options, options: { ...options.options } };
    this.#sessions = new Sessions(maxSessions);
  }

  /**
   * Makes a connection and connects it.
   *
   * @throws {TypeError} if the options cannot be used
   * @throws {RangeError} if `connectTimeout` is not above 0, or `maxSessions` no positive whole number
   * @throws {ConnectError} if the system cannot be reached
   */
  static async open(
    options: SshOptions & SignalOptions,
  ): Promise<SshConnection> {
    const connection = new this(options);
    await connection.connect(options);
    return connection;
  }

  /**
   * Resolves with the reason when the connection ends by itself; never if
   * `stateless`. Each link after a loss has a promise of its own.
   *
   * A connection by itself does not keep the program running. When this has been
   * asked for it does, until it is disconnected.
   */
  get closed(): Promise<ConnectionError> {
    this.#watched = true;
    this.#link?.master?.keepRunning();
    return this.#closed.promise;
  }

  /** Always true. */
  readonly canReboot: boolean = true;

  /**
   * Connects, and tries a command. A server that drops the connection because it
   * has too many new ones (`MaxStartups`) is asked again, for some seconds.
   *
   * @throws {ConnectError} if the system cannot be reached in time, does not let us in, or cannot run a command
   */
  connect({ signal }: SignalOptions = {}): Promise<void> {
    const before = this.#turn;
    const controller = new AbortController();
    this.#connecting.add(controller);
    const either = signal
      ? AbortSignal.any([signal, controller.signal])
      : controller.signal;
    const connected = abortable(before, either)
      .then(() => this.#connectInTime(either))
      .finally(() => this.#connecting.delete(controller));
    this.#turn = Promise.allSettled([before, connected]);
    return connected;
  }

  /**
   * Ends the connection, and commands that share it. What they run on the system
   * may go on. Also ends a {@linkcode connect} under way.
   */
  disconnect(): Promise<void> {
    for (const controller of this.#connecting) {
      controller.abort(
        new NotConnectedError(
          `Cannot connect to ${this.#options.host}: disconnected meanwhile`,
        ),
      );
    }
    const disconnected = this.#turn.then(() => this.#disconnect());
    this.#turn = disconnected;
    return disconnected;
  }

  /**
   * Gives the command that, run here, runs `argv` on the system.
   *
   * It has an environment without `LANG` and `LC_*`, which ssh is often
   * configured to pass on.
   *
   * @throws {NotConnectedError} without {@linkcode connect}
   * @throws {ConnectionLostError} if the connection ended by itself
   * @throws {TypeError} if `argv` is empty or an argument holds a NUL character
   * @throws {RangeError} if the command is longer than 128 KiB
   */
  local(
    argv: readonly string[],
    options: LocalOptions = {},
  ): LocalCommand {
    checkArgv(argv);
    return this.#command(this.#linkFor(argv[0]), argv, options);
  }

  /**
   * Makes a command that runs `file` on the system.
   *
   * @throws {NotConnectedError} without {@linkcode connect}
   * @throws {ConnectionLostError} if the connection ended by itself
   */
  command(file: string, options: Deno.CommandOptions = {}): Deno.Command {
    return remoteCommand(this, file, options);
  }

  /**
   * Makes a command that runs `rsync`, where `remote:PATH` is on the system.
   * Both sides need rsync.
   *
   * @throws {NotConnectedError} without {@linkcode connect}
   * @throws {ConnectionLostError} if the connection ended by itself
   */
  rsync(
    args: readonly string[],
    options: Deno.CommandOptions = {},
  ): Deno.Command {
    const { argv, env } = this.#linkFor("rsync");
    const script = `shift; exec ${quoteAll(argv)} "$@"`;
    return rsyncCommand(
      shareLink({ argv: [], env, clearEnv: true }, this.#sessions),
      ["sh", "-c", script, "sh"],
      [`--rsync-path=${this.#text(["rsync"])}`, ...args],
      options,
    );
  }

  /**
   * Forwards a port or socket over this connection, until that is disposed of or
   * the connection ends.
   *
   * Port 0 with `kind: "local"` needs the permission to use the network.
   *
   * @example A server that listens on the system only
   * ```ts no-run
   * import { SshConnection } from "jsr:@atex/atex/connections/ssh";
   *
   * await using machine = await SshConnection.open({ host: "root@10.0.0.7" });
   * await using web = await machine.forward({
   *   kind: "local",
   *   listen: 0,
   *   to: "localhost:80",
   * });
   * console.log(await fetch(`http://localhost:${web.port}/`));
   * ```
   *
   * @throws {TypeError} if the connection is `stateless`, `kind` is neither `local` nor `remote`, or an address cannot be understood
   * @throws {RangeError} if `timeout` is not above 0
   * @throws {CommandError} if the port is in use, or the server refuses
   * @throws {NotConnectedError} without {@linkcode connect}
   */
  async forward(options: ForwardOptions): Promise<Forward> {
    // few scripts need it
    const { checkForward, forward } = await import("./_ssh_forward.ts");
    checkForward(options);
    const { master, directory } = this.#linkFor("ssh -O forward");
    if (!master) {
      throw new TypeError(
        `Cannot forward ${options.listen} over ssh: the connection is stateless`,
      );
    }
    const { ssh = "ssh", host } = this.#options;
    const args = sshArguments({ host }, "client", directory!.socket)
      // These clear what comes on the command line too.
      .filter((arg) => !arg.startsWith("-oClearAllForwardings"));
    return await forward(
      (command, flag, spec, options) =>
        runLocal({
          argv: [ssh, "-F", "none", "-O", command, flag, spec, ...args],
        }, options),
      options,
    );
  }

  /** Disconnects. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.disconnect();
  }

  async #connectInTime(signal: AbortSignal): Promise<void> {
    const { host, connectTimeout = CONNECT_TIMEOUT } = this.#options;
    await connectWithin(
      connectTimeout,
      { system: host, signal },
      (signal) => this.#connect(signal),
    );
  }

  async #connect(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#link && !this.#link.lost) return;
    await this.#disconnect();
    const link = await this.#open(signal);
    this.#link = link;
    link.master?.ended.then((end) => this.#lose(link, end));
    if (this.#watched) link.master?.keepRunning();
  }

  async #disconnect(): Promise<void> {
    const link = this.#link;
    this.#link = undefined;
    if (link?.lost) this.#closed = Promise.withResolvers();
    if (link) await close(link);
  }

  async #open(signal: AbortSignal): Promise<Link> {
    for (let attempt = 1;; attempt++) {
      const result = await this.#try(signal);
      if ("argv" in result) return result;
      if (attempt === DROP_ATTEMPTS || !isDropped(result.output)) {
        throw await this.#connectError(result, signal);
      }
      await delay(pauseAfterDrop(attempt), { signal });
    }
  }

  /** Makes a link on which a command works, or tells what `ssh` said. */
  async #try(signal: AbortSignal): Promise<Link | MasterEnd> {
    const { ssh = "ssh", stateless, password } = this.#options;
    await using undo = new AsyncDisposableStack();
    const env = environment();
    const loginEnv = { ...env };
    let directory: PrivateDirectory | undefined;
    if (!stateless || password !== undefined) {
      directory = undo.use(await PrivateDirectory.open());
    }
    if (password !== undefined) {
      const { askpass } = await import("./_ssh_askpass.ts"); // few need it
      Object.assign(loginEnv, await askpass(directory!.path, password, env));
    }
    const abilities = { knowsSessions: await knowsSessions(ssh, { signal }) };
    const args = (role: "stateless" | "master" | "client", socket?: string) =>
      sshArguments(this.#options, role, socket, abilities);
    let link: Link;
    if (stateless) {
      const argv = [ssh, ...args("stateless")];
      link = { argv, env: loginEnv, ...(directory && { directory }) };
    } else {
      const socket = directory!.socket;
      const master = await SshMaster.start({
        argv: [ssh, "-N", ...args("master", socket)],
        env: loginEnv,
        directory: directory!.path,
        signal,
      });
      if ("code" in master) return master;
      undo.defer(() => master.stop());
      const argv = [ssh, ...args("client", socket)];
      link = { argv, env, directory: directory!, master };
    }
    const failure = await this.#probe(link, signal);
    if (failure) {
      return link.master ? await reasonOf(failure, link.master) : failure;
    }
    undo.move();
    return link;
  }

  /** Runs a command that does nothing, and tells what went wrong, if anything did. */
  async #probe(
    link: Link,
    signal: AbortSignal,
  ): Promise<MasterEnd | undefined> {
    try {
      const command = this.#command(link, ["true"]);
      const { success, code, stderr } = await outputLocal(command, { signal });
      if (success) return;
      return { code, output: new TextDecoder().decode(stderr) };
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      const { ssh = "ssh" } = this.#options;
      return { code: 127, output: `the program "${ssh}" is not installed` };
    }
  }

  #lose(link: Link, end: MasterEnd): void {
    if (this.#link !== link) return; // disconnected
    link.lost = new ConnectionLostError(
      `Lost the connection to ${this.#options.host}: ${lastWords(end)}`,
      end,
    );
    this.#closed.resolve(link.lost);
  }

  #linkFor(what: string): Link {
    const { host } = this.#options;
    if (!this.#link) {
      throw new NotConnectedError(
        `Cannot run "${what}" on ${host}: not connected`,
      );
    }
    const { lost } = this.#link;
    if (!lost) return this.#link;
    const { code, output } = lost;
    throw new ConnectionLostError(
      `Cannot run "${what}" on ${host}: the connection was lost`,
      { cause: lost, output, ...(code !== undefined && { code }) },
    );
  }

  #command(
    link: Link,
    argv: readonly string[],
    options: LocalOptions = {},
  ): LocalCommand {
    const text = this.#text(withOptions(argv, options));
    const length = new TextEncoder().encode(text).length;
    if (length > LONGEST) {
      throw new RangeError(
        `Cannot run "${
          argv[0]
        }" on ${this.#options.host}: the command has ${length} bytes, at most ${LONGEST} are possible, stdin or a file can hold more`,
      );
    }
    return shareLink(
      {
        argv: [
          ...(options.terminal ? withTerminal(link.argv) : link.argv),
          text,
        ],
        env: link.env,
        clearEnv: true,
      },
      this.#sessions,
    );
  }

  /** The command for the shell on the system. */
  #text(argv: readonly string[]): string {
    const { sudo } = this.#options;
    // sudo ends with 1 for a missing program, and takes "A=B" for a variable.
    const become = sudo === undefined
      ? []
      : ["sudo", "--non-interactive", "--user", sudo, "--", ...IN_SHELL];
    return `exec ${quoteAll([...become, ...argv])}`;
  }

  async #connectError(
    end: MasterEnd,
    signal: AbortSignal,
  ): Promise<ConnectError> {
    const { host, identityFile } = this.#options;
    const refused = /permission denied|too many authentication/i;
    const fault = identityFile !== undefined && refused.test(end.output)
      ? await faultOfKey(pathOf(identityFile), signal)
      : undefined;
    const why = fault === undefined ? "" : `; "identityFile": ${fault}`;
    return new ConnectError(
      `Cannot connect to ${host}: ${lastWords(end)}${why}`,
      end,
    );
  }
}

/** The longest argument that Linux passes to a program, in bytes. */
const LONGEST = 128 * 1024 - 1;

/** How long a master that has failed may take to end by itself, in milliseconds. */
const LAST_BREATH = 1000;

/**
 * Why a command over a shared connection failed. If the connection is the reason, its
 * master knows, and the client says only that it cannot share it.
 */
async function reasonOf(
  { code, output }: MasterEnd,
  master: SshMaster,
): Promise<MasterEnd> {
  if (!isDropped(output) && !/^mux_client_/m.test(output)) {
    return { code, output };
  }
  const late = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => late.resolve(undefined), LAST_BREATH);
  const end = await Promise.race([master.ended, late.promise]);
  clearTimeout(timer);
  if (end?.output.trim()) return end;
  // It makes no connection of its own: that nothing dropped.
  const own = output.split("\n").filter((line) => !isDropped(line));
  return { code, output: own.join("\n") };
}

function lastWords({ code, output }: MasterEnd): string {
  const said = lastReason(output);
  if (said) return said;
  return code === 255
    ? "ssh gave up without a word, as it does when the system does not answer any more"
    : `ssh ended with exit code ${code}`;
}

async function close(link: Link): Promise<void> {
  await link.master?.stop();
  await link.directory?.[Symbol.asyncDispose]();
}
