import assert from "node:assert/strict";
import type { ProvisionerEvent } from "../../provisioners/events.ts";
import { LocalProvisioner } from "../../provisioners/local.ts";
import {
  type SharedLimit,
  sharedLimit,
} from "../../provisioners/shared_limit.ts";

Deno.test("sharedLimit() bounds provisioners together, and who waits says so once", async () => {
  const limit = sharedLimit(2);
  const events: ProvisionerEvent[] = [];
  const onEvent = (event: ProvisionerEvent) => void events.push(event);
  await using one = await new LocalProvisioner({ maxRemotes: 2, limit })
    .start();
  await using other = await new LocalProvisioner({
    maxRemotes: 2,
    limit,
    onEvent,
  }).start();
  one.provision(2);
  const remotes = [await one.getRemote(), await one.getRemote()];
  other.provision(2);
  const [number] = events.map((event) =>
    event.type === "waiting" ? event.id : undefined
  );
  assert.deepEqual(events, [{
    type: "waiting",
    id: number,
    reason: "the limit that is shared with other provisioners leaves no place",
  }]);
  for (const remote of remotes) await remote.release();
  await other.getRemote();
  await other.getRemote();
  assert.deepEqual(events.map(({ type }) => type).sort(), [
    ...["lent", "lent", "ready", "ready", "reserving", "reserving"],
    "waiting",
  ]);
});

Deno.test("a provisioner that waits anew says so anew", async () => {
  const limit = sharedLimit(1);
  let waits = 0;
  await using pool = await new LocalProvisioner({
    maxRemotes: 2,
    limit,
    onEvent: ({ type }) => {
      if (type === "waiting") waits++;
    },
  }).start();
  pool.provision(1);
  const remote = await pool.getRemote();
  assert.equal(waits, 0);
  pool.provision(1);
  pool.provision(1);
  assert.equal(waits, 1);
  pool.clear();
  pool.provision(1);
  assert.equal(waits, 2);
  await remote.release();
  await using _next = await pool.getRemote();
});

Deno.test("a limit of one's own is as good", async () => {
  const given: string[] = [];
  const limit: SharedLimit = {
    acquire: () => Promise.reject(new Error("there was a place")),
    tryAcquire: () => {
      given.push("taken");
      return { [Symbol.dispose]: () => given.push("left") };
    },
  };
  await using pool = await new LocalProvisioner({ limit }).start();
  pool.provision(1);
  await (await pool.getRemote()).release();
  assert.deepEqual(given, ["taken", "left"]);
});

Deno.test("sharedLimit() and the option refuse what is no limit", () => {
  for (const max of [0, -1, 1.5, NaN, Infinity, "2" as unknown as number]) {
    assert.throws(() => sharedLimit(max), {
      name: "RangeError",
      message: `Cannot limit provisioners to ${
        Deno.inspect(max)
      } systems together: a positive whole number would be right`,
    });
  }
  const limit = 2 as unknown as SharedLimit;
  assert.throws(() => new LocalProvisioner({ limit }), {
    name: "TypeError",
    message:
      'Cannot use 2 as "limit" of LocalProvisioner: what sharedLimit() gives would be right',
  });
});
