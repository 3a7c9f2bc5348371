/** TestingFarmProvisioner with a service of ours and real systems behind it. */
import assert from "node:assert/strict";
import { run } from "../../connections/process.ts";
import { CLEANING_SCRIPT } from "../../provisioners/_testing_farm_clean.ts";
import type { ProvisionerEvent } from "../../provisioners/events.ts";
import type { Remote } from "../../provisioners/provisioner.ts";
import {
  TestingFarmProvisioner,
  type TestingFarmProvisionerOptions,
} from "../../provisioners/testing_farm.ts";
import {
  drop,
  dropAfter,
  FarmServer,
  guestLog,
  html,
  slow,
  status,
  TOKEN,
} from "../provisioners/_testing_farm_server.ts";
import { Container, podmanMissing } from "../_podman.ts";
import { cannotRun, freePort, Sshd, sshdMissing } from "../_sshd.ts";
import { rejected } from "../_thrown.ts";
import { until } from "../_wait.ts";
import { runHello } from "./_hello.ts";

const ignore = cannotRun("integration/provisioner_testing_farm", sshdMissing());

const times = {
  retryDelays: [0, 1, 2],
  retryFor: 20_000,
  releaseTimeout: 5000,
  callTimeout: 500,
  pollInterval: 10,
  lostInterval: 10,
  sshInterval: 20,
  spread: 10,
};

function optionsFor(
  server: FarmServer,
  sshd: Sshd,
): TestingFarmProvisionerOptions {
  server.log = guestLog(sshd.user, `127.0.0.1:${sshd.port}`);
  return {
    compose: "Fedora-42",
    url: server.url,
    token: TOKEN,
    sshKey: `${sshd.directory}/key`,
    times,
  };
}

/** Command lines and environments of all processes that we may look into. */
async function* processes(): AsyncGenerator<string> {
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    yield await Deno.readTextFile(`/proc/${name}/cmdline`).catch(() => "");
  }
}

Deno.test({
  name:
    "why ssh does not let us in is told once, and with what became of the request",
  ignore,
  fn: async () => {
    await using server = new FarmServer();
    await using sshd = await Sshd.start();
    await using other = await Sshd.start();
    server.states = ["running"];
    const events: ProvisionerEvent[] = [];
    await using pool = await new TestingFarmProvisioner({
      ...optionsFor(server, sshd),
      sshKey: `${other.directory}/key`,
      retries: 0,
      onEvent: (event) => events.push(event),
    }).start();
    pool.provision(1);
    const failing = rejected(pool.getRemote(), Error);
    const tries = () => sshd.log.split("Connection closed by").length - 1;
    await until(() => tries() > 2);
    server.alive[0].upcoming = ["complete"];
    const { message } = await failing;
    const reason =
      `Cannot connect to ${sshd.options.host}: ${sshd.user}@127.0.0.1: Permission denied (publickey)`;
    assert.ok(
      message.includes(
        `: it is in state "complete"; it let nobody in: ${reason}\nthe last of`,
      ),
      message,
    );
    assert.deepEqual(
      events.flatMap((event) => event.type === "waiting" ? event.reason : []),
      [reason],
    );
  },
});

Deno.test({
  name: "a system of Testing Farm runs fmf tests, whatever goes wrong before",
  ignore,
  fn: async () => {
    await using server = new FarmServer();
    await using sshd = await Sshd.start();
    const said: string[] = [];
    const options = optionsFor(server, sshd);
    server.fail("GET /v0.1/whoami", status(503));
    server.fail("POST /v0.1/requests", html, drop, dropAfter);
    server.fail(
      "GET /v0.1/requests/ID",
      slow(1000),
      status(429, { "retry-after": "0" }),
    );
    server.fail("HEAD /artifacts/ID/pipeline.log", status(404), status(403));
    server.fail("GET /artifacts/ID/pipeline.log", drop, status(500));
    server.fail("DELETE /v0.1/requests/ID", status(502), drop);
    await using pool = await new TestingFarmProvisioner({
      ...options,
      secrets: { PASSWORD: "hush-hush-hush" },
      onEvent: (event) => said.push(Deno.inspect(event, { depth: 20 })),
      onLog: (line, id) => said.push(`${id}: ${line}`),
    }).start();
    pool.provision(1);
    const remote = await pool.getRemote();
    assert.equal(server.alive.length, 1);
    assert.deepEqual(remote.attributes, {
      compose: "Fedora-42",
      arch: "x86_64",
      request: server.alive[0].id,
      host: `127.0.0.1:${sshd.port}`,
    });
    assert.equal(remote.reusable, false);
    for await (const argv of processes()) {
      assert.ok(!argv.includes(TOKEN) && !argv.includes("hush-hush"), argv);
    }

    await runHello(remote);

    await remote.release();
    assert.deepEqual(server.alive, []);
    await pool.stop();
    said.push(Deno.inspect(pool, { depth: 20, showHidden: true }));
    assert.ok(said.length > 5);
    for (const text of said) {
      assert.ok(!text.includes(TOKEN) && !text.includes("hush-hush"), text);
    }
    for (const { what, authorization } of server.calls) {
      const expected = what.includes("/artifacts/") ? null : `Bearer ${TOKEN}`;
      assert.equal(authorization, expected, what);
    }
  },
});

Deno.test({
  name: "a request that ends while its system is lent resolves lost",
  ignore,
  fn: async () => {
    await using server = new FarmServer();
    await using sshd = await Sshd.start();
    await using pool = await new TestingFarmProvisioner(
      optionsFor(server, sshd),
    ).start();
    pool.provision(1);
    const remote = await pool.getRemote();
    // A service in trouble has not lost the system.
    server.fail("GET /v0.1/requests/ID", status(401), status(400));
    await until(() => server.faults.get("GET /v0.1/requests/ID")!.length === 0);
    const [{ id }] = server.alive;
    server.alive[0].upcoming = ["complete"];
    const { message } = await remote.lost;
    assert.equal(
      message,
      `The request ${id} ended by itself: it is in state "complete"`,
    );
    await remote.release({ reason: "destroyed" });
  },
});

Deno.test({
  name:
    "a system that lets nobody in yet is waited for, until its request is gone",
  ignore,
  fn: async () => {
    await using server = new FarmServer();
    const port = freePort();
    await using first = await Sshd.start();
    const options = optionsFor(server, first);
    server.log = guestLog(first.user, `127.0.0.1:${port}`);
    await using pool = await new TestingFarmProvisioner({
      ...options,
      retries: 0,
    }).start();
    pool.provision(1);
    await until(() => server.count("GET /artifacts/ID/pipeline.log") > 0);
    await new Promise((resolve) => setTimeout(resolve, 100));
    const ready = pool.getRemote();
    await using _second = await Sshd.start({
      port,
      config: [`AuthorizedKeysFile ${first.directory}/key.pub`],
    });
    assert.equal(await run(await ready, ["echo", "in"]), "in\n");
    pool.provision(1);
    server.log = guestLog("nobody", `127.0.0.1:${port}`);
    const never = rejected(pool.getRemote(), Error, 'in state "error"');
    await until(() => server.alive.length === 2);
    server.alive[1].upcoming.push("running", "error");
    assert.match((await never).message, /starting tests execution$/);
  },
});

Deno.test({
  name:
    "the cleaning script runs before a system is lent; if it fails, there is none",
  ignore,
  fn: async () => {
    await using server = new FarmServer();
    await using sshd = await Sshd.start();
    const lines: string[] = [];
    const options = {
      ...optionsFor(server, sshd),
      retries: 0,
      onLog: (line: string) => lines.push(line),
    };
    await using pool = await new TestingFarmProvisioner({
      ...options,
      clean: { script: 'echo "clean: $BASH_VERSION"; touch "$HOME/cleaned"' },
    }).start();
    pool.provision(1);
    const remote = await pool.getRemote();
    await run(remote, ["sh", "-c", 'test -e "$HOME/cleaned"']);
    assert.match(lines.at(-1)!, /^clean: \d/);
    await using failing = await new TestingFarmProvisioner({
      ...options,
      clean: { script: "echo broken >&2; exit 3" },
    }).start();
    failing.provision(1);
    const { message } = await rejected(failing.getRemote(), Error);
    assert.match(
      message,
      /^Cannot reserve .*: the cleaning script ended with exit code 3\n[^]*\nbroken$/,
    );
    await failing.stop();
    assert.equal(server.alive.length, 1);
  },
});

Deno.test({
  name: "the usual cleaning script removes what the service put there, only",
  ignore: cannotRun(
    "integration/provisioner_testing_farm containers",
    podmanMissing(),
  ),
  fn: async () => {
    await using container = await Container.start();
    const sh = (script: string) => container.exec("bash", "-c", script);
    await sh(`
      mkdir -p /usr/local/bin
      cd /usr/local/bin
      touch tmt-reboot rstrnt-report-result rhts-abort mine
      echo welcome >/etc/motd
    `);
    await sh(CLEANING_SCRIPT);
    await sh(CLEANING_SCRIPT); // nothing is left to be removed
    assert.equal(
      await sh("ls /usr/local/bin; cat /etc/motd; ls -A /var/tmp"),
      "mine\n.testing-farm-keep",
    );
  },
});

Deno.test({
  name: "many systems at once, and stop() at any moment leaves none",
  ignore,
  fn: async () => {
    await using sshd = await Sshd.start({ config: ["MaxStartups 200"] });
    for (let round = 0; round < 5; round++) {
      await using server = new FarmServer();
      const options = optionsFor(server, sshd);
      const events: ProvisionerEvent[] = [];
      const pool = await new TestingFarmProvisioner({
        ...options,
        maxRemotes: 4,
        onEvent: (event) => events.push(event),
      }).start();
      pool.provision(Infinity);
      const remotes: Remote[] = [];
      const taking = (async () => {
        for (;;) {
          const remote = await pool.getRemote();
          remotes.push(remote);
          if (remotes.length % 2) await remote.release();
        }
      })().catch(({ name }) => name);
      await until(() => remotes.length > round);
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 200));
      await pool.stop();
      assert.equal(await taking, "ProvisionerStoppedError");
      assert.deepEqual(server.alive, []);
      assert.ok(server.most <= 4);
      assert.deepEqual(events.filter(({ type }) => type === "warning"), []);
    }
  },
});
