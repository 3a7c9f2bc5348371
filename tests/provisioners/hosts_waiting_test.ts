/** What a pool of hosts tells while others have them. */
import assert from "node:assert/strict";
import { HostList } from "../../provisioners/_host_list.ts";
import { HostsBackend } from "../../provisioners/_hosts_backend.ts";
import { type Lease, NO_LEASE } from "../../provisioners/_lease.ts";
import { Pool } from "../../provisioners/_pool.ts";
import type { ProvisionerEvent } from "../../provisioners/events.ts";
import { until } from "../_wait.ts";

/** A lease that somebody else has. */
class HeldLease implements Lease {
  user = "alice";
  asked = 0;
  /** Answers come when this is so. */
  ready = Promise.resolve();

  async take(): Promise<string> {
    this.asked++;
    await this.ready;
    return JSON.stringify({ user: this.user, host: "m", pid: 1, since: "x" });
  }
  look = () => this.take();
  held = () => Promise.resolve();
  keepRunning = NO_LEASE.keepRunning;
  [Symbol.asyncDispose] = () => Promise.resolve();
}

/** A pool on hosts that are all held, and what it tells about that. */
async function heldPool(hosts: string[]) {
  const leases = new Map(hosts.map((host) => [host, new HeldLease()]));
  const events: ProvisionerEvent[] = [];
  const onEvent = (event: ProvisionerEvent) => void events.push(event);
  const times = {
    ...{ probeTimeout: 1000, hookTimeout: 1000, retryAfter: 1000 },
    ...{ quarantine: 0, connectTimeout: 1000, rebootTimeout: 0 },
    ...{ reserveTimeout: 1000, pollInterval: 10 },
  };
  const backend = new HostsBackend({
    ...times,
    list: new HostList({ hosts, resolve: false }),
    makeLease: ({ options: { host } }) => leases.get(host)!,
    shuffle: false,
    maxFailures: 3,
  }, onEvent);
  const pool = new Pool({ name: "hosts", maxRemotes: 9, backend, onEvent });
  await pool.start();
  const waiting = () =>
    events.flatMap((event) => event.type === "waiting" ? [event] : []);
  return {
    pool,
    leases: [...leases.values()],
    waiting,
    reasons: () => waiting().map(({ reason }) => reason),
    [Symbol.asyncDispose]: () => pool.stop(),
  };
}

const had = (user: string, ...hosts: string[]) =>
  hosts.map((host) => `${host}: ${user}@m, process 1, since x`).join("; ");

/** Until each lease was asked for some times more. */
async function polled(leases: HeldLease[]): Promise<void> {
  const goals = leases.map(({ asked }) => asked + 3);
  await until(() => leases.every(({ asked }, i) => asked >= goals[i]!));
}

Deno.test("that others have all hosts is told once for all who wait, and when it changes", async () => {
  const hosts = ["a", "b", "c", "d", "e", "f"];
  await using it = await heldPool(hosts);
  it.pool.provision(6);
  await polled(it.leases);
  assert.deepEqual(it.reasons(), [`others have ${had("alice", ...hosts)}`]);

  it.leases.at(-1)!.user = "bob";
  await polled(it.leases);
  assert.deepEqual(it.reasons(), [
    `others have ${had("alice", ...hosts)}`,
    `others have ${had("alice", ...hosts.slice(0, -1))}; ${had("bob", "f")}`,
  ]);
});

Deno.test("who has hosts is told by a reservation, not by the host that was asked first, when all have answered", async () => {
  await using it = await heldPool(["a", "b"]);
  const { promise, resolve } = Promise.withResolvers<void>();
  const [a, b] = it.leases;
  b!.ready = promise;
  it.pool.provision(2);
  await polled([a!]);
  assert.deepEqual(it.waiting(), []);
  resolve();
  await until(() => it.waiting().length > 0);
  const { id, reason } = it.waiting()[0]!;
  assert.match(id, /^hosts:#[12]$/);
  assert.equal(reason, `others have ${had("alice", "a", "b")}`);
});
