/** Connections to podman containers: what is particular to them, and what goes wrong. */
import { deepEqual, equal, match, notEqual, ok } from "node:assert/strict";
import {
  ConnectError,
  NotConnectedError,
} from "../../connections/connection.ts";
import { PodmanConnection } from "../../connections/podman.ts";
import { output, run, start } from "../../connections/process.ts";
import { which } from "../_parts.ts";
import {
  cannotRun,
  Container,
  freeze,
  podman,
  podmanMissing,
} from "../_podman.ts";
import { rejected, thrown } from "../_thrown.ts";
import { processesWith, until } from "../_wait.ts";

const ignore = cannotRun("connections to containers", podmanMissing());

function test(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, ignore, fn });
}

test("PodmanConnection goes to the runtime directly if it can", async () => {
  await using container = await Container.start();
  const connection = await PodmanConnection.open({ container: container.name });
  equal(connection.canReboot, true);
  notEqual(connection.local(["true"]).argv[0], "podman");
  equal(await run(connection, ["cat", "/proc/1/comm"]), "sleep\n");
  await connection.disconnect();
  await connection.disconnect();
  thrown(
    () => connection.local(["true"]),
    NotConnectedError,
    `Cannot run "true" in the container "${container.name}": not connected`,
  );
  thrown(() => connection.command("true"), NotConnectedError);
  thrown(() => connection.rsync([]), NotConnectedError);
  await connection.connect();
  await connection.connect();
  equal(await run(connection, ["echo", "again"]), "again\n");
  await connection[Symbol.asyncDispose]();
});

test("PodmanConnection falls back to podman where the runtime is not to be had", async () => {
  await using container = await Container.start();
  const bin = await Deno.makeTempDir({ prefix: "atex-test-podman-" });
  const path = Deno.env.get("PATH")!;
  try {
    // podman itself knows where its runtime is.
    for (const program of ["podman", "iptables", "sh"]) {
      const file = which(program);
      if (file) await Deno.symlink(file, `${bin}/${program}`);
    }
    Deno.env.set("PATH", bin);
    await using connection = await PodmanConnection.open({
      container: container.name,
    });
    equal(connection.canReboot, false);
    deepEqual(connection.local(["true"]).argv.slice(0, 3), [
      "podman",
      "exec",
      "-i",
    ]);
    equal(await run(connection, ["cat"], { stdin: "by podman" }), "by podman");
    await rejected(
      PodmanConnection.open({ container: container.name, direct: true }),
      ConnectError,
      "is not installed",
    );
  } finally {
    Deno.env.set("PATH", path);
    await Deno.remove(bin, { recursive: true });
  }
});

test("PodmanConnection does not run what a podman with arguments names as a runtime, unless it is told to", async () => {
  await using container = await Container.start();
  const options = {
    container: container.name,
    podman: ["podman", "--log-level=error"],
  };
  await using connection = await PodmanConnection.open(options);
  equal(connection.canReboot, false);
  deepEqual(connection.local(["true"]).argv.slice(0, 3), [
    ...options.podman,
    "exec",
  ]);
  equal(await run(connection, ["cat", "/proc/1/comm"]), "sleep\n");
  await using direct = await PodmanConnection.open({
    ...options,
    direct: true,
  });
  equal(direct.canReboot, true);
});

test("commands have environment, directory, user and rights of the container, both ways", async () => {
  await using container = await Container.start({
    args: [
      "--env=ATEX_X=a b",
      "--workdir=/usr",
      "--user=nobody",
      "--cap-drop=all",
    ],
  });
  const look = [
    "sh",
    "-c",
    "env | grep -v -e HOSTNAME -e SHLVL -e '^_=' | sort; pwd; id -u; umask; grep -i cap /proc/self/status; cat /proc/self/limits",
  ];
  const said: string[] = [];
  for (const direct of [true, false]) {
    await using connection = await PodmanConnection.open({
      container: container.name,
      direct,
    });
    said.push(await run(connection, look));
  }
  match(said[0], /^ATEX_X=a b\n/);
  match(said[0], /\n\/usr\n65534\n/);
  equal(said[0], said[1]);
});

test("ConnectError tells what is wrong with a container", async () => {
  const expectError = async (container: string, reason: string) => {
    const { message } = await rejected(
      PodmanConnection.open({ container }),
      ConnectError,
      `Cannot connect to the container "${container}": `,
    );
    ok(message.includes(reason), message);
  };
  await expectError("atex-no-such-container", "no such container");
  await expectError("-x", "no such");
  await using container = await Container.start();
  const { name } = container;
  await freeze(name);
  await expectError(name, "it is paused, not running");
  await podman("unpause", name);
  await podman("stop", "-t", "0", name);
  await expectError(name, "it is exited, not running");
  await rejected(
    PodmanConnection.open({ container: name, podman: ["atex-no-podman"] }),
    ConnectError,
    'the program "atex-no-podman" is not installed',
  );
});

test("ConnectError tells that no command can be run in a container", async () => {
  await using container = await Container.start();
  await container.exec("rm", "/bin/true");
  const error = await rejected(
    PodmanConnection.open({ container: container.name }),
    ConnectError,
    "cannot run a command in it",
  );
  match(error.message, /exec.*; .*podman exec/s);
});

test("PodmanConnection works again after a restart of the container", async () => {
  await using container = await Container.start();
  await using connection = await PodmanConnection.open({
    container: container.name,
  });
  const running = output(connection, ["sleep", "600"]);
  await run(connection, ["touch", "/kept"]);
  await podman("restart", "-t", "0", container.name);
  ok(!(await running).success);
  await connection.disconnect();
  await connection.connect();
  equal(await run(connection, ["ls", "/kept"]), "/kept\n");
});

test("a container that is gone is a failure of the command", async () => {
  const container = await Container.start();
  await using connection = await PodmanConnection.open({
    container: container.name,
  });
  await container[Symbol.asyncDispose]();
  const { success, stderr } = await output(connection, ["true"]);
  equal(success, false);
  match(new TextDecoder().decode(stderr), /container/);
  await connection.disconnect();
  await rejected(connection.connect(), ConnectError, "no such container");
});

test("PodmanConnection.connect() can be aborted", async () => {
  await using container = await Container.start();
  const options = { container: container.name };
  const signal = AbortSignal.abort(new Error("my reason"));
  await rejected(
    PodmanConnection.open({ ...options, signal }),
    Error,
    "my reason",
  );
  const connection = new PodmanConnection(options);
  const controller = new AbortController();
  const connecting = connection.connect({ signal: controller.signal });
  controller.abort(new Error("later"));
  await rejected(connecting, Error, "later");
  await connection.connect();
  equal(await run(connection, ["echo", "x"]), "x\n");
});

test("signals to a command in a container reach it", async () => {
  await using container = await Container.start();
  await using connection = await PodmanConnection.open({
    container: container.name,
    direct: true,
  });
  const number = `${700_000 + Math.floor(Math.random() * 90_000)}`;
  await using process = start(connection, ["sleep", number]);
  const [pid] = await (async () => {
    await until(async () =>
      (await processesWith(`sleep ${number}`)).length === 1
    );
    return await processesWith(`sleep ${number}`);
  })();
  ok(pid > 0);
  equal((await process.terminate()).code, 143);
  await until(async () =>
    (await processesWith(`sleep ${number}`)).length === 0
  );
});
