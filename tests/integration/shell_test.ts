/** `atex shell` on real terminals: containers, a host, this machine. */
import assert from "node:assert/strict";
import { HostsProvisioner } from "../../provisioners/hosts.ts";
import { cannotRun, imageName, podmanMissing } from "../_podman.ts";
import { Sshd, sshdMissing } from "../_sshd.ts";
import { Terminal, terminalMissing } from "../_terminal.ts";
import { atex, containersOf, surrounded } from "./_surrounded.ts";
import { until } from "../_wait.ts";

const ignore = cannotRun(
  "integration/shell",
  terminalMissing(),
  podmanMissing(),
  sshdMissing(),
);

const ARITHMETIC = 'echo "it is $((40 + 2))"\n';

/** What a person expects of a shell, whatever is behind it. */
async function tryShell(terminal: Terminal): Promise<void> {
  terminal.type(ARITHMETIC);
  await terminal.shows(/it is 42/);
  terminal.type('stty size; echo "TERM is $TERM"\n');
  await terminal.shows(/33 97/);
  await terminal.shows(/TERM is xterm/);
  // One after the other: podman may miss the second of two changes at once.
  for (const [columns, rows] of [[120, 33], [120, 40]] as const) {
    await terminal.resize(columns, rows);
    const size = `${rows} ${columns}`;
    terminal.type(
      `until [ "$(stty size)" = "${size}" ]; do sleep 0.1; done; stty size\n`,
    );
    await terminal.shows(new RegExp(`(?<!")${size}(?!")`));
  }
  // Ctrl-C ends what runs in the shell, and nothing else.
  terminal.type("sh -c 'echo begi\"\"ns; exec sleep 600'\n");
  await terminal.shows(/begins/);
  terminal.type("\x03");
  // The terminal forgets what is typed before that is done.
  await terminal.shows(/\^C[^]*[#$] $/);
  terminal.type('echo "status is $?"\n');
  await terminal.shows(/status is 130/);
}

Deno.test({
  name:
    "atex shell gives a terminal in a container, again if wanted, and nothing is left",
  ignore,
  fn: () =>
    surrounded(async (env, directory) => {
      await using terminal = Terminal.open(
        atex("shell", `podman:${imageName("tiny")}`),
        env,
      );
      await terminal.shows(/^on podman:\d+$/m);
      await tryShell(terminal);
      assert.equal((await containersOf(directory)).length, 1);
      terminal.type("touch /left; exit 3\n");
      await terminal.shows(
        /ended with exit code 3; connect again\? \[Y\/n\] $/,
      );
      terminal.type("\n");
      terminal.type("ls /left && exit 4\n");
      await terminal.shows(/\/left\n/);
      await terminal.shows(
        /ended with exit code 4; connect again\? \[Y\/n\] $/,
      );
      terminal.type("n\n");
      assert.deepEqual(await terminal.end(), { status: 4, echo: true });
      assert.deepEqual(await containersOf(directory), []);
    }),
});

Deno.test({
  name:
    "atex shell gives a terminal on a host, waits for it, and has it after the connection was cut",
  ignore,
  fn: () =>
    surrounded(async (env, directory) => {
      await using sshd = await Sshd.start();
      const { host, identityFile } = sshd.options;
      const hosts = `${directory}/hosts.yaml`;
      await Deno.writeTextFile(
        hosts,
        JSON.stringify([{
          host,
          identityFile,
          leaseFile: `${directory}/lease`,
          options: { IdentitiesOnly: "yes" },
        }]),
      );
      await using other = await new HostsProvisioner({ hosts }).start();
      other.provision();
      const remote = await other.getRemote();
      await using terminal = Terminal.open(
        atex("shell", `hosts:${hosts}`),
        env,
      );
      await terminal.shows(/^others have .*: .* process \d+, since /m);
      await remote.release();
      await terminal.shows(/^on ssh:/m);
      await tryShell(terminal);
      await sshd.cutSessions();
      await terminal.shows(
        /ended with exit code 255; connect again\? \[Y\/n\] $/,
      );
      terminal.type("y\n");
      terminal.type(ARITHMETIC);
      await terminal.shows(/it is 42/);
      terminal.type("exit\n");
      assert.deepEqual(await terminal.end(), { status: 0, echo: true });
    }),
});

Deno.test({
  name:
    "atex shell gives a terminal here, whose end is noticed when the window is closed",
  ignore,
  fn: () =>
    surrounded(async (env) => {
      const terminal = Terminal.open(atex("shell", "local"), env);
      await terminal.shows(/^on local:1$/m);
      await tryShell(terminal);
      terminal.type('echo "shell is $$"\n');
      const [, pid] = await terminal.shows(/shell is (\d+)/);
      await terminal[Symbol.asyncDispose]();
      await until(() => !isThere(`/proc/${pid}`));
    }),
});

Deno.test({
  name:
    "atex shell runs a command with its exit code, and Ctrl-C belongs to it",
  ignore,
  fn: () =>
    surrounded(async (env, directory) => {
      await using terminal = Terminal.open(
        atex(
          ...["shell", `podman:${imageName("tiny")}`, "--", "sh", "-c"],
          "trap 'echo got it; exit 7' INT; echo waits; while :; do sleep 0.1; done",
        ),
        env,
      );
      await terminal.shows(/^waits$/m);
      terminal.type("\x03");
      await terminal.shows(/got it/);
      assert.deepEqual(await terminal.end(), { status: 7, echo: true });
      assert.deepEqual(await containersOf(directory), []);
    }),
});

Deno.test({
  name: "atex shell --keep tells how to get in, and gives back at Enter",
  ignore,
  fn: () =>
    surrounded(async (env, directory) => {
      await using terminal = Terminal.open(
        atex("shell", `podman:${imageName("tiny")}`, "--keep"),
        env,
      );
      const [, line] = await terminal.shows(/^(podman exec -it .*)$/m);
      await terminal.shows(/Enter gives it back $/);
      await using other = Terminal.open(["sh", "-c", line!]);
      other.type(ARITHMETIC);
      await other.shows(/it is 42/);
      other.type("exit\n");
      assert.deepEqual(await other.end(), { status: 0, echo: true });
      terminal.type("\n");
      assert.deepEqual(await terminal.end(), { status: 0, echo: true });
      assert.deepEqual(await containersOf(directory), []);
    }),
});

function isThere(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}
