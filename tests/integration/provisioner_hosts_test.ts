/** HostsProvisioner with real servers. */
import assert from "node:assert/strict";
import { run } from "../../connections/process.ts";
import type { ProvisionerEvent } from "../../provisioners/events.ts";
import { HostsProvisioner } from "../../provisioners/hosts.ts";
import { provisionerFromString } from "../../provisioners/from_string.ts";
import { cannotRun, Container, podmanMissing } from "../_podman.ts";
import { until } from "../_wait.ts";
import { freePort, Sshd, sshdMissing } from "../_sshd.ts";

const ignore = cannotRun("integration/provisioner_hosts", sshdMissing());
const ignoreContainers = ignore || cannotRun(
  "integration/provisioner_hosts containers",
  podmanMissing(["tiny-ssh"]),
);

Deno.test({
  name: "HostsProvisioner lends hosts that are there, and reports the others",
  ignore,
  fn: async () => {
    await using good = await Sshd.start();
    await using other = await Sshd.start();
    const { identityFile, options } = good.options;
    const missing = `root@127.0.0.1:${freePort()}`;
    const events: ProvisionerEvent[] = [];
    await using pool = await new HostsProvisioner({
      // the second server does not know the key of the first
      hosts: [missing, other.options.host, good.options.host],
      ssh: { identityFile, options: { ...options, IdentityAgent: "none" } },
      leaseFile: `${good.directory}/lease`,
      onEvent: (event) => events.push(event),
    }).start();
    pool.provision(3);
    const remote = await pool.getRemote();
    assert.equal(remote.id, `ssh:${good.options.host}`);
    assert.equal(await run(remote, ["echo", "hi"]), "hi\n");
    const waiting = pool.getRemote();
    await remote.release();
    assert.equal((await waiting).id, remote.id);
    await assert.rejects(run(remote, ["true"]), { name: "NotConnectedError" });
    const failures = () =>
      events.flatMap((event) =>
        event.type === "reserve-failed" ? [[event.id, event.error.message]] : []
      );
    while (failures().length < 2) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const said = Object.fromEntries(failures());
    assert.match(said[`ssh:${missing}`], /Connection refused/);
    assert.match(said[`ssh:${other.options.host}`], /Permission denied/);
  },
});

Deno.test({
  name:
    "that a machine is listed twice, or taken by another pool of the script, is told",
  ignore,
  fn: async () => {
    await using sshd = await Sshd.start();
    const { host, ...ssh } = sshd.options;
    const leaseFile = `${sshd.directory}/lease`;
    const again = host.replace("127.0.0.1", "localhost");
    const reasons: string[] = [];
    const start = (hosts: string[]) =>
      new HostsProvisioner({
        hosts,
        ssh,
        leaseFile,
        onEvent: (event) => {
          if (event.type === "waiting") reasons.push(event.reason);
        },
      }).start();
    await using pool = await start([host, again]);
    pool.provision(2);
    const remote = await pool.getRemote();
    await until(() => reasons.length > 0);
    await using other = await start([host]);
    other.provision(1);
    await until(() => reasons.length > 1);
    const [names] = [[host, again], [again, host]].filter(([first]) =>
      remote.id === `ssh:${first}`
    );
    assert.deepEqual(reasons, [
      `this script has ${names![1]} already, it is the same machine as ${
        names![0]
      }`,
      `this script has ${host} already, from another provisioner`,
    ]);
  },
});

Deno.test({
  name: "a host whose connection is cut is lent again after its release",
  ignore,
  fn: async () => {
    await using sshd = await Sshd.start();
    const { host, ...ssh } = sshd.options;
    const leaseFile = `${sshd.directory}/lease`;
    await using pool = await new HostsProvisioner({
      hosts: [host],
      ssh,
      leaseFile,
    })
      .start();
    pool.provision(2);
    const first = await pool.getRemote();
    await sshd.cutSessions();
    assert.equal((await first.closed)?.name, "ConnectionLostError");
    await first.release({ reason: "destroyed" });
    const second = await pool.getRemote();
    assert.equal(await run(second, ["echo", "again"]), "again\n");
  },
});

Deno.test({
  name: "a server that is away for a moment after a release is waited for",
  ignore,
  fn: async () => {
    const sshd = await Sshd.start();
    const { host, identityFile, options } = sshd.options;
    const key = await Deno.makeTempFile({ prefix: "atex-test-" });
    await Deno.copyFile(identityFile, key);
    const authorized = await Deno.readTextFile(`${identityFile}.pub`);
    await using pool = await new HostsProvisioner({
      hosts: [host],
      ssh: { identityFile: key, options },
      lease: "none",
    }).start();
    pool.provision(2);
    const first = await pool.getRemote();
    await sshd[Symbol.asyncDispose]();
    await first.release({ reason: "destroyed" });
    const again = pool.getRemote();
    await new Promise((resolve) => setTimeout(resolve, 300));
    const keys = await Deno.makeTempFile({ prefix: "atex-test-" });
    await Deno.writeTextFile(keys, authorized);
    await using _sshd = await Sshd.start({
      port: sshd.port,
      config: [`AuthorizedKeysFile ${keys}`],
    });
    assert.equal(await run(await again, ["echo", "back"]), "back\n");
    await pool.stop();
    await Deno.remove(key);
    await Deno.remove(keys);
  },
});

Deno.test({
  name: "containers with sshd are hosts like others",
  ignore: ignoreContainers,
  fn: async () => {
    await using one = await Container.start({ image: "tiny-ssh" });
    await using two = await Container.start({ image: "tiny-ssh" });
    const hosts = [one, two].map((container) => container.ssh().host);
    const { identityFile } = one.ssh();
    await using pool = await provisionerFromString(`ssh:${hosts.join(",")}`, {
      hosts: { ssh: { identityFile }, lease: "local" }, // no flock in them
    });
    await pool.start();
    pool.provision(2);
    const remotes = [await pool.getRemote(), await pool.getRemote()];
    const names = await Promise.all(
      remotes.map((remote) => run(remote, ["hostname"])),
    );
    const expected = await Promise.all(
      [one, two].map((container) => container.exec("hostname")),
    );
    assert.deepEqual(names.map((name) => name.trim()).sort(), expected.sort());
  },
});
