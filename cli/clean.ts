/** `atex clean`: what dead scripts left behind. */
import { printable, span } from "../orchestrators/progress.ts";
import { type Leftover, reap } from "../provisioners/reap.ts";
import type { Command } from "./_command.ts";

/** Shows, and removes if asked to, what scripts left behind that died. */
export const clean: Command = {
  name: "clean",
  purpose:
    "Shows what scripts left behind on this machine that died, and removes it if asked to.",
  operands: "",
  arity: [0, 0],
  options: [
    { name: "force", about: "remove it; otherwise nothing is removed" },
    {
      name: "all",
      short: "a",
      about: "also show what belongs to scripts that live; it is never removed",
    },
    { name: "json", about: "a JSON object a line" },
  ],
  permissions: "-A",
  example: "atex clean --force",
  async run(call) {
    const found = await reap({
      dryRun: !call.has("force"),
      signal: call.signal,
    });
    const shown = found.filter(({ verdict }) =>
      call.has("all") || verdict === "dead"
    );
    for (const leftover of shown) {
      console.log(
        call.has("json") ? JSON.stringify(plain(leftover)) : line(leftover),
      );
    }
    const dead = found.filter(({ verdict }) => verdict === "dead");
    const failed = dead.filter(({ error }) => error);
    if (dead.length === 0) console.error("nothing is left behind");
    else if (!call.has("force")) {
      console.error(`"atex clean --force" removes ${dead.length}`);
    }
    return failed.length > 0 ? 2 : 0;
  },
};

/** An error has nothing that JSON would show. */
function plain({ error, ...rest }: Leftover): object {
  return { ...rest, ...(error && { error: error.message }) };
}

function line({ kind, name, age, verdict, removed, error }: Leftover): string {
  const what = error
    ? `not removed: ${error.message}`
    : removed
    ? "removed"
    : verdict;
  return printable(`${kind.padEnd(9)}  ${name}  ${span(age)} old  ${what}`);
}
