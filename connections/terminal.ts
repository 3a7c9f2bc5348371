/**
 * Commands that a person works with: they have the streams of this program and,
 * where those are a terminal, a terminal on the system, whose size follows that of
 * the window and where Ctrl-C belongs to the command.
 *
 * @example A shell on a machine
 * ```ts no-run
 * import { SshConnection } from "jsr:@atex/atex/connections/ssh";
 * import { interact } from "jsr:@atex/atex/connections/terminal";
 *
 * await using machine = await SshConnection.open({ host: "root@10.0.0.7" });
 * const { code } = await interact(machine, ["bash", "--login"]);
 * console.log(`the shell ended with exit code ${code}`);
 * ```
 *
 * @module
 */
import { checkOptions, type Known } from "../options.ts";
import type {
  Connection,
  LocalCommand,
  RemoteCommandOptions,
  SignalOptions,
} from "./connection.ts";
import { explain, statusOf } from "./_child.ts";
import { denoCommand } from "./_command.ts";

/** Options of {@linkcode interact}. */
export interface InteractOptions extends RemoteCommandOptions, SignalOptions {
  /**
   * Whether the command gets a terminal on the system.
   *
   * @default whether standard input and output of this program are a terminal
   */
  terminal?: boolean | undefined;
}

const OPTIONS: Known<InteractOptions> = {
  terminal: "true or false, if given",
  env: "optional",
  cwd: "optional",
  signal: "optional",
};

/** Milliseconds between SIGHUP and SIGKILL. */
const GRACE = 3000;

/**
 * Runs `argv` on a system with the streams of this program, and resolves with how
 * it ended. Afterwards the terminal is as it was before.
 *
 * When `signal` is aborted, the command loses its terminal, as when somebody
 * closes the window.
 *
 * Needs the permission to run programs.
 *
 * @throws {NotConnectedError} if the connection is not connected
 * @throws {Deno.errors.NotFound} if a program is missing here
 * @throws {TypeError} if an option is misspelt or of the wrong kind
 */
export async function interact(
  connection: Connection,
  argv: readonly string[],
  options: InteractOptions = {},
): Promise<Deno.CommandStatus> {
  checkOptions("interact()", options, OPTIONS);
  const { terminal = hasTerminal(), signal, ...rest } = options;
  signal?.throwIfAborted();
  const command = connection.local(argv, { ...rest, terminal });
  const settings = terminal ? await stty("-g") : undefined;
  signal?.throwIfAborted(); // it may have come meanwhile, and is told only once
  try {
    const status = await attend(command, signal);
    signal?.throwIfAborted();
    return status;
  } finally {
    // A client that was killed may have left it without echo.
    if (settings) await stty(settings);
  }
}

/**
 * Whether a person sits at this program.
 *
 * @example
 * ```ts
 * import { hasTerminal } from "jsr:@atex/atex/connections/terminal";
 *
 * if (!hasTerminal()) console.log("nobody can be asked");
 * ```
 */
export function hasTerminal(): boolean {
  return Deno.stdin.isTerminal() && Deno.stdout.isTerminal();
}

/** Not in a session of its own: only here it may read from the terminal. */
async function attend(
  command: LocalCommand,
  signal: AbortSignal | undefined,
): Promise<Deno.CommandStatus> {
  let child: Deno.ChildProcess;
  try {
    child = denoCommand(command, {
      stdin: "inherit",
      stdout: "inherit",
      stderr: "inherit",
    }).spawn();
  } catch (error) {
    throw explain(error, command);
  }
  let timer: ReturnType<typeof setTimeout> | undefined;
  const end = () => {
    // An interactive shell pays no attention to SIGTERM.
    kill(child, "SIGHUP");
    timer = setTimeout(() => kill(child, "SIGKILL"), GRACE);
  };
  signal?.addEventListener("abort", end);
  try {
    return await statusOf(child);
  } finally {
    signal?.removeEventListener("abort", end);
    clearTimeout(timer);
  }
}

function kill(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    child.kill(signal);
  } catch {
    // It ended already.
  }
}

/** Reads or sets what the terminal does with characters; a system without that program has to do without. */
async function stty(argument: string): Promise<string | undefined> {
  try {
    const { success, stdout } = await new Deno.Command("stty", {
      args: [argument],
      stdin: "inherit",
      stderr: "null",
    }).output();
    return success ? new TextDecoder().decode(stdout).trim() : undefined;
  } catch {
    return undefined;
  }
}
