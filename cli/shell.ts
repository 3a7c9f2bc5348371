/** `atex shell`: a system to try things on. */
import { hasTerminal, interact } from "../connections/terminal.ts";
import {
  PROVISIONER_FORMS,
  provisionerFromString,
} from "../provisioners/from_string.ts";
import type { Remote } from "../provisioners/provisioner.ts";
import { ask } from "./_ask.ts";
import { type Call, type Command, UsageError } from "./_command.ts";
import { optionsFor, teller } from "./_system.ts";

/** Takes a system and runs a shell or a command on it. */
export const shell: Command = {
  name: "shell",
  purpose:
    "Takes a system, runs a shell on it, or a command, and gives it back.",
  operands: "SYSTEM [-- COMMAND…]",
  arity: [1, 1],
  options: [
    {
      name: "keep",
      about: "print how to get in, and wait for Enter before giving it back",
    },
  ],
  details: `SYSTEM is ${
    PROVISIONER_FORMS.join(", ")
  }. A shell that fails can be had again, on the same system.`,
  permissions: "-A",
  example: "atex shell podman:fedora:42 -- uname -r",
  async run(call) {
    const { operands, rest, signal } = call;
    if (call.has("keep") && rest.length > 0) {
      throw new UsageError(
        'Cannot run "atex shell": "--keep" runs no command',
      );
    }
    const system = operands[0]!;
    const provisioner = await provisionerFromString(system, {
      ...optionsFor(system),
      onEvent: teller(call),
    });
    await using pool = await provisioner.start({ signal });
    pool.provision(1);
    await using remote = await pool.getRemote({ signal });
    call.note(`on ${remote.id}`);
    const gone = new AbortController();
    remote.lost.then((error) => gone.abort(error));
    const either = AbortSignal.any([signal, gone.signal]);
    if (call.has("keep")) return await keep(remote, either);
    return await attend(call, remote, either);
  },
};

/** The shell of the user where it is known, else the best there is. */
const SHELL = [
  "sh",
  "-c",
  'for shell in "$SHELL" bash sh; do if command -v "$shell" >/dev/null 2>&1; then exec "$shell"; fi; done',
];

/** Exit code of a shell whose last command was interrupted: that is no failure of it. */
const INTERRUPTED = 130;

/** Runs the command or the shell, and the latter again if it failed and somebody wants that. */
async function attend(
  call: Call,
  remote: Remote,
  signal: AbortSignal,
): Promise<number> {
  const isShell = call.rest.length === 0;
  const term = Deno.env.get("TERM");
  for (;;) {
    const { code } = await interact(remote, isShell ? SHELL : call.rest, {
      ...(term && hasTerminal() && { env: { TERM: term } }),
      signal,
    });
    const failed = code !== 0 && code !== INTERRUPTED;
    if (!isShell || !failed || !hasTerminal()) return code;
    if (!await wantsAgain(`the shell ended with exit code ${code}`, signal)) {
      return code;
    }
    await reconnect(remote, signal);
  }
}

async function reconnect(remote: Remote, signal: AbortSignal): Promise<void> {
  for (;;) {
    try {
      await remote.connect({ signal });
      return;
    } catch (error) {
      signal.throwIfAborted();
      if (!await wantsAgain((error as Error).message, signal)) throw error;
    }
  }
}

async function wantsAgain(why: string, signal: AbortSignal): Promise<boolean> {
  const answer = await ask(`${why}; connect again? [Y/n] `, signal);
  signal.throwIfAborted();
  return answer !== undefined && !/^n/i.test(answer.trim());
}

/** Tells how to get in, and waits until somebody is done. */
async function keep(remote: Remote, signal: AbortSignal): Promise<number> {
  const { argv } = remote.local(SHELL, { terminal: true });
  console.log(argv.map(quote).join(" "));
  const answer = await ask("Enter gives it back ", signal);
  // Where nobody can press a key it is kept until a signal comes.
  if (answer === undefined && !signal.aborted) {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setInterval(() => {}, 2 ** 30);
    signal.addEventListener("abort", () => resolve());
    await promise;
    clearInterval(timer);
  }
  signal.throwIfAborted();
  return 0;
}

function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word)
    ? word
    : `'${word.replaceAll("'", `'\\''`)}'`;
}
