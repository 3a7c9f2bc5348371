/** What tests left running on hosts that are given back. */
import assert from "node:assert/strict";
import type { Connection } from "../../connections/connection.ts";
import { run } from "../../connections/process.ts";
import { SshConnection } from "../../connections/ssh.ts";
import { endLeftProcesses } from "../../provisioners/_left_processes.ts";
import { missingPrograms } from "../_parts.ts";
import { cannotRun, Container, podman, podmanMissing } from "../_podman.ts";
import { Sshd, sshdMissing } from "../_sshd.ts";
import { processesWith, until } from "../_wait.ts";
import { Bench } from "./_executor_suite.ts";
import { watched } from "./_watched_hosts.ts";

const NAME = "integration/provisioner_hosts_clean";
const ignore = cannotRun(NAME, sshdMissing(), missingPrograms("flock"));

const ignoreDebian = cannotRun(NAME, podmanMissing(["debian"]));
const startDebian = () => Container.start({ image: "debian", ssh: true });

/** Leaves a process as of a test whose directory is gone. No other host sees it. */
async function leaveIn(
  container: Container,
  user: string,
  seconds: number,
): Promise<void> {
  await podman(
    ...["exec", `--user=${user}`, container.name, "sh", "-c"],
    `TMT_TREE=/var/tmp/atex-AAAAAAAAAA/tests setsid sleep ${seconds} >/dev/null 2>&1 &`,
  );
  await until(async () => (await leftIn(container)).includes(String(seconds)));
}

/** For how many seconds those sleep that are there. */
async function leftIn(container: Container): Promise<string[]> {
  const text = await container.exec(
    ...["sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"],
  );
  return [...text.matchAll(/\bsleep (\d{4}) /g)].map(([, seconds]) => seconds)
    .sort();
}

/** A server that is a host, and the pool that lends it. */
const poolOf = ({ directory, options }: Sshd) =>
  watched({ hosts: [options], leaseFile: `${directory}/lease` });

/** Runs a test that leaves a daemon, which holds the lock of a file. */
async function leaveDaemon(
  remote: Connection,
  file: string,
): Promise<Bench> {
  const bench = new Bench(remote, {
    "/t": `setsid flock ${file} sleep 600 <&- >/dev/null 2>&1 8>&- &
until ! flock -n ${file} true; do sleep 0.1; done`,
  });
  await bench.start();
  assert.equal((await bench.run("/t")).exitCode, 0);
  await bench.executor.stop();
  return bench;
}

async function isFree(file: string): Promise<boolean> {
  const args = ["-n", file, "true"];
  return (await new Deno.Command("flock", { args }).output()).success;
}

/** A process with variables, which lasts as long as this object. */
function processWith(env: Record<string, string>) {
  const child = new Deno.Command("sleep", { args: ["600"], env }).spawn();
  const { pid } = child;
  return {
    isAlive: async () =>
      /^State:\s[^ZX]/m.test(
        await Deno.readTextFile(`/proc/${pid}/status`).catch(() => ""),
      ),
    async [Symbol.asyncDispose]() {
      try {
        child.kill("SIGKILL");
      } catch {
        // It was ended.
      }
      await child.status;
    },
  };
}

for (const reason of ["done", "destroyed"] as const) {
  Deno.test({
    name:
      `a daemon of a test is gone when its host is given back as ${reason}, and what is not of its kind is not`,
    ignore,
    fn: async () => {
      await using sshd = await Sshd.start();
      const { pool, events } = poolOf(sshd);
      await using _ = await pool.start();
      pool.provision(2);
      const remote = await pool.getRemote();
      const file = `${sshd.directory}/daemon`;
      await using bench = await leaveDaemon(remote, file);
      assert.ok(!await isFree(file), "it outlives its executor");
      const there = `${sshd.directory}/atex-AAAAAAAAAA`;
      await Deno.mkdir(there);
      await using other = processWith({ TMT_TREE: `${there}/tests` });
      await using unrelated = processWith({ TMT_TREE: sshd.directory });
      await remote.release({ reason });
      assert.deepEqual(bench.survivors(), []);
      assert.ok(await isFree(file));
      assert.ok(await other.isAlive());
      assert.ok(await unrelated.isAlive());
      assert.equal(await run(await pool.getRemote(), ["echo", "hi"]), "hi\n");
      assert.ok(!events.some(({ type }) => type === "warning"));
    },
  });
}

Deno.test({
  name: "a hook `clean` decides itself what becomes of what is left",
  ignore: ignoreDebian,
  fn: async () => {
    await using container = await startDebian();
    const { pool } = watched({ hosts: [container.ssh()], clean: () => {} });
    await using _ = await pool.start();
    pool.provision();
    const remote = await pool.getRemote();
    await leaveIn(container, "root", 4321);
    await remote.release();
    assert.deepEqual(await leftIn(container), ["4321"]);
  },
});

Deno.test({
  name: "on a host whose lease was lost nothing is ended",
  ignore: ignoreDebian,
  fn: async () => {
    await using container = await startDebian();
    const leaseFile = `/var/tmp/${container.name}`;
    const { pool, events } = watched({ hosts: [container.ssh()], leaseFile });
    await using _ = await pool.start();
    pool.provision();
    const remote = await pool.getRemote();
    const lost = remote.lost;
    await leaveIn(container, "root", 4321);
    const until = Math.floor(Date.now() / 1000) + 600;
    const holder = `{"keepUntil":${until},"lease":"x"}`;
    const take = `rm ${leaseFile}; echo '${holder}' >${leaseFile}`;
    await container.exec("sh", "-c", take);
    // Only what holds the lease ends: the host is connected.
    for (const pid of await processesWith(leaseFile)) Deno.kill(pid, "SIGKILL");
    await lost;
    assert.equal(await run(remote, ["echo", "hi"]), "hi\n");
    await remote.release();
    assert.deepEqual(await leftIn(container), ["4321"]);
    assert.ok(!events.some(({ type }) => type === "warning"));
  },
});

Deno.test({
  name: "a host whose connection is gone is given back without a word",
  ignore,
  fn: async () => {
    await using sshd = await Sshd.start();
    const { pool, events } = poolOf(sshd);
    await using _ = await pool.start();
    pool.provision(2);
    const remote = await pool.getRemote();
    await sshd.cutSessions();
    await remote.closed;
    await remote.release({ reason: "destroyed" });
    await (await pool.getRemote()).release();
    assert.ok(!events.some(({ type }) => type === "warning"));
  },
});

Deno.test({
  name:
    "a host that does not answer any more is waited for no longer than said",
  ignore,
  fn: async () => {
    await using sshd = await Sshd.start();
    const { options } = sshd;
    await using connection = await SshConnection.open({
      ...options,
      // Nothing else finds out.
      options: { ...options.options, ServerAliveInterval: 0 },
    });
    await sshd.freezeSessions();
    const { signal } = new AbortController();
    let isOver = false;
    const end = endLeftProcesses(connection, { patience: 200, signal })
      .then(() => isOver = true);
    await until(() => isOver);
    await end;
  },
});

Deno.test({
  name: "a daemon in a host that has busybox only is gone, too",
  ignore: ignore || cannotRun(NAME, podmanMissing(["tiny-ssh"])),
  fn: async () => {
    await using container = await Container.start({ image: "tiny-ssh" });
    const { pool, events } = watched({
      hosts: [container.ssh()],
      lease: "none",
    });
    await using _ = await pool.start();
    pool.provision();
    const remote = await pool.getRemote();
    await using bench = new Bench(remote, {
      "/t": "setsid sleep 4321 <&- >/dev/null 2>&1 8>&- & sleep 0.2",
    });
    await bench.start();
    assert.equal((await bench.run("/t")).exitCode, 0);
    await bench.executor.stop();
    assert.deepEqual(await leftIn(container), ["4321"]);
    await remote.release();
    assert.deepEqual(await leftIn(container), []);
    assert.ok(!events.some(({ type }) => type === "warning"));
  },
});

Deno.test({
  name:
    "processes of other users are left alone, unless the host is used as root",
  ignore: ignoreDebian,
  fn: async () => {
    await using container = await startDebian();
    await leaveIn(container, "root", 4321);
    await leaveIn(container, "tester", 4322);
    for (
      const [user, expected] of [["tester", ["4321"]], ["root", []]] as const
    ) {
      const { pool, events } = watched({ hosts: [container.ssh(user)] });
      await using _ = await pool.start();
      pool.provision();
      await (await pool.getRemote()).release();
      assert.deepEqual(await leftIn(container), expected);
      assert.ok(!events.some(({ type }) => type === "warning"));
    }
  },
});
