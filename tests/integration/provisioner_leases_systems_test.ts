/** Leases of whole systems: among their users. */
import assert from "node:assert/strict";
import { run } from "../../connections/process.ts";
import { cannotRun } from "../_parts.ts";
import { Container, podmanMissing } from "../_podman.ts";
import { sshdMissing } from "../_sshd.ts";
import { until } from "../_wait.ts";
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
        await until(() => next.taken().length > 0);
        assert.match(next.taken()[0], new RegExp(`, for ${holder}$`));
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
