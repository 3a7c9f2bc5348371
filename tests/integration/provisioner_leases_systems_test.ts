/** Leases of whole systems: among their users, and while they reboot. */
import assert from "node:assert/strict";
import { output, run } from "../../connections/process.ts";
import { cannotRun } from "../_parts.ts";
import { Container, podman, podmanMissing } from "../_podman.ts";
import { sshdMissing } from "../_sshd.ts";
import { until } from "../_wait.ts";
import { INIT } from "./_init.ts";
import { watched } from "./_watched_hosts.ts";

const ignore = cannotRun(
  "integration/provisioner_leases_systems",
  sshdMissing(),
  podmanMissing(["debian"]),
);

Deno.test({
  name: "a host is lent to one of its users at a time, whoever came first",
  ignore,
  fn: async () => {
    await using system = await Container.start({ image: "debian", ssh: true });
    const poolOf = (user: string, leaseFile: string) =>
      watched({ hosts: [system.ssh(user)], leaseFile, purpose: user });
    const passAround = async (first: string, other: string) => {
      const leaseFile = `/var/tmp/${first}.lock`;
      const one = poolOf(first, leaseFile);
      const two = poolOf(other, leaseFile);
      await using _one = await one.pool.start();
      await using _two = await two.pool.start();
      one.pool.provision();
      let remote = await one.pool.getRemote();
      const made = await system.exec("stat", "-c", "%U %a", leaseFile);
      assert.equal(made, `${first} 666`);
      // It comes back, too: the other one writes into the file of the first.
      for (
        const [next, user, holder] of [
          [two, other, first],
          [one, first, other],
        ] as const
      ) {
        next.pool.provision();
        const waiting = next.pool.getRemote();
        await until(() => next.reasons().length > 0);
        assert.match(next.reasons()[0], new RegExp(`, for ${holder}$`));
        await remote.release();
        remote = await waiting;
        assert.equal(await run(remote, ["id", "-un"]), `${user}\n`);
      }
      await remote.release();
      assert.equal(await system.exec("cat", leaseFile), "");
    };
    await Promise.all([
      passAround("root", "tester"),
      passAround("tester", "root"),
    ]);
  },
});

Deno.test({
  name: "a host that its holder reboots stays with it, and others wait",
  ignore,
  fn: async () => {
    await using stack = new AsyncDisposableStack();
    const system = stack.use(
      await Container.start({
        image: "debian",
        command: INIT,
        args: ["--systemd=always"],
        ssh: true,
      }),
    );
    const poolOf = async (user: string, purpose: string) => {
      const made = watched({
        hosts: [{ ...system.ssh(user), options: { ConnectTimeout: 2 } }],
        leaseFile: `/var/tmp/${user}.lock`,
        purpose,
        pollInterval: 300, // looks more often than the holder after the reboot
      });
      stack.use(await made.pool.start()).provision();
      return made;
    };
    // One reboot for two leases: systemd tells other users less about it.
    const lend = async (user: string) => {
      const holder = await poolOf(user, "reboots");
      const remote = await holder.pool.getRemote();
      const waiter = await poolOf(user, "waits");
      const waiting = waiter.pool.getRemote();
      const state = { got: false };
      waiting.then(() => state.got = true, () => {});
      await until(() => waiter.reasons().length > 0);
      return { user, holder, remote, waiter, waiting, state };
    };
    const leases = await Promise.all(["root", "tester"].map(lend));
    const [{ remote }] = leases;
    const bootOf = () => run(remote, ["cut", "-d ", "-f22", "/proc/1/stat"]);
    const before = await bootOf();
    await output(remote, ["systemctl", "reboot"]);
    await podman("wait", system.name);
    for (const { user } of leases) {
      const file = `${system.name}:/var/tmp/${user}.lock`;
      assert.match(await podman("cp", file, "-"), /"purpose":"reboots"/);
    }
    await podman("start", system.name);
    const check = async (lease: Awaited<ReturnType<typeof lend>>) => {
      const { user, holder, remote, waiter, waiting, state } = lease;
      // It connects when the lease is back.
      await remote.disconnect();
      await remote.connect();
      assert.equal(await run(remote, ["id", "-un"]), `${user}\n`);
      const newcomer = await poolOf(user, "is late");
      await until(() => newcomer.reasons().length > 0);
      assert.match(newcomer.reasons()[0], /, for reboots$/);
      assert.equal(state.got, false);
      await newcomer.pool.stop();
      for (const { type } of [...holder.events, ...waiter.events]) {
        assert.ok(type !== "lost" && type !== "reserve-failed", type);
      }
      if (user === "root") assert.notEqual(await bootOf(), before);
      await remote.release();
      await waiting;
    };
    await Promise.all(leases.map(check));
  },
});
