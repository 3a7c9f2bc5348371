import type { Connection, LocalCommand } from "./connection.ts";
import { denoCommand } from "./_command.ts";
import { quoteAll, quoteForRsync } from "./_quote.ts";
import { linkOf, shareLink } from "./_sessions.ts";

/**
 * {@linkcode Connection.rsync} for connections whose `local()` puts words in
 * front of the command and nothing behind it.
 */
export function rsyncBehindPrefix(
  connection: Pick<Connection, "local">,
  args: readonly string[],
  options: Deno.CommandOptions = {},
): Deno.Command {
  const command = connection.local(["rsync"]);
  if (command.argv.at(-1) !== "rsync") {
    throw new TypeError(
      "Cannot run rsync over this connection: what its local() returns does not end with the command",
    );
  }
  const script = `shift; exec ${quoteAll(command.argv.slice(0, -1))} "$@"`;
  return rsyncCommand(command, ["sh", "-c", script, "sh"], args, options);
}

/**
 * rsync with `shell` to reach the system: it is called with the name of the
 * host ("remote"), which is of no interest, and then the command.
 */
export function rsyncCommand(
  command: LocalCommand,
  shell: readonly string[],
  args: readonly string[],
  options: Deno.CommandOptions = {},
): Deno.Command {
  const { env, clearEnv } = command;
  const rsync: LocalCommand = {
    // -s: paths travel outside of the command line, where no shell splits them.
    argv: ["rsync", "-s", "-e", quoteForRsync(shell), ...args],
    ...(env && { env }),
    ...(clearEnv && { clearEnv }),
  };
  const link = linkOf(command);
  return denoCommand(link ? shareLink(rsync, link) : rsync, {
    stdin: "null",
    ...options,
  });
}
