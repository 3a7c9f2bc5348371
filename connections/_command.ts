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
  const created = new Deno.Command(file, all);
  return link ? sharing(created, link, options.signal) : created;
}

/** How the commands that share a link start when there is a place for them. */
const turns = new WeakMap<
  Deno.Command,
  (signal?: AbortSignal) => Promise<Deno.ChildProcess>
>();

/** Starts a command of any connection, when there is a place for it on the link if it shares one. */
export async function spawnInTurn(
  command: Deno.Command,
  signal?: AbortSignal,
): Promise<Deno.ChildProcess> {
  signal?.throwIfAborted();
  const inTurn = turns.get(command);
  return inTurn ? await inTurn(signal) : command.spawn();
}

/**
 * Makes a command wait for its place on a link if it can. A subclass would do the
 * same, but name `Deno.Command` as soon as this module is loaded: Deno then loads
 * its streams as well, which takes longer than ten modules of ours.
 */
function sharing(
  command: Deno.Command,
  link: Sessions,
  signal: AbortSignal | undefined,
): Deno.Command {
  const spawn = command.spawn.bind(command);
  const output = command.output.bind(command);
  /** Starts it at a place that it gives back when it ends. */
  const spawnAt = (session: Disposable) => {
    try {
      const child = spawn();
      statusOf(child).then(() => session[Symbol.dispose]());
      return child;
    } catch (error) {
      session[Symbol.dispose]();
      throw error;
    }
  };
  command.spawn = () => spawnAt(link.join());
  command.output = async () => {
    using _session = await link.enter(signal);
    return await output();
  };
  turns.set(command, async (signal) => spawnAt(await link.enter(signal)));
  return command;
}
