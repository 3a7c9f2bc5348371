/** `atex shell`: a system to try things on. */
import type { Connection } from "../connections/connection.ts";
import { provisionerFromString } from "../provisioners/from_string.ts";
import type { Command } from "./_command.ts";

/** Takes a system and runs a command or a shell on it. */
export const shell: Command = {
  name: "shell",
  purpose:
    "Takes a system, runs a shell on it, or a command, and gives it back.",
  operands: "SYSTEM [-- COMMAND…]",
  arity: [1, 1],
  options: [],
  permissions: "-A",
  example: "atex shell podman:fedora:42 -- uname -r",
  async run({ operands, rest, signal }) {
    const provisioner = await provisionerFromString(operands[0]!);
    await using pool = await provisioner.start({ signal });
    pool.provision(1);
    await using remote = await pool.getRemote({ signal });
    console.error(`on ${remote.id}`);
    return await interact(remote, rest.length > 0 ? rest : SHELL, signal);
  },
};

/**
 * A shell that a person can use without a terminal of its own: connections never
 * make one, so the system sees a pipe, and the editing is that of this side.
 */
const SHELL = ["sh", "-c", 'exec "${SHELL:-/bin/sh}" -i'];

/** Runs a command with our streams; resolves with its exit status. */
async function interact(
  connection: Connection,
  [file, ...args]: readonly string[],
  signal: AbortSignal,
): Promise<number> {
  const child = connection.command(file!, {
    args,
    stdin: "inherit",
    stdout: "inherit",
    stderr: "inherit",
    signal,
  }).spawn();
  return (await child.status).code;
}
