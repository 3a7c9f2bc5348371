import { resolve } from "@std/path/posix/resolve";
import type { Connection, LocalCommand, SignalOptions } from "./connection.ts";
import { statusOf } from "./_child.ts";
import { denoCommand, spawnInTurn } from "./_command.ts";
import { quote, quoteAll, quoteForRsync } from "./_quote.ts";
import { linkOf, shareLink } from "./_sessions.ts";
import { readAll } from "./_streams.ts";
import { after } from "./time_limit.ts";

/** Milliseconds for an rsync that was told to end, and its other half. */
const GRACE = 3000;

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
  // The directory is that of the far side: paths of this side are not relative to it.
  const { cwd } = command;
  const enter = cwd === undefined ? "" : `cd ${quote(resolve(cwd))} && `;
  const prefix = quoteAll(command.argv.slice(0, -1));
  const script = `shift; ${enter}exec ${prefix} "$@"`;
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

/** How an rsync ended and what it complained of. */
export interface RsyncEnd extends Deno.CommandStatus {
  readonly stderr: Uint8Array<ArrayBuffer>;
}

/**
 * Runs `rsync` over any connection to its end.
 *
 * After an abort rsync tells its other half, and both remove what is half
 * written. Where the system hangs, the client that leads there does not hear of
 * it, or the master of ssh holds the pipe: after the grace nobody is waited for.
 */
export async function runRsync(
  connection: Pick<Connection, "rsync">,
  args: readonly string[],
  { signal }: SignalOptions = {},
): Promise<RsyncEnd> {
  const command = connection.rsync(args, {
    stdin: "null",
    stdout: "null",
    stderr: "piped",
    detached: true, // what it starts is in its group
  });
  const child = await spawnInTurn(command, signal);
  const stderr = child.stderr.getReader();
  let late: ReturnType<typeof setTimeout> | undefined;
  const abort = () => {
    attempt(() => child.kill("SIGTERM"));
    late = after(GRACE, () => {
      attempt(() => Deno.kill(-child.pid, "SIGKILL"));
      void statusOf(child).then(() => stderr.cancel());
    });
  };
  signal?.addEventListener("abort", abort);
  if (signal?.aborted) abort(); // while it waited for its turn
  try {
    const [said, status] = await Promise.all([
      readAll(stderr),
      statusOf(child),
    ]);
    signal?.throwIfAborted();
    return { ...status, stderr: said };
  } finally {
    signal?.removeEventListener("abort", abort);
    clearTimeout(late);
  }
}

/** Sends a signal, unless who was to get it has ended, or belongs to somebody else. */
function attempt(kill: () => void): void {
  try {
    kill();
  } catch {
    // Their status tells.
  }
}
