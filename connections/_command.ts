import { pathOf } from "../options.ts";
import type { Connection, LocalCommand } from "./connection.ts";
import { statusOf } from "./_child.ts";
import { checkArgv, checkSurroundings, withVariables } from "./_quote.ts";
import { linkOf, type Sessions } from "./_sessions.ts";

/** {@linkcode Connection.command} for any connection, on top of its `local()`. */
export function remoteCommand(
  connection: Pick<Connection, "local">,
  file: string,
  options: Deno.CommandOptions = {},
): Deno.Command {
  const { args = [], env = {}, clearEnv, cwd, uid, gid, ...rest } = options;
  if (uid !== undefined || gid !== undefined) {
    throw new TypeError(
      `Cannot run "${file}": "uid" and "gid" have no meaning on another system`,
    );
  }
  let argv: readonly string[] = [file, ...args];
  checkArgv(argv);
  checkSurroundings({ env });
  if (clearEnv) argv = withVariables(argv, env, true);
  const command = connection.local(argv, {
    ...(!clearEnv && { env }),
    ...(cwd !== undefined && { cwd: pathOf(cwd) }),
  });
  return denoCommand(command, rest);
}

/** A command to run here, with the options of `Deno.Command` that it leaves open. */
export function denoCommand(
  command: LocalCommand,
  options: Omit<Deno.CommandOptions, "args"> = {},
): Deno.Command {
  const { argv: [file, ...args], env, clearEnv, cwd } = command;
  const all: Deno.CommandOptions = {
    ...options,
    args,
    env: { ...env, ...options.env },
    ...(clearEnv && { clearEnv }),
    ...(cwd !== undefined && options.cwd === undefined && { cwd }),
  };
  const link = linkOf(command);
  return link
    ? new SharingCommand(link, file, all)
    : new Deno.Command(file, all);
}

/** Starts a command of any connection, when there is a place for it on the link if it shares one. */
export async function spawnInTurn(
  command: Deno.Command,
  signal?: AbortSignal,
): Promise<Deno.ChildProcess> {
  signal?.throwIfAborted();
  return command instanceof SharingCommand
    ? await command.spawnInTurn(signal)
    : command.spawn();
}

/** A command that waits for its place on a shared link if it can. */
class SharingCommand extends Deno.Command {
  readonly #link: Sessions;
  readonly #signal?: AbortSignal;

  constructor(link: Sessions, file: string, options: Deno.CommandOptions) {
    super(file, options);
    this.#link = link;
    if (options.signal) this.#signal = options.signal;
  }

  override async output(): Promise<Deno.CommandOutput> {
    using _session = await this.#link.enter(this.#signal);
    return await super.output();
  }

  override spawn(): Deno.ChildProcess {
    return this.#spawnAt(this.#link.join());
  }

  async spawnInTurn(signal?: AbortSignal): Promise<Deno.ChildProcess> {
    return this.#spawnAt(await this.#link.enter(signal));
  }

  /** Starts it at a place that it gives back when it ends. */
  #spawnAt(session: Disposable): Deno.ChildProcess {
    try {
      const child = super.spawn();
      statusOf(child).then(() => session[Symbol.dispose]());
      return child;
    } catch (error) {
      session[Symbol.dispose]();
      throw error;
    }
  }
}
