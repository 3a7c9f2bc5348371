import assert from "node:assert/strict";
import { Semaphore } from "@std/async/unstable-semaphore";
import { NotConnectedError } from "../../connections/connection.ts";
import { StillAliveError } from "../../provisioners/_backend.ts";
import { Pool, type PoolOptions } from "../../provisioners/_pool.ts";
import type { ProvisionerEvent } from "../../provisioners/events.ts";
import {
  ProvisionError,
  ProvisionerStoppedError,
} from "../../provisioners/provisioner.ts";
import {
  FakeBackend,
  FakeClock,
  type FakeSystem,
  settle,
  watch,
} from "./_fake.ts";

async function startedPool(
  options: Partial<PoolOptions> & { backend?: FakeBackend } = {},
) {
  const backend = options.backend ?? new FakeBackend();
  const clock = new FakeClock();
  const events: ProvisionerEvent[] = [];
  const pool = new Pool({
    name: "fake",
    maxRemotes: 2,
    onEvent: (event) => events.push(event),
    ...options,
    backend,
  }, clock);
  await pool.start();
  return { pool, backend, clock, events, systems: backend.systems };
}

Deno.test("Pool refuses a number of places that is none", () => {
  for (const maxRemotes of [-1, 1.5, NaN, -Infinity]) {
    assert.throws(
      () => new Pool({ name: "fake", maxRemotes, backend: new FakeBackend() }),
      RangeError,
    );
  }
  const maxRemotes = "3" as unknown as number; // of a variable of the environment
  assert.throws(
    () => new Pool({ name: "fake", maxRemotes, backend: new FakeBackend() }),
    new RangeError(
      'Cannot lend at most "3" systems: "maxRemotes" must be a whole number or Infinity',
    ),
  );
});

Deno.test("provision() refuses a count that is none, and to go on without any end", async () => {
  const { pool } = await startedPool({ maxRemotes: Infinity });
  for (const count of [0, -1, 1.5, NaN, Infinity]) {
    assert.throws(() => pool.provision(count), RangeError);
  }
  await pool.stop();
});

Deno.test("provision() and getRemote() need a started pool", async () => {
  const backend = new FakeBackend();
  const pool = new Pool({ name: "fake", maxRemotes: 1, backend });
  assert.throws(() => pool.provision(), {
    name: "ProvisionerStoppedError",
    message:
      'Cannot provision: provisioner "fake" is not started: await its start() first',
  });
  await assert.rejects(pool.getRemote(), ProvisionerStoppedError);
  await pool.start();
  pool.provision();
  backend.obedient = true;
  await pool.stop();
  assert.throws(() => pool.provision(), {
    message: 'Cannot provision: provisioner "fake" was stopped',
  });
  await assert.rejects(pool.getRemote(), ProvisionerStoppedError);
});

Deno.test("provision() begins no more reservations than there are places", async () => {
  const { pool, backend, systems } = await startedPool({ maxRemotes: 2 });
  pool.provision(5);
  assert.equal(systems.length, 2);
  systems[0].succeed();
  await settle();
  assert.equal(systems.length, 2); // a ready one takes a place
  const remote = await pool.getRemote();
  assert.equal(systems.length, 2); // a lent one, too
  const released = remote.release();
  await settle();
  assert.equal(systems.length, 2); // and one that is being given back
  systems[0].finishDispose();
  await released;
  assert.equal(systems.length, 3);
  backend.obedient = true;
  await pool.stop();
});

Deno.test("waits() is told when a reason begins or changes", async () => {
  const { pool, backend, events, systems } = await startedPool();
  pool.provision();
  const [{ reserving, id }] = systems;
  for (const reason of ["a", "a", "b", undefined, undefined, "b"]) {
    reserving.waits(reason);
  }
  systems[0].succeed();
  await settle();
  assert.deepEqual(
    events.map((event) => event.type === "waiting" ? event : event.type),
    [
      "reserving",
      ...["a", "b", "b"].map((reason) => ({ type: "waiting", id, reason })),
      "ready",
    ],
  );
  backend.obedient = true;
  await pool.stop();
});

Deno.test("waits() of several reservations for the same is told once, until nobody waits for it", async () => {
  const { pool, backend, events, systems } = await startedPool({
    maxRemotes: 3,
  });
  const told = () =>
    events.splice(0).flatMap((event) =>
      event.type === "waiting" ? [`${event.id}: ${event.reason}`] : []
    );
  pool.provision(3);
  const [one, two, three] = systems.map(({ reserving }) => reserving);
  const all = [one, two, three];
  for (const { waits } of all) waits("a");
  assert.deepEqual(told(), ["fake:1: a"]);
  for (const { waits } of all) waits("b"); // what the reason is made of has changed
  assert.deepEqual(told(), ["fake:1: b"]);
  two.waits("c"); // each has its own
  for (const { waits } of [one, three]) waits("b");
  two.waits("c");
  assert.deepEqual(told(), ["fake:2: c"]);
  systems[1].succeed();
  await settle();
  one.waits("c");
  assert.deepEqual(told(), ["fake:1: c"]); // nobody else waits for it any more
  one.identify("fake:one"); // nor does this one
  three.waits("c");
  assert.deepEqual(told(), ["fake:3: c"]);
  backend.obedient = true;
  await pool.stop();
});

Deno.test("identify() without an id leaves events and the time to the reservation", async () => {
  const { pool, backend, clock, events, systems } = await startedPool({
    reserveTimeout: 10,
  });
  pool.provision();
  const [{ reserving }] = systems;
  reserving.identify();
  reserving.waits("others have it");
  await clock.advance(10);
  assert.ok(!reserving.signal.aborted);
  reserving.identify("fake:other");
  await clock.advance(10);
  assert.ok(reserving.signal.aborted);
  assert.deepEqual(events, [
    { type: "reserving", id: "fake:1" },
    { type: "waiting", id: "fake:#1", reason: "others have it" },
    { type: "reserving", id: "fake:other" },
  ]);
  backend.obedient = true;
  systems[0].fail(new Error("late"));
  await pool.stop();
});

Deno.test("getRemote() serves those who wait in the order of their calls", async () => {
  const { pool, backend, systems } = await startedPool({ maxRemotes: 3 });
  const callers = [1, 2, 3].map(() => watch(pool.getRemote())); // before provision()
  pool.provision(3);
  for (const index of [2, 0, 1]) {
    systems[index].succeed();
    await settle();
  }
  assert.deepEqual(callers.map(({ value }) => value?.id), [
    "fake:3",
    "fake:1",
    "fake:2",
  ]);
  backend.obedient = true;
  await pool.stop();
});

Deno.test("getRemote() that is aborted loses no system", async () => {
  const { pool, backend, systems } = await startedPool();
  const abort = new AbortController();
  const first = watch(pool.getRemote({ signal: abort.signal }));
  pool.provision(1);
  systems[0].succeed();
  abort.abort(new Error("enough")); // before the system arrives
  await settle();
  assert.equal(first.error?.message, "enough");
  assert.equal((await pool.getRemote()).id, "fake:1");
  await assert.rejects(pool.getRemote({ signal: abort.signal }), {
    message: "enough",
  });
  backend.obedient = true;
  await pool.stop();
});

Deno.test("getRemote() tells each failure to one caller, ready systems first", async () => {
  const { pool, backend, systems, events } = await startedPool();
  pool.provision(2);
  systems[0].fail(new Error("no space left"));
  await settle();
  systems[1].succeed();
  await settle();
  assert.equal((await pool.getRemote()).id, "fake:2");
  await assert.rejects(pool.getRemote(), (error: ProvisionError) => {
    assert.equal(
      error.message,
      'Cannot reserve system "fake:1": no space left',
    );
    assert.equal(error.fatal, false);
    assert.equal((error.cause as Error).message, "no space left");
    return error instanceof ProvisionError;
  });
  const third = watch(pool.getRemote());
  await settle();
  assert.equal(third.state, "pending"); // the request is used up
  assert.deepEqual(
    events.filter(({ type }) => type === "reserve-failed").length,
    1,
  );
  backend.obedient = true;
  await pool.stop();
  await settle();
  assert.ok(third.error instanceof ProvisionerStoppedError);
});

Deno.test("a fatal failure drops all requests and rejects every call from then on", async () => {
  const { pool, backend, systems } = await startedPool({ maxRemotes: 2 });
  const callers = [1, 2].map(() => watch(pool.getRemote()));
  pool.provision(10);
  systems[0].fail(new ProvisionError("image unknown", { fatal: true }));
  await settle();
  for (const { error } of callers) {
    assert.equal(error?.message, "image unknown");
  }
  await assert.rejects(pool.getRemote(), { message: "image unknown" });
  systems[1].succeed(); // was under way, and is not wasted
  await settle();
  assert.equal((await pool.getRemote()).id, "fake:2");
  pool.provision(1);
  assert.equal(systems.length, 2);
  backend.obedient = true;
  await pool.stop();
  await pool.start(); // a new life
  pool.provision(1);
  assert.equal(systems.length, 3);
  await pool.stop();
});

Deno.test("with maxRemotes 0 every getRemote() fails for good instead of waiting", async () => {
  const { pool } = await startedPool({ maxRemotes: 0 });
  pool.provision(3);
  await assert.rejects(pool.getRemote(), {
    message: 'Cannot reserve a system of "fake": "maxRemotes" is 0',
    fatal: true,
  });
  await pool.stop();
});

Deno.test("a reservation that the backend retries is not told to anybody", async () => {
  const { pool, backend, systems, events } = await startedPool();
  backend.retriesLeft = 1;
  const caller = watch(pool.getRemote());
  pool.provision(1);
  systems[0].fail(new Error("first"));
  await settle();
  assert.equal(caller.state, "pending");
  assert.equal(systems.length, 2);
  systems[1].fail(new Error("second"));
  await settle();
  assert.equal(caller.error?.message, 'Cannot reserve system "fake:2": second');
  assert.deepEqual(
    events.flatMap((event) =>
      event.type === "reserve-failed" ? [event.willRetry] : []
    ),
    [true, false],
  );
  await pool.stop();
});

Deno.test("clear() drops repeats of what is being made, and its failure is told", async () => {
  const { pool, backend, systems, events } = await startedPool();
  backend.retriesLeft = Infinity;
  pool.provision(1);
  pool.clear();
  const waiting = watch(pool.getRemote());
  systems[0].fail(new Error("no"));
  await settle();
  assert.equal(systems.length, 1);
  assert.match(waiting.error?.message, /^Cannot reserve system "fake:1": no$/);
  assert.partialDeepStrictEqual(events.at(-1), {
    type: "reserve-failed",
    willRetry: false,
  });
  pool.provision(1); // what is asked for afterwards is repeated
  systems[1].fail(new Error("no"));
  await settle();
  assert.equal(systems.length, 3);
  backend.obedient = true;
  await pool.stop();
});

Deno.test("a backend that gives no system, or cannot tell whether to repeat, ends its pool and nothing else", async () => {
  const noSystem = (id: string) =>
    `Cannot reserve system "${id}": the backend gave no system with "id" and "connection"`;
  for (
    const given of [undefined, {}, { id: "x" }, { id: "x", connection: {} }]
  ) {
    const backend = new FakeBackend();
    backend.reserve = () => Promise.resolve(given as unknown as FakeSystem);
    const { pool } = await startedPool({ backend });
    pool.provision(2);
    const error = { name: "ProvisionError", fatal: true };
    await assert.rejects(pool.getRemote(), {
      ...error,
      message: noSystem("fake:#1"),
    });
    await pool.stop();
  }
  const backend = new FakeBackend();
  backend.retries = () => {
    throw new Error("oops");
  };
  const { pool, systems } = await startedPool({ backend });
  pool.provision();
  systems[0].fail(new Error("no"));
  await assert.rejects(pool.getRemote(), {
    name: "ProvisionError",
    fatal: true,
    message:
      'Cannot reserve system "fake:1": no, and the backend cannot tell whether to repeat it: oops',
  });
  await pool.stop();
});

Deno.test("a system whose loss is told by a rejection is lost all the same", async () => {
  const { pool, systems, events, backend } = await startedPool();
  pool.provision();
  const lost = Promise.reject(new Error("gone"));
  Object.assign(systems[0], { lost });
  systems[0].succeed();
  await pool.getRemote();
  await settle();
  assert.deepEqual(events.at(-1), {
    type: "lost",
    id: "fake:1",
    error: new Error("gone"),
  });
  backend.obedient = true;
  await pool.stop();
});

Deno.test("clear() drops what has not begun, and ends provision(Infinity)", async () => {
  const { pool, backend, systems } = await startedPool({ maxRemotes: 2 });
  pool.provision(Infinity);
  assert.equal(systems.length, 2);
  systems[0].succeed();
  await settle();
  backend.obedient = true;
  await (await pool.getRemote()).release();
  assert.equal(systems.length, 3); // again and again
  pool.clear();
  systems[1].succeed();
  await settle();
  const remote = await pool.getRemote(); // was under way
  assert.equal(remote.id, "fake:2");
  await remote.release();
  assert.equal(systems.length, 3);
  await pool.stop();
});

Deno.test("provision(Infinity) of what always fails waits until somebody hears of it", async () => {
  const { pool, backend, systems } = await startedPool({ maxRemotes: 2 });
  pool.provision(Infinity);
  for (let i = 0; i < systems.length && i < 10; i++) {
    systems[i].fail(new Error("broken"));
    await settle();
  }
  assert.equal(systems.length, 2);
  await assert.rejects(pool.getRemote(), { message: /broken/ });
  assert.equal(systems.length, 3);
  backend.obedient = true;
  await pool.stop();
});

Deno.test("release() disconnects, gives back once, and leaves a dead connection", async () => {
  const { pool, backend, systems, events } = await startedPool();
  backend.obedient = true;
  pool.provision(1);
  systems[0].succeed();
  const remote = await pool.getRemote();
  assert.deepEqual(remote.local(["true"]).argv, ["true"]);
  const first = remote.release({ reason: "destroyed" });
  assert.equal(remote.release({ reason: "done" }), first);
  for (
    const use of [
      () => remote.local(["true"]),
      () => remote.command("true"),
      () => remote.rsync([]),
    ]
  ) {
    assert.throws(use, {
      name: "NotConnectedError",
      message: 'Cannot use system "fake:1": it was released',
    });
  }
  await assert.rejects(remote.connect(), NotConnectedError);
  await remote.disconnect();
  await first;
  await remote[Symbol.asyncDispose]();
  assert.equal(systems[0].connection.disconnected, 1);
  assert.deepEqual(systems[0].disposals, ["destroyed"]);
  assert.deepEqual(events.at(-1), {
    type: "released",
    id: "fake:1",
    reason: "destroyed",
    ms: 0,
  });
  await pool.stop();
  assert.deepEqual(systems[0].disposals, ["destroyed"]);
});

Deno.test("release() goes on when disconnecting fails", async () => {
  const { pool, backend, systems, events } = await startedPool();
  backend.obedient = true;
  pool.provision(1);
  systems[0].connection.disconnectError = new Error("stuck");
  systems[0].succeed();
  await (await pool.getRemote()).release();
  assert.deepEqual(systems[0].disposals, ["done"]);
  assert.deepEqual(events.slice(-2).map(({ type }) => type), [
    "warning",
    "released",
  ]);
  await pool.stop();
});

Deno.test("release() cleans up what is connected still, and goes on when that fails", async () => {
  const { pool, backend, systems, events } = await startedPool();
  backend.obedient = true;
  const swept: unknown[] = [];
  Object.assign(backend, {
    sweep(system: FakeSystem, reason: string) {
      swept.push([system, reason, system.connection.disconnected]);
      return Promise.reject(new Error("stuck"));
    },
  });
  pool.provision(1);
  systems[0].succeed();
  await (await pool.getRemote()).release({ reason: "destroyed" });
  assert.deepEqual(swept, [[systems[0], "destroyed", 0]]);
  assert.equal(systems[0].connection.disconnected, 1);
  assert.deepEqual(systems[0].disposals, ["destroyed"]);
  assert.deepEqual(events.slice(-2).map(({ type }) => type), [
    "warning",
    "released",
  ]);
  await pool.stop();
});

Deno.test("release() that fails rejects, tells of it, and frees the place", async () => {
  const { pool, backend, systems, events } = await startedPool({
    maxRemotes: 1,
  });
  pool.provision(2);
  systems[0].succeed();
  const remote = await pool.getRemote();
  const released = remote.release();
  await settle();
  systems[0].finishDispose(new Error("no"));
  await assert.rejects(released, {
    name: "ProvisionError",
    message: 'Cannot give back system "fake:1": no',
  });
  await remote[Symbol.asyncDispose](); // never buries another error
  assert.ok(events.some(({ type }) => type === "release-failed"));
  assert.equal(systems.length, 2);
  backend.obedient = true;
  await pool.stop(); // the failure was told to the one who released
});

Deno.test("a system that is known to live on keeps its place; without places left the pool ends", async () => {
  const limit = new Semaphore(1);
  const { pool, systems } = await startedPool({ maxRemotes: 1, limit });
  pool.provision(2);
  systems[0].succeed();
  const remote = await pool.getRemote();
  const waiting = watch(pool.getRemote());
  const released = remote.release();
  await settle();
  systems[0].finishDispose(new StillAliveError("it runs"));
  await assert.rejects(released, { message: "it runs" });
  await settle();
  assert.equal(systems.length, 1);
  assert.deepEqual(
    [waiting.error?.fatal, waiting.error?.message],
    [
      true,
      'Cannot reserve a system of "fake": all 1 places are taken by systems that could not be given back',
    ],
  );
  assert.equal(limit.tryAcquire(), undefined);
  await pool.stop();
  assert.ok(limit.tryAcquire()); // others may go on
});

Deno.test("a system that is lost before anybody took it is replaced by a failure", async () => {
  const { pool, backend, systems, events } = await startedPool();
  backend.obedient = true;
  pool.provision(1);
  systems[0].succeed();
  await settle();
  systems[0].lose(new Error("killed"));
  await settle();
  assert.deepEqual(systems[0].disposals, ["destroyed"]);
  await assert.rejects(pool.getRemote(), {
    message:
      'Cannot lend system "fake:1": it was lost before anybody took it: killed',
  });
  assert.ok(events.some(({ type }) => type === "lost"));
  await pool.stop();
});

Deno.test("a lent system that is lost tells its user and stays lent", async () => {
  const { pool, backend, systems, events } = await startedPool();
  backend.obedient = true;
  pool.provision(1);
  systems[0].succeed();
  const remote = await pool.getRemote();
  systems[0].lose(new Error("killed"));
  assert.equal((await remote.lost).message, "killed");
  assert.deepEqual(systems[0].disposals, []);
  assert.ok(events.some(({ type }) => type === "lost"));
  await pool.stop();
  assert.deepEqual(systems[0].disposals, ["abort"]);
});

Deno.test("a system that is lost while it is given back is no event", async () => {
  const { pool, backend, systems, events } = await startedPool();
  pool.provision(1);
  systems[0].succeed();
  const remote = await pool.getRemote();
  const released = remote.release();
  systems[0].lose(new Error("of course"));
  await settle();
  systems[0].finishDispose();
  await released;
  assert.ok(!events.some(({ type }) => type === "lost"));
  backend.obedient = true;
  await pool.stop();
});

Deno.test("a reservation that takes longer than reserveTimeout fails", async () => {
  const { pool, backend, systems, clock } = await startedPool({
    maxRemotes: 1,
    reserveTimeout: 5000,
  });
  backend.obedient = true;
  const caller = watch(pool.getRemote());
  pool.provision(1);
  await clock.advance(4999);
  assert.equal(caller.state, "pending");
  await clock.advance(1);
  assert.equal(
    caller.error?.message,
    'Cannot reserve system "fake:1": it is not ready after 5 s',
  );
  assert.equal(systems[0].state, "failed");
  await pool.stop();
});

Deno.test("a system that comes after reserveTimeout is given back, not lent", async () => {
  const { pool, systems, clock } = await startedPool({
    maxRemotes: 1,
    reserveTimeout: 5000,
  });
  const caller = watch(pool.getRemote());
  pool.provision(1);
  await clock.advance(5000);
  systems[0].succeed();
  await settle();
  assert.deepEqual(systems[0].disposals, ["abort"]);
  assert.equal(caller.state, "pending"); // until the place is free
  systems[0].finishDispose();
  await settle();
  assert.match(caller.error?.message, /not ready after 5 s/);
  await pool.stop();
  assert.equal(clock.timers.size, 0);
});

Deno.test("reserveStagger keeps the beginnings of reservations apart", async () => {
  const { pool, backend, systems, clock } = await startedPool({
    maxRemotes: 3,
    reserveStagger: 100,
  });
  pool.provision(3);
  assert.equal(systems.length, 1);
  await clock.advance(99);
  assert.equal(systems.length, 1);
  await clock.advance(1);
  assert.equal(systems.length, 2);
  pool.clear();
  await clock.advance(1000);
  assert.equal(systems.length, 2);
  pool.provision(1);
  assert.equal(systems.length, 3);
  backend.obedient = true;
  await pool.stop();
  assert.equal(clock.timers.size, 0);
});

Deno.test("pools that share a limit together hold no more systems than it allows", async () => {
  const limit = new Semaphore(2);
  const one = await startedPool({ limit, maxRemotes: 5 });
  const two = await startedPool({ limit, maxRemotes: 5 });
  one.backend.obedient = two.backend.obedient = true;
  one.pool.provision(2);
  two.pool.provision(2);
  assert.deepEqual([one.systems.length, two.systems.length], [2, 0]);
  one.systems[0].succeed();
  await (await one.pool.getRemote()).release();
  await settle();
  assert.deepEqual([one.systems.length, two.systems.length], [2, 1]);
  two.systems[0].fail(new Error("x")); // returns its permit, takes it again
  await settle();
  assert.deepEqual([one.systems.length, two.systems.length], [2, 2]);
  two.pool.provision(1); // waits for a permit
  two.pool.clear();
  await one.pool.stop();
  await settle();
  assert.equal(two.systems.length, 2);
  await two.pool.stop();
  const permits = [limit.tryAcquire(), limit.tryAcquire(), limit.tryAcquire()];
  assert.deepEqual(permits.map((permit) => permit !== undefined), [
    true,
    true,
    false,
  ]);
});

Deno.test("start() that is aborted or fails leaves a pool that can be started", async () => {
  const backend = new FakeBackend();
  const pool = new Pool({ name: "fake", maxRemotes: 1, backend });
  const reason = new Error("changed my mind");
  await assert.rejects(
    pool.start({ signal: AbortSignal.abort(reason) }),
    reason,
  );
  assert.equal(backend.starts, 0);
  const gate = Promise.withResolvers<void>();
  backend.startGate = gate.promise;
  const abort = new AbortController();
  const starting = watch(pool.start({ signal: abort.signal }));
  abort.abort(reason);
  gate.resolve();
  await settle();
  assert.equal(starting.error, reason);
  backend.startGate = Promise.reject(new ProvisionError("no program"));
  await assert.rejects(pool.start(), { message: "no program" });
  backend.startGate = undefined;
  await Promise.all([pool.start(), pool.start()]); // one life
  await pool.start(); // harmless
  assert.equal(backend.starts, 3);
  await pool.stop();
  assert.equal(backend.stops, 1);
});

Deno.test("start() during start() waits for the same, as long as its own signal says", async () => {
  const backend = new FakeBackend();
  const gate = Promise.withResolvers<void>();
  backend.startGate = gate.promise;
  const pool = new Pool({ name: "fake", maxRemotes: 1, backend });
  const first = watch(pool.start());
  const abort = new AbortController();
  const second = watch(pool.start({ signal: abort.signal }));
  const third = watch(pool.start({ signal: new AbortController().signal }));
  abort.abort(new Error("enough"));
  await settle();
  assert.equal(second.error?.message, "enough");
  assert.equal(first.state, "pending");
  gate.resolve();
  await settle();
  assert.deepEqual([first.state, third.state], ["resolved", "resolved"]);
  assert.equal(backend.starts, 1);
  await pool.stop();
});

Deno.test("start() that is aborted when all was ready tells what could not be freed", async () => {
  const events: ProvisionerEvent[] = [];
  const backend = new FakeBackend();
  const abort = new AbortController();
  backend.start = () => Promise.resolve(abort.abort(new Error("enough")));
  backend.stopError = new Error("still there");
  const pool = new Pool({
    name: "fake",
    maxRemotes: 1,
    backend,
    onEvent: (event) => events.push(event),
  });
  await assert.rejects(pool.start({ signal: abort.signal }), {
    message: "enough",
  });
  assert.deepEqual(events, [{ type: "warning", error: backend.stopError }]);
});

Deno.test("stop() during start() ends both", async () => {
  const backend = new FakeBackend();
  const pool = new Pool({ name: "fake", maxRemotes: 1, backend });
  const gate = Promise.withResolvers<void>();
  backend.startGate = gate.promise;
  const starting = watch(pool.start());
  const stopping = watch(pool.stop());
  assert.equal(pool.stop(), pool.stop());
  await settle();
  assert.equal(stopping.state, "pending");
  await assert.rejects(pool.start(), ProvisionerStoppedError);
  gate.resolve();
  await settle();
  assert.ok(starting.error instanceof ProvisionerStoppedError);
  assert.equal(stopping.state, "resolved");
  backend.startGate = undefined;
  await pool.start();
  await pool.stop();
});

Deno.test("stop() before start() is harmless", async () => {
  const backend = new FakeBackend();
  const pool = new Pool({ name: "fake", maxRemotes: 1, backend });
  await pool.stop();
  assert.equal(backend.stops, 0);
  await pool.start();
  await pool.stop();
  assert.equal(backend.stops, 1);
});

Deno.test("stop() ends reservations, then releases every system, then frees the backend", async () => {
  const { pool, backend, systems, events } = await startedPool({
    maxRemotes: 4,
  });
  pool.provision(4);
  systems[0].succeed();
  systems[1].succeed();
  await settle();
  await pool.getRemote();
  const stopping = watch(pool.stop());
  const again = pool.stop();
  await settle();
  assert.ok(systems[2].reserving.signal.aborted);
  assert.deepEqual(systems.map(({ disposals }) => disposals), [[], [], [], []]);
  systems[2].fail(new Error("undone"));
  systems[3].succeed(); // too late
  await settle();
  assert.deepEqual(systems[3].disposals, ["abort"]);
  systems[3].finishDispose();
  await settle();
  assert.deepEqual(systems[0].disposals, ["abort"]); // lent
  assert.deepEqual(systems[1].disposals, ["surplus"]); // never needed
  systems[0].finishDispose();
  assert.equal(backend.stops, 0);
  systems[1].finishDispose();
  await again;
  assert.equal(stopping.state, "resolved");
  assert.equal(backend.stops, 1);
  assert.ok(!events.some(({ type }) => type === "reserve-failed"));
});

Deno.test("stop() waits for releases under way", async () => {
  const { pool, systems } = await startedPool();
  pool.provision(1);
  systems[0].succeed();
  const remote = await pool.getRemote();
  const released = remote.release();
  const stopping = watch(pool.stop());
  await settle();
  assert.equal(stopping.state, "pending");
  systems[0].finishDispose(new Error("no"));
  await assert.rejects(released);
  await settle();
  assert.equal(stopping.state, "resolved"); // who released it was told
});

Deno.test("stop() does all it can and then tells what failed", async () => {
  const { pool, backend, systems } = await startedPool({ maxRemotes: 3 });
  pool.provision(3);
  for (const system of systems) system.succeed();
  await settle();
  backend.stopError = new Error("stop failed");
  const stopping = pool.stop();
  stopping.catch(() => {});
  await settle();
  systems[0].finishDispose(new Error("one"));
  systems[1].finishDispose();
  systems[2].finishDispose(new Error("three"));
  await assert.rejects(stopping, (error: AggregateError) => {
    assert.deepEqual(error.errors.map(({ message }) => message), [
      'Cannot give back system "fake:1": one',
      'Cannot give back system "fake:3": three',
      "stop failed",
    ]);
    assert.match(error.message, /^Cannot stop provisioner "fake" completely: /);
    return error instanceof AggregateError;
  });
});

Deno.test("stop() gives up what does not end in time, tells so, and does all the rest", async () => {
  const limit = new Semaphore(3);
  const { pool, backend, systems, events, clock } = await startedPool({
    maxRemotes: 3,
    limit,
    stopTimeout: 5000,
    stopConcurrency: 1,
  });
  pool.provision(3);
  const [reserving, lent, ready] = systems;
  lent.succeed();
  ready.succeed();
  await settle();
  await pool.getRemote();
  const stopping = watch(pool.stop());
  const ends = [reserving, lent, ready];
  for (const system of ends) {
    await settle();
    assert.equal(stopping.state, "pending");
    assert.equal(backend.stops, 0);
    if (system !== reserving) assert.equal(system.state, "disposing");
    await clock.advance(5000);
  }
  await settle();
  const late = "it has not ended after 5 s";
  const messages = [
    `Cannot end the reservation of "fake:1": ${late}`,
    `Cannot give back system "fake:2": ${late}`,
    `Cannot give back system "fake:3": ${late}`,
  ];
  assert.deepEqual(
    stopping.error.errors.map(({ message }: Error) => message),
    messages,
  );
  const told = events.filter((event) => "error" in event)
    .map((event) => `${event.type}: ${event.error.message}`);
  assert.deepEqual(
    told,
    ["warning", "release-failed", "release-failed"]
      .map((type, index) => `${type}: ${messages[index]}`),
  );
  assert.equal(backend.stops, 1);
  assert.equal(clock.timers.size, 0);
  const permits = [1, 2, 3].map(() => limit.tryAcquire());
  assert.ok(permits.every((permit) => permit !== undefined));

  // what ends after all is nobody's business any more, but a system that comes goes back
  const before = events.length;
  await pool.start();
  lent.finishDispose();
  ready.finishDispose(new Error("no"));
  reserving.succeed();
  await settle();
  assert.deepEqual(reserving.disposals, ["abort"]);
  reserving.finishDispose();
  await settle();
  assert.equal(limit.tryAcquire(), undefined, "no permit is given back twice");
  assert.deepEqual(events.slice(before).map(({ type }) => type), ["released"]);
  await pool.stop();
});

Deno.test("stop() gives up a backend whose start or end takes too long", async () => {
  const { pool, backend, events, clock } = await startedPool({
    stopTimeout: 5000,
  });
  backend.stop = () => new Promise(() => {});
  const stopping = watch(pool.stop());
  await settle();
  await clock.advance(5000);
  await settle();
  const late = 'Cannot stop "fake": it has not ended after 5 s';
  assert.match(stopping.error.message, new RegExp(`${late}$`));
  backend.startGate = new Promise(() => {});
  const starting = watch(pool.start());
  const again = watch(pool.stop());
  await settle();
  await clock.advance(5000);
  await settle();
  assert.equal(again.state, "resolved");
  assert.equal(starting.state, "pending");
  assert.deepEqual(
    events.map((event) => event.type === "warning" && event.error.message),
    [
      late,
      'Cannot end the start of "fake": it has not ended after 5 s',
    ],
  );
});

Deno.test("stopTimeout has to be a time", () => {
  for (const [stopTimeout, type] of [[0, RangeError], ["5", TypeError]]) {
    assert.throws(
      () =>
        new Pool({
          name: "fake",
          maxRemotes: 1,
          backend: new FakeBackend(),
          stopTimeout: stopTimeout as number,
        }),
      type as typeof RangeError,
    );
  }
});

Deno.test("stop() releases no more than stopConcurrency systems at once", async () => {
  const { pool, systems } = await startedPool({
    maxRemotes: 5,
    stopConcurrency: 2,
  });
  pool.provision(5);
  for (const system of systems) system.succeed();
  await settle();
  const stopping = pool.stop();
  for (let done = 0; done < 5; done++) {
    await settle();
    const disposing = systems.filter(({ state }) => state === "disposing");
    assert.equal(disposing.length, Math.min(2, 5 - done));
    disposing[0].finishDispose();
  }
  await stopping;
});

Deno.test("stopConcurrency may be Infinity, but nothing that would release none", async () => {
  const { pool, systems } = await startedPool({
    maxRemotes: 2,
    stopConcurrency: Infinity,
  });
  pool.provision(2);
  for (const system of systems) system.succeed();
  await settle();
  const stopping = pool.stop();
  await settle();
  for (const system of systems) system.finishDispose();
  await stopping;
  for (const stopConcurrency of [0, -1, 1.5, NaN]) {
    assert.throws(
      () =>
        new Pool({
          name: "fake",
          maxRemotes: 1,
          stopConcurrency,
          backend: new FakeBackend(),
        }),
      {
        name: "RangeError",
        message:
          `Cannot give back ${stopConcurrency} systems at once: "stopConcurrency" must be a positive whole number or Infinity`,
      },
    );
  }
});

Deno.test("times of a pool that make no sense are refused", () => {
  const make = (times: Record<string, unknown>) => () =>
    new Pool({
      name: "fake",
      maxRemotes: 1,
      backend: new FakeBackend(),
      ...times,
    });
  for (const name of ["reserveTimeout", "reserveStagger", "stopTimeout"]) {
    assert.throws(make({ [name]: NaN }), {
      name: "RangeError",
      message: new RegExp(`^Cannot use NaN as "${name}": `),
    });
    assert.throws(make({ [name]: -1 }), RangeError);
    assert.throws(make({ [name]: "5" }), TypeError);
  }
});

Deno.test("a listener may use the pool while it is told of an event", async () => {
  const backend = new FakeBackend();
  const order: string[] = [];
  const pool: Pool = new Pool({
    name: "fake",
    maxRemotes: 2,
    backend,
    onEvent: ({ type }) => {
      if (type !== "ready") return;
      pool.getRemote().then(() => order.push("listener"), () => {});
    },
  });
  await pool.start();
  pool.getRemote().then(() => order.push("first"));
  pool.provision(1);
  backend.systems[0].succeed();
  await settle();
  assert.deepEqual(order, ["first"]);
  backend.obedient = true;
  await pool.stop();
});

Deno.test("an error of a listener is reported and stops nothing", async () => {
  const reported: unknown[] = [];
  const listener = (event: ErrorEvent) => {
    event.preventDefault();
    reported.push(event.error.message);
  };
  globalThis.addEventListener("error", listener);
  try {
    const { pool, backend, systems } = await startedPool({
      onEvent: ({ type }) => {
        throw new Error(type);
      },
    });
    backend.obedient = true;
    pool.provision(1);
    systems[0].succeed();
    await (await pool.getRemote()).release();
    await pool.stop();
    assert.deepEqual(reported, ["reserving", "ready", "lent", "released"]);
  } finally {
    globalThis.removeEventListener("error", listener);
  }
});
