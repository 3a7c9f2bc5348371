/** Systems that vanish below a test: what is told of it, and of tests that fail by themselves. */
import assert from "node:assert/strict";
import type { Connection } from "../../connections/connection.ts";
import { PodmanConnection } from "../../connections/podman.ts";
import { output, run } from "../../connections/process.ts";
import { SshConnection } from "../../connections/ssh.ts";
import { CommandExecutor } from "../../executors/command.ts";
import type { Executor } from "../../executors/executor.ts";
import { FunctionExecutor } from "../../executors/function.ts";
import { readArtifacts } from "../../executors/results.ts";
import { missingPrograms } from "../_parts.ts";
import { cannotRun, Container, podman, podmanMissing } from "../_podman.ts";

const WAYS: Record<string, (container: Container) => Promise<Connection>> = {
  "podman, runtime": ({ name }) =>
    PodmanConnection.open({ container: name, direct: true }),
  "podman exec": ({ name }) =>
    PodmanConnection.open({ container: name, direct: false }),
  ssh: (container) => SshConnection.open(container.ssh()),
};

/** Tells that it is there, and is never over. */
const STAY = ["sh", "-c", "echo there >/tmp/there; sleep 1000"];
const FAILURES = {
  "/code": ["sh", "-c", "exit 1"],
  "/255": ["sh", "-c", "exit 255"],
  "/signal": ["sh", "-c", "kill -9 $$"],
};

/** Executors by what is told to fail or to stay: in all ways in which a test can tell that. */
const EXECUTORS: Record<string, (connection: Connection) => Executor> = {
  "commands": (connection) =>
    new CommandExecutor(connection, { tests: { "/stay": STAY, ...FAILURES } }),
  "functions that throw": (connection) =>
    new FunctionExecutor(connection, {
      tests: functions(async (remote, argv) => void await run(remote, argv)),
    }),
  "functions that return a code": (connection) =>
    new FunctionExecutor(connection, {
      tests: functions(async (remote, argv) =>
        (await output(remote, argv)).code
      ),
    }),
};

function functions(
  test: (remote: Connection, argv: readonly string[]) => Promise<unknown>,
) {
  return Object.fromEntries(
    Object.entries({ "/stay": STAY, ...FAILURES }).map(([name, argv]) => [
      name,
      ({ remote }: { remote: Connection }) => test(remote, argv),
    ]),
  );
}

/** How a test ended, and with what status. */
async function outcome(executor: Executor, name: string) {
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  try {
    const end = await executor.runTest(name, directory)
      .catch((error) => error.reason ?? error);
    const [{ status }] = await Array.fromAsync(readArtifacts(directory));
    return { end, status };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

for (const [way, connect] of Object.entries(WAYS)) {
  Deno.test({
    name: `a test whose system vanishes did not fail: ${way}`,
    ignore: cannotRun(
      "vanished systems",
      podmanMissing(["tiny-ssh"]),
      missingPrograms("ssh"),
    ),
    async fn(t) {
      for (const [kind, make] of Object.entries(EXECUTORS)) {
        await t.step(kind, async () => {
          await using container = await Container.start({ image: "tiny-ssh" });
          await using connection = await connect(container);
          await using executor = await make(connection).start();
          for (const name of Object.keys(FAILURES)) {
            assert.equal((await outcome(executor, name)).status, "fail", name);
          }
          const running = outcome(executor, "/stay");
          await container.exec(
            ...["sh", "-c", "until [ -e /tmp/there ]; do sleep 0.1; done"],
          );
          await podman("kill", container.name);
          const gone = { end: "connection", status: "infra" };
          assert.deepEqual(await running, gone);
          // a name that was used before: nothing is left of an earlier answer
          assert.deepEqual(await outcome(executor, "/code"), gone);
        });
      }
    },
  });
}
