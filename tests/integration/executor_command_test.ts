/** Commands as tests, on every kind of connection: when they are over, and what is left of them. */
import assert from "node:assert/strict";
import type { Connection } from "../../connections/connection.ts";
import {
  CommandExecutor,
  type CommandExecutorOptions,
} from "../../executors/command.ts";
import { readArtifacts } from "../../executors/results.ts";
import { until } from "../_wait.ts";
import { transports } from "./_transports.ts";

/** A time to sleep that nobody else sleeps. */
const ownTime = () =>
  `${1_000_000 + crypto.getRandomValues(new Uint16Array(1))[0]}`;

/** The command lines on this machine, in containers too, that have a text in them. */
function commandLinesWith(text: string): [pid: number, line: string][] {
  return [...Deno.readDirSync("/proc")].flatMap(({ name }) => {
    if (!/^\d+$/.test(name)) return [];
    let line = "";
    try {
      line = Deno.readTextFileSync(`/proc/${name}/cmdline`);
    } catch {
      // it has ended
    }
    return line.includes(text)
      ? [[+name, line.replaceAll("\0", " ").trim()]]
      : [];
  });
}

async function outcome(
  connection: Connection,
  script: string,
  argument: string,
  options: Partial<CommandExecutorOptions>,
) {
  await using executor = await new CommandExecutor(connection, {
    tests: { "/t": ["sh", "-c", script, "sh", argument] },
    timeout: 20_000,
    ...options,
  }).start();
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  try {
    const end = await executor.runTest("/t", directory)
      .catch((error) => `${error.reason}: ${error.message}`);
    const [{ status }] = await Array.fromAsync(readArtifacts(directory));
    const printed = Deno.readTextFileSync(`${directory}/files/output.txt`);
    return { end, status, printed };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

for (const { name, ignore, open, epipe } of transports) {
  Deno.test({
    name:
      `a command is over when it has ended, whatever it leaves running: ${name}`,
    ignore,
    async fn(t) {
      await using system = await open();
      const { connection } = system;

      await t.step("what holds its output has a grace", async () => {
        const time = ownTime();
        const script = 'echo started; sleep "$1" & exit 7';
        assert.deepEqual(
          await outcome(connection, script, time, { exitGrace: 500 }),
          { end: 7, status: "fail", printed: "started\n" },
        );
        // all that is left is what it has left
        const left = () => commandLinesWith(time);
        await until(() => left().length <= 1);
        assert.deepEqual(left().map(([, line]) => line), [`sleep ${time}`]);
        Deno.kill(left()[0][0], "SIGKILL");
      });

      await t.step("what that prints meanwhile is kept", async () => {
        if (name === "local" || !epipe) return; // not waited for, or cut off by podman
        const script = '(sleep 0.5; echo "$1") & echo early';
        const { printed } = await outcome(connection, script, "late", {});
        assert.equal(printed, "early\nlate\n");
      });

      await t.step("what a signal ends has 128 and its number", async () => {
        for (
          const [signal, number] of [["INT", 2], ["KILL", 9], ["TERM", 15]]
        ) {
          assert.deepEqual(
            await outcome(connection, `kill -$1 $$`, `${signal}`, {}),
            { end: 128 + Number(number), status: "fail", printed: "" },
          );
        }
      });

      await t.step("a signal to its group does not hide its end", async () => {
        const script = `trap 'echo "$1"; exit 3' USR1; kill -USR1 0`;
        assert.deepEqual(
          await outcome(connection, script, "got it", {}),
          { end: 3, status: "fail", printed: "got it\n" },
        );
      });

      await t.step("nothing is left when its time is over", async () => {
        const time = ownTime();
        const script = 'sleep "$1" & wait';
        assert.deepEqual(
          await outcome(connection, script, time, { timeout: 1000 }),
          {
            end: "timeout: test duration timeout reached",
            status: "infra",
            printed: "",
          },
        );
        await until(() => commandLinesWith(time).length === 0);
      });
    },
  });
}
