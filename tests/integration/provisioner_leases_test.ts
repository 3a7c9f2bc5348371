/** Leases of hosts, with real servers and scripts that contend, die and lose them. */
import assert from "node:assert/strict";
import { run } from "../../connections/process.ts";
import { parseHolder } from "../../provisioners/_lease.ts";
import { HostsProvisioner } from "../../provisioners/hosts.ts";
import { cannotRun, missingPrograms } from "../_parts.ts";
import { Script } from "../_script.ts";
import { Container, podmanMissing } from "../_podman.ts";
import { Sshd, sshdMissing } from "../_sshd.ts";
import { until } from "../_wait.ts";
import { watched } from "./_watched_hosts.ts";

const ignore = cannotRun(
  "integration/provisioner_leases",
  sshdMissing(),
  missingPrograms("flock"),
);

/** A server that is a host of its own, with its own lock. */
function hostOf({ directory, options }: Sshd) {
  return {
    ...options,
    leaseFile: `${directory}/lease`,
    labels: { used: `${directory}/used` },
  };
}

const holderOf = (sshd: Sshd) =>
  Deno.readTextFile(`${sshd.directory}/lease`).catch(() => "");

/** A user's script that uses the hosts. */
function scriptOn(hosts: unknown[], times: number, more = {}): Script {
  return new Script("integration/_lease_script.ts", [
    JSON.stringify({ hosts, pollInterval: 300, ...more }),
    String(times),
  ]);
}

for (const lease of ["remote", "local"] as const) {
  Deno.test({
    name: `nobody else gets a host that is lent (${lease} lease)`,
    ignore,
    fn: async () => {
      await using sshd = await Sshd.start();
      const hosts = [hostOf(sshd)];
      const options = { hosts, lease, leaseDirectory: `${sshd.directory}/l` };
      await using first = await new HostsProvisioner({
        ...options,
        purpose: "nightly",
      }).start();
      const { pool: second, reasons } = watched(options);
      await using _ = await second.start();
      first.provision();
      const remote = await first.getRemote();
      assert.equal(await run(remote, ["echo", "mine"]), "mine\n");
      second.provision();
      const waiting = second.getRemote();
      await until(() => reasons().length > 0);
      const [{ host }] = hosts;
      assert.equal(
        reasons()[0],
        `this script has ${host} already, from another provisioner, for nightly`,
      );
      // Many looks later nothing has changed.
      await new Promise((resolve) => setTimeout(resolve, 300));
      assert.equal(reasons().length, 1);
      await remote.release();
      const next = await waiting;
      assert.equal(await run(next, ["echo", "mine"]), "mine\n");
      await next.release();
      if (lease === "remote") assert.equal(await holderOf(sshd), "");
    },
  });
}

Deno.test({
  name: "who waits for a host that others have takes another that becomes free",
  ignore,
  fn: async () => {
    await using one = await Sshd.start();
    await using two = await Sshd.start();
    const hosts = [hostOf(one), hostOf(two)];
    await using first = await new HostsProvisioner({ hosts }).start();
    first.provision(2);
    await first.getRemote();
    const b = await first.getRemote();
    const { pool: second, reasons } = watched({ hosts });
    await using _ = await second.start();
    second.provision();
    const waiting = second.getRemote();
    await until(() => reasons().length > 0);
    assert.equal(
      reasons()[0],
      `this script has ${hosts[0].host}, ${
        hosts[1].host
      } already, from another provisioner`,
    );
    await b.release();
    assert.equal((await waiting).id, b.id);
  },
});

/** Whether nobody has the lock of a file, by a look of our own. */
async function isUnlocked(file: string): Promise<boolean> {
  const args = ["-n", file, "true"];
  return (await new Deno.Command("flock", { args }).output()).code === 0;
}

for (const lease of ["remote", "local"] as const) {
  Deno.test({
    name:
      `the host of a script that was killed is free within 2 s (${lease} lease)`,
    ignore,
    fn: async (t) => {
      await using sshd = await Sshd.start();
      const hosts = [hostOf(sshd)];
      const leaseDirectory = `${sshd.directory}/l`;
      const options = { hosts, lease, leaseDirectory };
      const lockFile = () => {
        if (lease === "remote") return hosts[0].leaseFile;
        const [{ name }] = Deno.readDirSync(leaseDirectory);
        return `${leaseDirectory}/${name}`;
      };
      await t.step("its lock", async () => {
        await using script = scriptOn(hosts, 0, options);
        await until(script.has("got"));
        assert.equal(await isUnlocked(lockFile()), false);
        script.child.kill("SIGKILL");
        await until(() => isUnlocked(lockFile()), 2000);
      });
      await t.step("for who waits", async () => {
        await using script = scriptOn(hosts, 0, options);
        await until(script.has("got"));
        const { pool, reasons } = watched(options);
        await using _ = await pool.start();
        pool.provision();
        const waiting = pool.getRemote();
        await until(() => reasons().length > 0);
        assert.match(reasons()[0], new RegExp(`process ${script.child.pid},`));
        script.child.kill("SIGKILL");
        const isOurs = async () =>
          parseHolder(await Deno.readTextFile(lockFile()))?.pid === Deno.pid;
        await until(isOurs, 2000);
        assert.equal(await run(await waiting, ["echo", "mine"]), "mine\n");
      });
    },
  });
}

Deno.test({
  name: "20 scripts contend for 5 hosts: never two on one, and nobody starves",
  ignore,
  fn: async () => {
    await using stack = new AsyncDisposableStack();
    const hosts: unknown[] = [];
    for (let i = 0; i < 5; i++) {
      const config = ["MaxStartups 100:30:200"];
      hosts.push(hostOf(stack.use(await Sshd.start({ config }))));
    }
    const scripts = Array.from(
      { length: 20 },
      () => stack.use(scriptOn(hosts, 2, { order: "shuffle" })),
    );
    for (const script of scripts) {
      assert.equal((await script.end()).code, 0);
      assert.equal(script.lines.at(-1), "done");
      assert.ok(!script.has("failed")(), script.lines.join("\n"));
    }
    // They did contend.
    assert.ok(scripts.some((script) => script.has("waiting")()));
  },
});

Deno.test({
  name: "a script that dies while it waits for a host leaves nothing on it",
  ignore,
  fn: async () => {
    await using sshd = await Sshd.start();
    const hosts = [hostOf(sshd)];
    const options = { hosts, purpose: "nightly" };
    await using pool = await new HostsProvisioner(options).start();
    pool.provision();
    const remote = await pool.getRemote();
    const before = await run(remote, ["cat", hosts[0].leaseFile]);
    const script = scriptOn(hosts, 1);
    await until(script.has("waiting"));
    const holder =
      `@${Deno.hostname()}, process ${Deno.pid}, since \\S+, for nightly`;
    assert.match(
      script.lines.find((line) => line.startsWith("waiting"))!,
      new RegExp(`^waiting others have ${hosts[0].host}: .*${holder}$`),
    );
    script.child.kill("SIGKILL");
    await script.end();
    assert.equal(await run(remote, ["cat", hosts[0].leaseFile]), before);
    await remote.release();
    await until(() => isUnlocked(hosts[0].leaseFile));
  },
});

Deno.test({
  name: "a host whose connections are cut is leased again, by nobody else",
  ignore,
  fn: async () => {
    await using sshd = await Sshd.start();
    const hosts = [hostOf(sshd)];
    const { pool, events } = watched({ hosts });
    await using _ = await pool.start();
    pool.provision();
    const remote = await pool.getRemote();
    const before = JSON.parse(await holderOf(sshd));
    await sshd.cutSessions(); // shells too, as when the host crashes
    await remote.closed;
    await remote.disconnect();
    await remote.connect();
    assert.equal(await run(remote, ["echo", "back"]), "back\n");
    const { keepUntil, ...after } = JSON.parse(await holderOf(sshd));
    assert.deepEqual({ ...after, keepUntil: before.keepUntil }, before);
    assert.ok(keepUntil >= before.keepUntil);
    const { pool: other, reasons } = watched({ hosts });
    await using _other = await other.start();
    other.provision();
    const waiting = other.getRemote();
    await until(() => reasons().length > 0);
    await remote.release();
    await waiting;
    assert.ok(!events.some(({ type }) => type === "lost"));
  },
});

Deno.test({
  name:
    "a host that crashed while it was leased is kept for its holder for rebootGrace",
  ignore,
  fn: async () => {
    await using sshd = await Sshd.start();
    const [host] = [hostOf(sshd)];
    const now = Math.floor(Date.now() / 1000);
    const line = (until: number) =>
      `{"keepUntil":${until},"lease":"x","user":"jane","host":"far","pid":7,"since":"2026"}\n`;
    await Deno.writeTextFile(host.leaseFile, line(now + 2));
    const { pool, reasons } = watched({ hosts: [host] });
    await using _ = await pool.start();
    pool.provision();
    const remote = await pool.getRemote();
    assert.deepEqual(reasons(), [
      `others have ${host.host}: jane@far, process 7, since 2026`,
    ]);
    assert.ok(Date.now() / 1000 >= now + 2);
    await remote.release();
    for (
      const content of [
        line(now + 90_000), // a wrong clock: nobody keeps a host for more than a day
        line(now - 1),
        "garbage",
        '{"keepUntil":',
        '{"keepUntil":99999999999999999999999,',
      ]
    ) {
      await Deno.writeTextFile(host.leaseFile, content);
      pool.provision();
      await (await pool.getRemote()).release();
    }
    assert.equal(reasons().length, 1);
  },
});

Deno.test({
  name: "a lease that somebody else got while the host was away is lost",
  ignore,
  fn: async () => {
    await using sshd = await Sshd.start();
    const host = hostOf(sshd);
    const { pool, events } = watched({ hosts: [host] });
    await using _ = await pool.start();
    pool.provision();
    const remote = await pool.getRemote();
    const lost = remote.lost;
    const holder = JSON.stringify({
      keepUntil: Math.floor(Date.now() / 1000) + 3600,
      lease: "x",
    });
    // The lock is on the file: with another one, others can have it.
    await Deno.remove(host.leaseFile);
    await Deno.writeTextFile(host.leaseFile, holder);
    await sshd.cutSessions();
    assert.equal(
      (await lost).message,
      `Lost the lease of the host ${host.host}: somebody else took it`,
    );
    await assert.rejects(remote.connect(), /Lost the lease/);
    await remote.release();
    assert.ok(events.some(({ type }) => type === "lost"));
    assert.equal(await holderOf(sshd), holder);
  },
});

/** Hooks that only tell that they are called. */
function toldHooks() {
  const calls: string[] = [];
  return {
    calls,
    recover: () => void calls.push("recover"),
    clean: () => void calls.push("clean"),
  };
}

Deno.test({
  name: "no hook is called for a host that somebody else got",
  ignore,
  fn: async () => {
    await using sshd = await Sshd.start();
    const host = hostOf(sshd);
    const { calls, ...hooks } = toldHooks();
    const { pool, events } = watched({ hosts: [host], ...hooks });
    await using _ = await pool.start();
    pool.provision();
    const remote = await pool.getRemote();
    await Deno.remove(host.leaseFile);
    await Deno.writeTextFile(
      host.leaseFile,
      JSON.stringify({
        keepUntil: Math.floor(Date.now() / 1000) + 3600,
        lease: "x",
      }),
    );
    const lost = remote.lost;
    await sshd.cutSessions();
    await lost;
    await remote.release({ reason: "destroyed" });
    assert.deepEqual(calls, []);
    const warnings = events.flatMap((event) =>
      event.type === "warning" ? [event.error.message] : []
    );
    assert.deepEqual(warnings, [
      `Cannot clean up the host ${host.host}: Lost the lease of the host ${host.host}: somebody else took it`,
    ]);
    await Deno.remove(host.leaseFile); // they are done with it
    pool.provision();
    await (await pool.getRemote()).release();
    assert.deepEqual(calls, ["clean"]);
  },
});

/** A server that dies, and can be brought back under the same name. */
async function mortalHost() {
  const sshd = await Sshd.start();
  await using stack = new AsyncDisposableStack();
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  stack.defer(() => Deno.remove(directory, { recursive: true }));
  await Deno.copyFile(`${sshd.directory}/key`, `${directory}/key`);
  await Deno.copyFile(`${sshd.directory}/key.pub`, `${directory}/key.pub`);
  const files = stack.move();
  return {
    host: {
      ...sshd.options,
      identityFile: `${directory}/key`,
      leaseFile: `${directory}/lease`,
    },
    die: () => sshd[Symbol.asyncDispose](),
    async revive() {
      await Deno.writeTextFile(`${directory}/lease`, "");
      files.use(
        await Sshd.start({
          port: sshd.port,
          config: [`AuthorizedKeysFile ${directory}/key.pub`],
        }),
      );
    },
    [Symbol.asyncDispose]: () => files.disposeAsync(),
  };
}

Deno.test({
  name: "a host that died while it was leased is recovered, and leased",
  ignore,
  fn: async () => {
    await using mortal = await mortalHost();
    const { host, die, revive } = mortal;
    const { calls, clean } = toldHooks();
    const { pool } = watched({
      hosts: [host],
      clean,
      recover: async (connection) => {
        await revive();
        await connection.connect();
        assert.match(await Deno.readTextFile(host.leaseFile), /"lease":/);
        calls.push("recover");
      },
    });
    await using _ = await pool.start();
    pool.provision();
    const remote = await pool.getRemote();
    await die();
    await remote.release({ reason: "destroyed" });
    assert.deepEqual(calls, ["recover", "clean"]);
  },
});

Deno.test({
  name: "no hook is called for a host that somebody else may have got",
  ignore,
  fn: async () => {
    await using mortal = await mortalHost();
    const { host, die, revive } = mortal;
    const { calls, ...hooks } = toldHooks();
    const { pool, events } = watched({
      hosts: [host],
      rebootGrace: 0,
      retryAfter: 100,
      ...hooks,
    });
    await using _ = await pool.start();
    pool.provision();
    const remote = await pool.getRemote();
    const { lost } = remote;
    await die();
    await lost;
    await remote.release({ reason: "destroyed" });
    assert.deepEqual(calls, []);
    const warnings = events.flatMap((event) =>
      event.type === "warning" ? [event.error.message] : []
    );
    assert.equal(warnings.length, 1);
    assert.match(warnings[0], /Cannot connect to .*Connection refused/);
    await revive();
    await new Promise((resolve) => setTimeout(resolve, 200)); // retryAfter
    pool.provision();
    await (await pool.getRemote()).release();
    assert.deepEqual(calls, ["clean"]);
  },
});

Deno.test({
  name: "a login shell that prints something does not spoil leases",
  ignore,
  fn: async () => {
    await using sshd = await Sshd.start({
      config: [
        'ForceCommand echo Welcome; exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"',
      ],
    });
    await using pool = await new HostsProvisioner({ hosts: [hostOf(sshd)] })
      .start();
    pool.provision();
    await pool.getRemote();
    assert.equal(parseHolder(await holderOf(sshd))?.pid, Deno.pid);
  },
});

Deno.test({
  name: "a host on which leases do not work is refused, with what to do",
  ignore,
  fn: async (t) => {
    await using sshd = await Sshd.start();
    const host = hostOf(sshd);
    const refused = async (given: object, message: RegExp) => {
      await using pool = await new HostsProvisioner({
        hosts: [{ ...host, ...given }],
      }).start();
      pool.provision();
      await assert.rejects(pool.getRemote(), {
        name: "ProvisionError",
        fatal: true,
        message,
      });
    };
    await t.step("a file that cannot be made", () =>
      refused(
        { leaseFile: "/no/such/directory/lease" },
        /the lock file "\/no\/such\/directory\/lease" on it cannot be made or read; set the option "leaseFile" to another path/,
      ));
    await t.step("a link", async () => {
      await Deno.symlink("/etc/passwd", `${sshd.directory}/link`);
      await refused(
        { leaseFile: `${sshd.directory}/link` },
        /link" on it is not a file; set the option "leaseFile"/,
      );
    });
    await t.step("no flock", async () => {
      const bin = `${sshd.directory}/bin`;
      await Deno.mkdir(bin);
      for (const name of ["sh", "true", "date"]) {
        const { stdout } = await new Deno.Command("sh", {
          args: ["-c", `command -v /bin/${name} /usr/bin/${name}`],
        }).output();
        const [path] = new TextDecoder().decode(stdout).split("\n");
        await Deno.symlink(path, `${bin}/${name}`);
      }
      await using bare = await Sshd.start({
        config: [`SetEnv PATH=${bin} HOME=${bin}`],
      });
      await refused(
        hostOf(bare),
        /there is no program "flock" on it; install it .*, or set the option "lease" to "local" or "none"/,
      );
    });
  },
});

Deno.test({
  name: "two names of the same host are refused where names count",
  ignore,
  fn: async () => {
    const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
    const sshConfig = `${directory}/config`;
    const host = (name: string) =>
      `Host ${name}\n  HostName 127.0.0.1\n  Port 2222\n  User root\n`;
    await Deno.writeTextFile(sshConfig, host("a") + host("b"));
    await assert.rejects(
      new HostsProvisioner({ hosts: { sshConfig } }).start(),
      {
        name: "TypeError",
        message:
          'Cannot lend the hosts "a" and "b": both are root@127.0.0.1:2222',
      },
    );
    await Deno.remove(directory, { recursive: true });
  },
});

Deno.test({
  name:
    "a script that ends without stop() is not held up by its lease, and frees it",
  ignore,
  fn: async () => {
    await using sshd = await Sshd.start();
    const host = hostOf(sshd);
    const text = `
      import { HostsProvisioner } from "${new URL(
      "../../provisioners/hosts.ts",
      import.meta.url,
    )}";
      const pool = await new HostsProvisioner({ hosts: [${
      JSON.stringify(host)
    }] }).start();
      pool.provision();
      await pool.getRemote();
    `;
    const config = new URL("../../deno.json", import.meta.url).pathname;
    const file = `${sshd.directory}/script.ts`;
    await Deno.writeTextFile(file, text);
    const { code } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-qA", "--no-check", `--config=${config}`, file],
      signal: AbortSignal.timeout(30_000),
    }).output();
    assert.equal(code, 0);
    await until(async () => await holderOf(sshd) === "");
  },
});

Deno.test({
  name: "a host whose disk is full is leased to one, who cannot be named",
  ignore: ignore || cannotRun(
    "integration/provisioner_leases containers",
    podmanMissing(["tiny-ssh"]),
  ),
  fn: async () => {
    await using host = await Container.start({
      image: "tiny-ssh",
      args: ["--tmpfs=/lease:size=4k"],
    });
    await host.exec("sh", "-c", "head -c 4096 /dev/zero >/lease/other");
    const options = { hosts: [host.ssh()], leaseFile: "/lease/lock" };
    await using first = await new HostsProvisioner(options).start();
    first.provision();
    const remote = await first.getRemote();
    assert.equal(await run(remote, ["cat", "/lease/lock"]), "");
    const { pool: second, reasons } = watched(options);
    await using _ = await second.start();
    second.provision();
    const waiting = second.getRemote();
    await until(() => reasons().length > 0);
    assert.deepEqual(reasons(), [`others have ${host.ssh().host}`]);
    await remote.release();
    assert.equal((await waiting).id, remote.id);
  },
});

for (const [name, days] of [["ahead", 3], ["behind", -3]] as const) {
  Deno.test({
    name:
      `a clock on a host that is days ${name}, and then set right, lets in no second script`,
    ignore,
    fn: async () => {
      const bin = await Deno.makeTempDir({ prefix: "atex-test-" });
      const skew = `${bin}/skew`;
      await Deno.writeTextFile(skew, `${days * 86_400}`);
      await Deno.writeTextFile(
        `${bin}/date`,
        `#!/bin/sh\necho $(($(/bin/date +%s) + $(cat ${skew})))\n`,
      );
      await Deno.chmod(`${bin}/date`, 0o755);
      {
        await using sshd = await Sshd.start({
          config: [`SetEnv PATH=${bin}:/usr/bin:/bin HOME=${bin}`],
        });
        const hosts = [hostOf(sshd)];
        await using first = await new HostsProvisioner({ hosts }).start();
        first.provision();
        const remote = await first.getRemote();
        const { keepUntil } = JSON.parse(await holderOf(sshd));
        const there = Date.now() / 1000 + days * 86_400;
        assert.ok(Math.abs(keepUntil - there - 600) < 300);
        const { pool: second, reasons } = watched({ hosts });
        await using _ = await second.start();
        second.provision();
        let got = false;
        const waiting = second.getRemote().then((remote) => {
          got = true;
          return remote;
        });
        await until(() => reasons().length > 0);
        await Deno.writeTextFile(skew, "0");
        // Many looks later nothing has changed.
        await new Promise((resolve) => setTimeout(resolve, 500));
        assert.ok(!got);
        await remote.release();
        assert.equal((await waiting).id, remote.id);
      }
      await Deno.remove(bin, { recursive: true });
    },
  });
}
