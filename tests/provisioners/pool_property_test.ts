/** The table of the engine, against a model that only counts. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { Semaphore } from "@std/async/unstable-semaphore";
import { StillAliveError } from "../../provisioners/_backend.ts";
import { Pool } from "../../provisioners/_pool.ts";
import { ProvisionError, type Remote } from "../../provisioners/provisioner.ts";
import {
  FakeBackend,
  FakeClock,
  type FakeSystem,
  settle,
  watch,
  type Watched,
} from "./_fake.ts";

const RESERVE_TIMEOUT = 1000;

/** A step; `which` chooses among what there is, modulo its number. */
interface Step {
  kind:
    | "provision"
    | "endless"
    | "get"
    | "leave"
    | "succeed"
    | "fail"
    | "fatal"
    | "release"
    | "disposed"
    | "not-disposed"
    | "alive"
    | "lose"
    | "late"
    | "clear"
    | "stop";
  which: number;
}

const KINDS: [Step["kind"], number][] = [
  ["provision", 6],
  ["endless", 1],
  ["get", 8],
  ["leave", 3],
  ["succeed", 10],
  ["fail", 3],
  ["fatal", 1],
  ["release", 8],
  ["disposed", 8],
  ["not-disposed", 2],
  ["alive", 1],
  ["lose", 2],
  ["late", 1],
  ["clear", 2],
  ["stop", 1],
];

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.oneof(
    ...KINDS.map(([kind, weight]) => ({
      arbitrary: fc.constant(kind),
      weight,
    })),
  ),
  which: fc.nat({ max: 20 }),
});

interface Caller {
  watched: Watched<Remote>;
  abort: AbortController;
}

/** What the table says, in numbers. */
class Model {
  owed = 0;
  reserving = 0;
  ready = 0;
  failures = 0;
  begun = 0;
  lent = 0;
  releasing = 0;
  stuck = 0;
  waiting = 0;
  fatal = false;

  constructor(readonly max: number, readonly retries: { left: number }) {}

  pump() {
    while (this.owed > 0) {
      if (this.stuck >= this.max) return this.end();
      const untold = this.owed === Infinity ? this.failures : 0;
      const taken = this.reserving + this.ready + this.lent + this.releasing +
        this.stuck;
      if (taken + untold >= this.max) return;
      this.owed--;
      this.reserving++;
      this.begun++;
    }
  }

  end() {
    this.fatal = true;
    this.owed = 0;
    this.waiting = 0;
  }

  get() {
    if (this.ready > 0) {
      this.ready--;
      this.lent++;
    } else if (this.failures > 0) this.failures--;
    else if (!this.fatal) this.waiting++;
    this.pump();
  }

  succeed() {
    this.reserving--;
    if (this.waiting > 0) {
      this.waiting--;
      this.lent++;
    } else this.ready++;
  }

  fail(fatal: boolean, isWanted: boolean) {
    if (fatal) this.end();
    else if (!this.fatal && isWanted && this.retries.left-- > 0) this.owed++;
    else this.tell();
    this.pump();
  }

  tell() {
    if (this.waiting > 0) this.waiting--;
    else this.failures++;
  }

  released(alive: boolean) {
    this.releasing--;
    if (alive) this.stuck++;
    this.pump();
  }
}

/** Carries out steps on a pool and compares it with the model after each. */
class World {
  readonly backend = new FakeBackend();
  readonly clock = new FakeClock();
  readonly pool: Pool;
  readonly model: Model;
  readonly callers: Caller[] = [];
  readonly remotes: Remote[] = [];
  readonly released = new Set<Remote>();
  /** Under way when requests were dropped. */
  readonly dropped = new Set<FakeSystem>();
  readonly limit?: Semaphore;
  most = 0;

  constructor(readonly max: number, retries: number, shared: boolean) {
    this.backend.retriesLeft = retries;
    this.limit = shared ? new Semaphore(max) : undefined;
    this.model = new Model(max, { left: retries });
    this.pool = new Pool({
      name: "fake",
      maxRemotes: max,
      backend: this.backend,
      limit: this.limit,
      reserveTimeout: RESERVE_TIMEOUT,
    }, this.clock);
  }

  in(...states: FakeSystem["state"][]): FakeSystem[] {
    return this.backend.systems.filter(({ state }) => states.includes(state));
  }

  /** Systems that nobody has and nobody gives back. */
  get ready(): FakeSystem[] {
    const lent = new Set(this.remotes.map(({ id }) => id));
    return this.in("up").filter(({ id }) => !lent.has(id));
  }

  pending(): Caller[] {
    return this.callers.filter(({ watched }) => watched.state === "pending");
  }

  async run({ kind, which }: Step): Promise<void> {
    const pick = <T>(items: T[]): T | undefined => items[which % items.length];
    const { model, pool } = this;
    switch (kind) {
      case "provision":
        pool.provision(which % 4 + 1);
        if (!model.fatal) model.owed += which % 4 + 1;
        model.pump();
        break;
      case "endless":
        pool.provision(Infinity);
        if (!model.fatal) model.owed = Infinity;
        model.pump();
        break;
      case "get": {
        const abort = new AbortController();
        const watched = watch(pool.getRemote({ signal: abort.signal }));
        this.callers.push({ watched, abort });
        model.get();
        break;
      }
      case "leave": {
        const caller = pick(this.pending());
        if (!caller) return;
        caller.abort.abort(new Error("left"));
        model.waiting--;
        break;
      }
      case "succeed": {
        const system = pick(this.in("reserving"));
        if (!system) return;
        system.succeed();
        model.succeed();
        break;
      }
      case "fail":
      case "fatal": {
        const system = pick(this.in("reserving"));
        if (!system) return;
        system.fail(new ProvisionError(kind, { fatal: kind === "fatal" }));
        model.reserving--;
        model.fail(kind === "fatal", !this.dropped.has(system));
        break;
      }
      case "release": {
        const remote = pick(this.remotes.filter((r) => !this.released.has(r)));
        if (!remote) return;
        this.released.add(remote);
        remote.release().catch(() => {});
        model.lent--;
        model.releasing++;
        break;
      }
      case "disposed":
      case "not-disposed":
      case "alive": {
        const system = pick(this.in("disposing"));
        if (!system) return;
        system.finishDispose(
          kind === "disposed"
            ? undefined
            : kind === "alive"
            ? new StillAliveError("alive")
            : new Error("no"),
        );
        model.released(kind === "alive");
        break;
      }
      case "lose": {
        const system = pick(this.ready);
        if (!system) return;
        system.lose(new Error("lost"));
        model.ready--;
        model.releasing++;
        model.tell();
        break;
      }
      case "late": { // every reservation under way times out, and succeeds too late
        const late = this.in("reserving");
        await this.clock.advance(RESERVE_TIMEOUT);
        for (const system of late) {
          system.succeed();
          await settle();
          system.finishDispose();
          await settle();
          model.reserving--;
          model.releasing++;
          model.released(false);
          model.fail(false, !this.dropped.has(system));
          this.collect();
        }
        break;
      }
      case "clear":
        pool.clear();
        model.owed = 0;
        for (const system of this.in("reserving")) this.dropped.add(system);
        break;
      case "stop":
        await this.stop();
        await pool.start();
        Object.assign(model, {
          ...{ owed: 0, reserving: 0, ready: 0, failures: 0, lent: 0 },
          ...{ releasing: 0, stuck: 0, waiting: 0, fatal: false },
        });
        break;
    }
    await settle();
    this.collect();
  }

  collect() {
    for (const { watched } of this.callers) {
      if (watched.value && !this.remotes.includes(watched.value)) {
        this.remotes.push(watched.value);
      }
    }
  }

  compare() {
    const { model } = this;
    const lent = this.remotes.filter((remote) => !this.released.has(remote));
    assert.deepEqual({
      begun: this.backend.systems.length,
      reserving: this.in("reserving").length,
      ready: this.ready.length,
      lent: lent.length,
      releasing: this.in("disposing").length,
      waiting: this.pending().length,
    }, {
      begun: model.begun,
      reserving: model.reserving,
      ready: model.ready,
      lent: model.lent,
      releasing: model.releasing,
      waiting: model.waiting,
    });
    const held = this.in("reserving", "up", "disposing").length;
    assert.ok(held <= this.max, `${held} systems held`);
    // first come, first served: nobody waits who called before somebody that was answered
    const states = this.callers.map(({ watched }) => watched);
    const firstWaiting = states.findIndex(({ state }) => state === "pending");
    const overtaken = states.slice(firstWaiting).some(({ state, error }) =>
      state !== "pending" && error?.message !== "left"
    );
    assert.ok(firstWaiting < 0 || !overtaken);
  }

  async stop() {
    this.backend.obedient = true;
    for (const system of this.in("disposing")) system.finishDispose();
    const waiting = this.pending();
    await this.pool.stop();
    await settle();
    this.collect();
    for (const { watched } of waiting) {
      assert.equal(watched.error?.name, "ProvisionerStoppedError");
    }
    for (const { state, disposals } of this.backend.systems) {
      if (state === "failed") assert.equal(disposals.length, 0);
      else {
        assert.equal(state, "gone");
        assert.equal(disposals.length, 1);
      }
    }
    const ids = this.remotes.map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length); // none was lent twice
    assert.equal(this.clock.timers.size, 0);
    for (const remote of this.remotes) this.released.add(remote);
    if (this.limit) {
      const permits = Array.from(
        { length: this.max + 1 },
        () => this.limit!.tryAcquire(),
      ).filter((permit) => permit !== undefined);
      assert.equal(permits.length, this.max);
      for (const permit of permits) permit[Symbol.dispose]();
    }
    this.backend.obedient = false;
  }
}

Deno.test("Pool does what its table says, whatever happens in whatever order", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 4 }),
      fc.nat({ max: 3 }),
      fc.boolean(),
      fc.array(step, { maxLength: 60, size: "max" }),
      async (max, retries, shared, steps) => {
        const world = new World(max, retries, shared);
        await world.pool.start();
        for (const step of steps) {
          await world.run(step);
          world.compare();
        }
        await world.stop();
      },
    ),
    { numRuns: Number(Deno.env.get("ATEX_TEST_RUNS") ?? 2000) },
  );
});
