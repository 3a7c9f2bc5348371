/** What is left of tests when something breaks: nothing, on any kind of system. */
import assert from "node:assert/strict";
import type { Connection } from "../../connections/connection.ts";
import { LocalConnection } from "../../connections/local.ts";
import { PodmanConnection } from "../../connections/podman.ts";
import { SshConnection } from "../../connections/ssh.ts";
import { TestAbortedError } from "../../executors/executor.ts";
import { cannotRun, Container, podmanMissing } from "../_podman.ts";
import { Sshd, sshdMissing } from "../_sshd.ts";
import { pidsWith } from "../executors/fmf/_wrapped.ts";
import { Bench, type Run } from "./_executor_suite.ts";
import { workOn } from "./_executor_work.ts";
import { INIT } from "./_init.ts";

/** Runs, and leaves behind whatever can be left behind. */
const STUBBORN = `sleep 60 & timeout 60 sleep 61 & set -m; sleep 62 &
(trap '' HUP TERM; sleep 63; true) &
sleep 64`;

interface Kind {
  name: string;
  ignore?: boolean;
  open(resources: AsyncDisposableStack): Promise<Connection>;
}

async function container(
  resources: AsyncDisposableStack,
  image: "tiny" | "tiny-ssh",
): Promise<Container> {
  return resources.use(await Container.start({ image, args: ["--init"] }));
}

const ignorePodman = cannotRun("executor: podman", podmanMissing(["tiny"]));
const ignoreSsh = cannotRun("executor: ssh", sshdMissing());

const KINDS: Kind[] = [
  { name: "local", open: () => LocalConnection.open() },
  ...[true, false].map((direct) => ({
    name: direct ? "podman, runtime" : "podman exec",
    ignore: ignorePodman,
    open: async (resources: AsyncDisposableStack) => {
      const { name } = await container(resources, "tiny");
      return await PodmanConnection.open({ container: name, direct });
    },
  })),
  ...[true, false].map((stateless) => ({
    name: stateless ? "ssh, stateless" : "ssh",
    ignore: ignoreSsh,
    open: async (resources: AsyncDisposableStack) => {
      const sshd = resources.use(await Sshd.start());
      return resources.use(
        await SshConnection.open({ ...sshd.options, stateless }),
      );
    },
  })),
];

/** Processes, with their parents and command lines. */
function processes(): { pid: number; parent: number; line: string }[] {
  const found = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = Deno.readTextFileSync(`/proc/${name}/stat`);
      const line = Deno.readTextFileSync(`/proc/${name}/cmdline`);
      found.push({
        pid: Number(name),
        parent: Number(/.*\) \S (\d+)/s.exec(stat)![1]),
        line: line.replaceAll("\0", " "),
      });
    } catch {
      // ended
    }
  }
  return found;
}

/** The process here that stands for the wrapper there. */
function clientPid(): number {
  const client = processes().find(({ parent, line }) =>
    parent === Deno.pid && /atex-\w{10}\/wrapper/.test(line)
  );
  assert.ok(client, "no client");
  return client.pid;
}

/** The wrapper of a test that runs: not the watcher, which is a child of it. */
function wrapperPid(bench: Bench): number {
  const [test] = pidsWith(`ATEX_TEST_MARK=${bench.mark}`);
  const variables = Deno.readTextFileSync(`/proc/${test}/environ`);
  const work = /\0TMT_TREE=(.*?)\/tests\0/.exec(`\0${variables}`)![1];
  const wrappers = processes().filter(({ line }) =>
    line.includes(`bash ${work}/wrapper `) && !/^(ssh|runc|podman) /.test(line)
  );
  const pids = new Set(wrappers.map(({ pid }) => pid));
  const wrapper = wrappers.find(({ parent }) => !pids.has(parent));
  assert.ok(wrapper, "no wrapper");
  return wrapper.pid;
}

function assertAborted({ error, results }: Run, reason: string): void {
  assert.ok(error instanceof TestAbortedError, error?.stack);
  assert.equal(error.reason, reason);
  assert.equal(results.at(-1)?.status, "infra");
}

const tests = {
  "/stubborn": STUBBORN,
  "/terminal": { test: STUBBORN, tty: true },
  "/tidy": `trap 'sleep 1; echo cleaned; exit 1' HUP; sleep 65 & wait`,
  "/quick": "exit 5",
};

for (const { name, ignore = false, open } of KINDS) {
  Deno.test({
    name: `nothing is left of a test: ${name}`,
    ignore,
    async fn(t) {
      await using resources = new AsyncDisposableStack();
      const connection = await open(resources);
      const bench = resources.use(new Bench(connection, tests));
      await bench.start();

      await t.step("cancelled", async () => {
        const abort = new AbortController();
        const running = bench.run("/stubborn", { signal: abort.signal });
        await bench.sees("sleep 64");
        abort.abort();
        assertAborted(await running, "cancelled");
        await bench.gone();
      });

      await t.step("cancelled, after it has cleaned up", async () => {
        const abort = new AbortController();
        const running = bench.run("/tidy", { signal: abort.signal });
        await bench.sees("sleep 65");
        abort.abort();
        const run = await running;
        assertAborted(run, "cancelled");
        assert.match(run.files["output.txt"]!, /^cleaned$/m);
        await bench.gone();
      });

      await t.step("its client killed", async () => {
        const running = bench.run("/stubborn");
        await bench.sees("sleep 64");
        Deno.kill(clientPid(), "SIGKILL");
        assertAborted(await running, "connection");
        await bench.gone();
        await connection.connect();
      });

      await t.step("its wrapper killed", async () => {
        const running = bench.run("/stubborn");
        await bench.sees("sleep 64");
        Deno.kill(wrapperPid(bench), "SIGKILL");
        const run = await running;
        if (name === "podman exec" && !run.error) assert.fail("no error");
        await bench.gone();
        await connection.connect();
      });

      await t.step("and the next one runs", async () => {
        assert.equal((await bench.run("/quick")).exitCode, 5);
      });

      await t.step("stopped with the executor", async () => {
        const running = bench.run("/stubborn");
        await bench.sees("sleep 64");
        await bench.executor.stop();
        assertAborted(await running, "cancelled");
        await bench.gone();
      });
    },
  });
}

Deno.test({
  name: "nothing is left of a test: the master of the connection killed",
  ignore: ignoreSsh,
  async fn() {
    await using sshd = await Sshd.start();
    await using connection = await SshConnection.open(sshd.options);
    await using bench = await new Bench(connection, tests).start();
    const running = bench.run("/stubborn");
    await bench.sees("sleep 64");
    const master = processes().find(({ line }) =>
      line.includes(`${sshd.port}`) && / -N /.test(line) &&
      line.startsWith("ssh ")
    );
    Deno.kill(master!.pid, "SIGKILL");
    assertAborted(await running, "connection");
    await bench.gone();
    await connection.connect();
    assert.equal((await bench.run("/quick")).exitCode, 5);
  },
});

Deno.test({
  name: "nothing is left of a test: the sessions of the server killed",
  ignore: ignoreSsh,
  async fn() {
    await using sshd = await Sshd.start();
    await using connection = await SshConnection.open(sshd.options);
    await using bench = await new Bench(connection, tests).start();
    const running = bench.run("/stubborn");
    await bench.sees("sleep 64");
    const sessions = new Set([sshd.pid]);
    for (const { pid, parent, line } of processes()) {
      if (!sessions.has(parent) || !/^sshd: /.test(line)) continue;
      sessions.add(pid);
      Deno.kill(pid, "SIGKILL");
    }
    assertAborted(await running, "connection");
    await bench.gone();
    await connection.connect(); // the work directory is still there
  },
});

Deno.test({
  name: "nothing is left of a test: its client frozen",
  ignore: ignoreSsh,
  async fn() {
    await using sshd = await Sshd.start();
    await using connection = await SshConnection.open({
      ...sshd.options,
      stateless: true,
    });
    await using bench = await new Bench(connection, tests, {
      heartbeat: 2000,
      heartbeatLimit: 5000,
    }).start();
    const abort = new AbortController();
    const running = bench.run("/stubborn", { signal: abort.signal });
    await bench.sees("sleep 64");
    const client = clientPid();
    Deno.kill(client, "SIGSTOP");
    await bench.gone(25);
    Deno.kill(client, "SIGCONT");
    // the wrapper was told to stop by its own watcher
    assertAborted(await running, "connection");
    await connection.connect(); // the work directory is still there
  },
});

Deno.test({
  name: "a client that does not end is killed",
  ignore: ignoreSsh,
  async fn() {
    await using sshd = await Sshd.start();
    await using connection = await SshConnection.open({
      ...sshd.options,
      stateless: true,
    });
    await using bench = await new Bench(connection, tests).start();
    const abort = new AbortController();
    const running = bench.run("/stubborn", { signal: abort.signal });
    await bench.sees("sleep 64");
    Deno.kill(clientPid(), "SIGSTOP");
    abort.abort();
    assertAborted(await running, "cancelled");
    await bench.gone();
  },
});

Deno.test({
  name: "nothing is left of a test: the script killed that runs it",
  ignore: ignoreSsh,
  async fn() {
    await using sshd = await Sshd.start();
    await using bench = new Bench(await LocalConnection.open(), {});
    const script = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-qA",
        "--no-check",
        `--config=${new URL("../../deno.json", import.meta.url).pathname}`,
        new URL("_hold_tests.ts", import.meta.url).pathname,
        JSON.stringify({
          ssh: sshd.options,
          test: `echo "\${TMT_TREE%/*}" >>${bench.directory}/work\n${STUBBORN}`,
          mark: bench.mark,
          root: bench.directory,
        }),
      ],
      stdin: "null",
      stdout: "null",
    }).spawn();
    await bench.sees("sleep 64", 2);
    script.kill("SIGKILL");
    await script.status;
    await bench.gone();
    const work = await Deno.readTextFile(`${bench.directory}/work`);
    for (const directory of work.trim().split("\n")) {
      // nobody was there to remove it
      await Deno.remove(directory, { recursive: true });
    }
  },
});

const terminal = podmanMissing(["tiny", "debian"]);

Deno.test({
  name:
    "a test on a terminal runs where there is a script program, and is ended like others",
  ignore: cannotRun("executor: podman", terminal),
  async fn(t) {
    await t.step("there is one", async () => {
      await using container = await Container.start({
        image: "debian",
        command: ["sleep", "infinity"],
        args: ["--init"],
      });
      await using connection = await PodmanConnection.open({
        container: container.name,
      });
      await using bench = await new Bench(connection, {
        ...tests,
        "/tty": { test: "tty; stty size; exit 3", tty: true },
      }).start();
      const run = await bench.run("/tty");
      assert.equal(run.exitCode, 3);
      assert.match(run.files["output.txt"], /^\/dev\/pts\/\d+\r\n24 80\r\n$/);
      const abort = new AbortController();
      const running = bench.run("/terminal", { signal: abort.signal });
      await bench.sees("sleep 64");
      abort.abort();
      assertAborted(await running, "cancelled");
      await bench.gone();
    });
    await t.step("there is none", async () => {
      await using container = await Container.start({ args: ["--init"] });
      await using connection = await PodmanConnection.open({
        container: container.name,
      });
      await using bench = await new Bench(connection, tests).start();
      const { error, results, files } = await bench.run("/terminal");
      const message =
        'Cannot set up "/terminal": Cannot give the test a terminal: the system has no "script" program of util-linux';
      assert.equal(error?.message, message);
      assert.deepEqual(results, [{
        status: "infra",
        note: `TestSetupError(${message})`,
        files: ["setup.txt"],
      }]);
      assert.match(files["setup.txt"], /no "script" program/);
    });
  },
});

Deno.test({
  name: "a system that lacks something is refused by one error",
  ignore: ignorePodman,
  async fn() {
    await using container = await Container.start();
    await using connection = await PodmanConnection.open({
      container: container.name,
    });
    await using bench = new Bench(connection, tests);
    const refused = (what: string) =>
      assert.rejects(bench.start(), {
        name: "SetupError",
        message: `Cannot run tests on the system: it lacks ${what}`,
      });
    await container.exec("rm", "/bin/setsid", "/bin/tar");
    await refused("setsid, rsync or tar");
    await container.exec("ln", "-sf", "busybox", "/bin/sh");
    await container.exec("rm", "/bin/bash");
    await refused("bash");
    assert.deepEqual(bench.events, []);
    const { length } = await workOn(connection);
    assert.equal(length, 0);
  },
});

/** Restarts the system as real suites do. */
const REBOOT = `trap '' PIPE
echo "boot $TMT_REBOOT_COUNT"
result='{"name":"boot","partial":true,"note":"'$TMT_REBOOT_COUNT'","files":[]}'
printf 'result %s\\n%s' "\${#result}" "$result" >&8
if [ "$TMT_REBOOT_COUNT" = 2 ]; then exit 4; fi
echo disconnect >&8
while echo noop >&8; do sleep 0.1; done 2>/dev/null
kill -TERM 1
sleep infinity`;

/** Ends when it is told to, as the first process of a system does. */
const FIRST = [
  "bash",
  "-c",
  "trap exit TERM; while :; do sleep 1 & wait; done",
];

Deno.test({
  name: "a test restarts its system: container",
  ignore: ignorePodman,
  async fn() {
    await using container = await Container.start({
      command: FIRST,
      args: ["--restart=always"],
    });
    await using connection = await PodmanConnection.open({
      container: container.name,
    });
    await checkReboot(connection);
  },
});

Deno.test({
  name: "a test restarts its system: ssh",
  ignore: cannotRun(
    "executor: ssh",
    podmanMissing(["tiny-ssh"]),
    sshdMissing(),
  ),
  async fn(t) {
    for (const stateless of [false, true]) {
      await t.step(stateless ? "stateless" : "managed", async () => {
        await using container = await Container.start({
          image: "tiny-ssh",
          args: ["--restart=always"],
        });
        await using connection = await SshConnection.open({
          ...container.ssh(),
          stateless,
          options: {
            ConnectTimeout: 1,
            ServerAliveInterval: 1,
            ServerAliveCountMax: 3,
          },
        });
        await checkReboot(connection);
      });
    }
  },
});

Deno.test({
  name: "a test restarts its system: systemd",
  ignore: cannotRun("executor: ssh", podmanMissing(["debian"]), sshdMissing()),
  async fn() {
    await using container = await Container.start({
      image: "debian",
      command: INIT,
      args: ["--systemd=always", "--restart=always"],
      ssh: true,
    });
    await using connection = await SshConnection.open({
      ...container.ssh(),
      options: { ConnectTimeout: 2 },
    });
    // by force: the manager of the user does not always end in a container
    const reboot = "systemctl stop ssh; systemctl reboot --force";
    await checkReboot(connection, REBOOT.replace("kill -TERM 1", reboot));
  },
});

async function checkReboot(
  connection: Connection,
  test = REBOOT,
): Promise<void> {
  await using bench = await new Bench(connection, {
    "/reboot": { test, duration: "50s" },
  }).start();
  const run = await bench.run("/reboot");
  assert.equal(run.exitCode, 4, run.error?.stack);
  assert.deepEqual(run.results, [
    { name: "boot", note: "2", files: [] },
    { status: "fail", files: ["output.txt"] },
  ]);
  // a client that has a connection of its own says so when that ends
  const output = run.files["output.txt"].replaceAll(
    /^Connection to [^\n]*\n/gm,
    "",
  );
  assert.equal(output, "boot 0\nboot 1\nboot 2\n");
  assert.deepEqual(
    bench.events.filter(({ type }) => type === "restarted"),
    [1, 2].map((count) => ({
      type: "restarted",
      test: "/reboot",
      count,
      rebooted: true,
    })),
  );
  await bench.gone();
}

Deno.test({
  name: "a test that only disconnects is started again, and that is told",
  ignore: ignoreSsh,
  async fn(t) {
    const test = `trap '' PIPE
      [ "$TMT_REBOOT_COUNT" = 0 ] || exit "$TMT_REBOOT_COUNT"
      echo disconnect >&8
      while echo noop >&8; do sleep 0.1; done 2>/dev/null`;
    for (const stateless of [false, true]) {
      await t.step(stateless ? "stateless" : "managed", async () => {
        await using sshd = await Sshd.start();
        await using connection = await SshConnection.open({
          ...sshd.options,
          stateless,
        });
        await using bench = await new Bench(connection, { "/t": test }).start();
        assert.equal((await bench.run("/t")).exitCode, 1);
        assert.deepEqual(bench.events.at(-1), {
          type: "restarted",
          test: "/t",
          count: 1,
          rebooted: false,
        });
        await bench.gone();
      });
    }
  },
});

Deno.test({
  name:
    "a test that disconnects and lives on is waited for, and ended with its duration",
  ignore: ignoreSsh,
  async fn(t) {
    await using sshd = await Sshd.start();
    await using connection = await SshConnection.open(sshd.options);
    const options = `trap '' PIPE HUP; echo disconnect >&8; echo running
      while echo noop >&8; do sleep 0.1; done 2>/dev/null; sleep 65`;
    await using bench = await new Bench(connection, {
      "/here": { test: options, duration: "3" },
      "/lost": { test: options, duration: "6" },
    }).start();
    await t.step("the link stays", async () => {
      const run = await bench.run("/here");
      assertAborted(run, "timeout");
      await bench.gone();
    });
    await t.step("the link goes", async () => {
      const running = bench.run("/lost");
      await bench.sees("sleep 65");
      const master = processes().find(({ line }) =>
        line.includes(`${sshd.port}`) && / -N /.test(line) &&
        line.startsWith("ssh ")
      );
      Deno.kill(master!.pid, "SIGKILL");
      await new Promise((resolve) => setTimeout(resolve, 1500));
      assert.notDeepEqual(bench.survivors(), [], "it was released");
      assertAborted(await running, "timeout");
      assert.equal(
        bench.events.filter(({ type }) => type === "restarted").length,
        0,
      );
      await bench.gone();
    });
  },
});

Deno.test({
  name: "a system that does not come back ends the test with its duration",
  ignore: ignorePodman,
  async fn() {
    await using container = await Container.start({ command: FIRST });
    await using connection = await PodmanConnection.open({
      container: container.name,
    });
    await using bench = await new Bench(connection, {
      "/reboot": { test: REBOOT, duration: "6" },
    }).start();
    const run = await bench.run("/reboot");
    assertAborted(run, "timeout");
    assert.deepEqual(run.results, [
      { name: "boot", note: "0", files: [] },
      {
        status: "infra",
        note: "TestAbortedError(test duration timeout reached)",
        files: ["output.txt"],
      },
    ]);
    await bench.executor.stop();
    const warnings = bench.events.filter(({ type }) => type === "warning");
    assert.notEqual(warnings.length, 0, "what could not be removed is told");
  },
});
