/** What is waited for, and for how long: on a fake clock, where only exact times will do. */
import { deepStrictEqual as equal, rejects } from "node:assert/strict";
import { Semaphore } from "@std/async/unstable-semaphore";
import {
  type Environment,
  environment,
} from "../../orchestrators/_environment.ts";
import { Gate } from "../../orchestrators/_gate.ts";
import { Turns } from "../../orchestrators/_turns.ts";
import { acquire, TimeLimit, untilEnd } from "../../orchestrators/_waiting.ts";
import type { RunEvent } from "../../orchestrators/orchestrator.ts";
import { incomplete } from "./_incomplete.ts";
import { FakeClock } from "./simulation/clock.ts";
import { broken } from "./simulation/invariants.ts";
import type { Scenario, ScenarioRemote } from "./simulation/scenario.ts";
import { simulate, type Simulation, start } from "./simulation/simulate.ts";
import { World } from "./simulation/world.ts";

/** A run of one test that takes 100 on the first system, or less on the next. */
function scenario(
  { then = {}, first = then, ...others }: Partial<Scenario> & {
    first?: ScenarioRemote;
    then?: ScenarioRemote;
  },
): Scenario {
  return {
    kind: "adhoc",
    tests: [{ name: "/a", runs: [{ ms: 100, exit: 0 }] }],
    provisioners: [{ name: "p", capacity: 1, remotes: [first], then }],
    ...others,
  };
}

function only<T extends RunEvent["type"]>(
  { events }: Simulation,
  type: T,
): (RunEvent & { type: T })[] {
  return events.filter((event): event is RunEvent & { type: T } =>
    event.type === type
  );
}

Deno.test("a setup that takes too long is ended and counts as failed", async () => {
  const simulation = await simulate(scenario({
    first: { setup: "hang" },
    options: { setupTimeoutMs: 50 },
  }));
  equal([...broken(simulation)], []);
  const [{ remote, ms, error, left }] = only(simulation, "setup-failed");
  equal([remote, ms, left], ["p#1", 50, 9]);
  equal(error.message, "Cannot set up p#1: it takes longer than 50 ms");
  equal(simulation.kind, null);
  equal(simulation.endedAt, 150);
});

Deno.test("a setup that does not end when it is told to loses its connection after the grace", async () => {
  const simulation = await simulate(scenario({
    first: { setup: "deaf" },
    options: { setupTimeoutMs: 50, cancelGraceMs: 20 },
  }));
  equal([...broken(simulation)], []);
  equal(only(simulation, "setup-failed")[0].ms, 70);
});

Deno.test("a test that does not end when it is told to loses its connection after the grace", async () => {
  const simulation = await simulate(scenario({
    tests: [{
      name: "/a",
      runs: [{ ms: 1_000, exit: 0 }],
      deaf: "until-cut",
    }],
    abort: { atMs: 10 },
    options: { cancelGraceMs: 20 },
  }));
  equal([...broken(simulation)], []);
  equal(simulation.kind, "Aborted");
  equal(simulation.endedAt, 30);
});

Deno.test("a test that cannot be ended at all is given up after twice the grace", async () => {
  const simulation = await simulate(scenario({
    tests: [{ name: "/a", runs: [{ ms: 1_000, exit: 0 }], deaf: "for-ever" }],
    abort: { atMs: 10 },
    options: { cancelGraceMs: 20 },
  }));
  equal([...broken(simulation)], []);
  equal(simulation.kind, "Aborted");
  equal(simulation.endedAt, 50);
  equal(simulation.summary.notRun, ["/a"]);
});

Deno.test("a test on a system that vanished and that cannot be ended is stored as an error", async () => {
  const simulation = await simulate(scenario({
    tests: [{
      name: "/a",
      runs: [{ ms: 1_000, exit: 0, noResults: true }],
      deaf: "for-ever",
    }],
    first: { lostMs: 10 },
    options: { cancelGraceMs: 20 },
  }));
  equal([...broken(simulation)], []);
  equal(simulation.endedAt, 50);
  const outcome = simulation.summary.ingested.get("/a");
  equal(outcome?.error?.message, "p#1 vanished");
});

Deno.test("a release that takes too long counts as failed and is not waited for", async () => {
  const simulation = await simulate(scenario({
    then: { release: "hang" },
    options: { releaseTimeoutMs: 30 },
  }));
  equal([...broken(simulation)], []);
  equal([simulation.kind, simulation.endedAt], [null, 130]);
  equal(
    simulation.summary.releaseErrors.map(({ remote, error }) => [
      remote,
      error.message,
    ]),
    [["p#1", "Cannot give back p#1: it takes longer than 30 ms"]],
  );
  equal(only(simulation, "release-failed")[0].givenBack, undefined);
});

Deno.test("a clean-up that takes too long is told of, and the system is given back", async () => {
  const simulation = await simulate(scenario({
    then: { reusable: true, stop: "hang", releaseMs: 5 },
    options: { cancelGraceMs: 40 },
  }));
  equal([...broken(simulation)], []);
  equal(simulation.endedAt, 145);
  const [{ error, ms, givenBack }] = only(simulation, "release-failed");
  equal(givenBack, true);
  equal(error.message, "Cannot clean up p#1: it takes longer than 40 ms");
  equal(ms, 45);
});

Deno.test("a failed clean-up is told of, and the system is given back", async () => {
  const simulation = await simulate(
    scenario({ then: { reusable: true, stop: "fail" } }),
  );
  equal([...broken(simulation)], []);
  equal(
    only(simulation, "release-failed")[0].error.message,
    "p#1 stays dirty",
  );
});

Deno.test("a provisioner whose waiting cannot be ended is left after the grace; what comes later goes back", async () => {
  const simulation = await simulate({
    kind: "adhoc",
    tests: [{ name: "/a", runs: [{ ms: 10, exit: 0 }] }],
    provisioners: [
      { name: "p", capacity: 1, remotes: [], then: {} },
      {
        name: "q",
        capacity: 1,
        remotes: [],
        deaf: true,
        then: { readyMs: 60 },
      },
    ],
    options: { cancelGraceMs: 20 },
  });
  const { world, summary } = simulation;
  equal([simulation.endedAt, summary.handedOut], [30, 1]);
  await world.clock.run(new Promise(() => {}), 100);
  equal(
    world.remotes.map(({ id, released }) => [id, released]),
    [["p#1", 1], ["q#1", 1]],
  );
});

Deno.test("SimpleOrchestrator has the same limits, and leaves no timer behind", async () => {
  const table: [string, Parameters<typeof scenario>[0], number][] = [
    [
      "a setup",
      { then: { setup: "hang" }, options: { setupTimeoutMs: 50 } },
      50,
    ],
    ["a setup that is deaf", {
      then: { setup: "deaf" },
      options: { setupTimeoutMs: 50, cancelGraceMs: 20 },
    }, 70],
    ["a release", {
      then: { release: "hang" },
      options: { releaseTimeoutMs: 30 },
    }, 130],
    ["a clean-up", {
      then: { reusable: true, stop: "hang", releaseMs: 5 },
      options: { cancelGraceMs: 40 },
    }, 145],
    ["a test that is deaf", {
      tests: [{ name: "/a", runs: [{ ms: 999, exit: 0 }], deaf: "until-cut" }],
      then: { lostMs: 10 },
      options: { cancelGraceMs: 20 },
    }, 30],
  ];
  for (const [what, given, endedAt] of table) {
    const simulation = await simulate(scenario({ ...given, kind: "simple" }));
    equal([...broken(simulation)], [], what);
    equal(simulation.endedAt, endedAt, what);
    const { clock } = simulation.world;
    if (what !== "a test that is deaf") equal(clock.armed, false, what);
  }
});

Deno.test("while more results wait to be stored than are allowed, no test starts", async () => {
  const tests = Array.from({ length: 150 }, (_, index) => ({
    name: `/${index}`,
    runs: [{ ms: 1, exit: 0 }],
  }));
  const aggregator = { ingestMs: 1_000 };
  for (const maxWaitingIngests of [10, Infinity]) {
    const simulation = await simulate(
      scenario({ tests, aggregator, options: { maxWaitingIngests } }),
    );
    equal([...broken(simulation)], []);
    const { indexOf } = simulation.world;
    equal(
      indexOf.get("end:/149#1")! < indexOf.get("ingested:/0")!,
      maxWaitingIngests === Infinity,
    );
  }
});

Deno.test("a run that waits for systems tells so every 10 minutes, and ends after the time limit", async () => {
  const minute = 60_000;
  const simulation = await simulate(scenario({
    then: { readyMs: Infinity },
    options: { stallTimeoutMs: 25 * minute },
  }));
  equal([...broken(simulation)], []);
  equal(
    only(simulation, "stalled").map(({ ms, waitingFor }) => [ms, waitingFor]),
    [[10 * minute, ["p"]], [20 * minute, ["p"]]],
  );
  equal([simulation.kind, simulation.endedAt], ["Stalled", 25 * minute]);
  equal(
    simulation.error?.message,
    'Cannot complete the run on "platform": p delivered nothing for 1500000 ms; 1 of 1 tests were not run',
  );
});

Deno.test("the time without systems is counted anew after each delivery, not after a refusal", async () => {
  const simulation = await simulate(scenario({
    provisioners: [{
      name: "p",
      capacity: 1,
      remotes: [
        { readyMs: 40, setup: "fail" },
        { readyMs: 30, fail: "quota exceeded" },
      ],
      then: { readyMs: 30 },
    }],
    options: { stallTimeoutMs: 50 },
  }));
  equal([simulation.kind, simulation.endedAt], ["Stalled", 90]);
});

Deno.test("results of a test are stored one after the other, in the order of its attempts", async () => {
  const simulation = await simulate(scenario({
    tests: [{
      name: "/a",
      runs: [{ ms: 10, exit: 1 }, { ms: 10, exit: 1 }, { ms: 10, exit: 0 }],
    }],
    options: { maxReruns: 2, destructiveExitCodes: [] },
    oldAggregator: { ingestMs: 100 },
  }));
  equal([...broken(simulation)], []);
  equal(simulation.endedAt, 210);
});

Deno.test("a gate lets in as many as there are places, in the order in which they came", () => {
  const gate = new Gate(2);
  const inside: number[] = [];
  for (let n = 1; n <= 4; n++) gate.enter(() => void inside.push(n));
  equal(inside, [1, 2]);
  gate.leave();
  equal(inside, [1, 2, 3]);
  for (let n = 0; n < 3; n++) gate.leave();
  equal(inside, [1, 2, 3, 4]);
  for (let n = 5; n <= 7; n++) gate.enter(() => void inside.push(n));
  equal(inside, [1, 2, 3, 4, 5, 6]);
});

Deno.test("a turn of the event loop is long after 10 ms, or when the clock was set back, until the next one", async () => {
  let now = 1_000;
  let turn = () => {};
  const pause = () => new Promise<void>((resolve) => turn = resolve);
  const turns = new Turns({ ...environment, now: () => now, pause });
  for (const [later, long] of [[9, false], [10, true], [-1, true]] as const) {
    now = 1_000;
    const { number } = turns;
    equal(turns.isLong, false);
    now += later;
    equal([turns.isLong, turns.number], [long, number]);
    const { next } = turns;
    turn();
    await next;
    equal([turns.isLong, turns.number], [false, number + 1]);
    const end = turns.end();
    turn();
    await end;
  }
});

/** What a run takes from outside, with the time of a clock. */
function environmentOf(clock: FakeClock): Environment {
  return {
    ...environment,
    now: () => clock.now(),
    after: (ms, call) => clock.after(ms, call),
    pause: () => clock.pause(),
  };
}

Deno.test("work that takes too long is given up in time, whatever else begins and ends meanwhile", async () => {
  const clock = new FakeClock();
  const environment = environmentOf(clock);
  const turns = new Turns(environment);
  const limit = new TimeLimit({ environment, turns, ms: 100 });
  let givenUpAt = 0;
  const stuck = limit.wait("Cannot store", new Promise(() => {}))
    .catch(() => givenUpAt = clock.now());
  const others = (async () => {
    for (let n = 0; n < 20; n++) await limit.wait("Cannot", clock.sleep(10));
  })();
  equal(await clock.run(Promise.all([stuck, others]), 100), true);
  equal([givenUpAt, clock.now(), clock.armed], [100, 200, false]);
});

Deno.test("who insists waits for results only as long as storing takes less than a second, and for releases", async () => {
  const tests = Array.from({ length: 50 }, (_, index) => ({
    name: `/${index}`,
    runs: [{ ms: 0, exit: 0 }],
  }));
  for (const ingestMs of [900, Infinity]) {
    const given = scenario({
      tests,
      then: { releaseMs: 2_000 },
      aggregator: { ingestMs },
    });
    const world = new World(given);
    const { clock } = world;
    const [abort, insist] = [new AbortController(), new AbortController()];
    const run = start(given, world, new Map(), abort.signal);
    const reason = new Error("enough");
    clock.after(
      100,
      () => abort.abort(Object.assign(reason, { insisted: insist.signal })),
    );
    clock.after(200, () => insist.abort());
    const ended = incomplete(run);
    equal(await clock.run(ended, 1_000), true);
    const { summary: { ingested, ingestErrors, releaseErrors } } = await ended;
    equal(
      [clock.now(), ingested.size, ingestErrors.length, releaseErrors.length],
      ingestMs === 900 ? [13 * 900, 50, 0, 0] : [2_000, 0, 50, 0],
    );
    equal(clock.armed, false);
  }
});

Deno.test("what was given up is not cut once more when somebody insists after that", async () => {
  const clock = new FakeClock();
  const [abort, insist] = [new AbortController(), new AbortController()];
  let cuts = 0;
  const waiting = untilEnd(new Promise(() => {}), {
    environment: environmentOf(clock),
    signal: abort.signal,
    grace: 20,
    insisted: insist.signal,
    cut: () => cuts++,
  });
  abort.abort(new Error("enough"));
  equal(await clock.run(waiting, 10), true);
  await rejects(waiting, { message: "enough" });
  insist.abort();
  equal([cuts, clock.armed], [1, false]);
});

Deno.test("acquire() takes a free permit at once, and gives a late one back", async () => {
  const semaphore = new Semaphore(1);
  const first = await acquire(semaphore);
  const abort = new AbortController();
  const second = acquire(semaphore, abort.signal);
  const third = acquire(semaphore);
  const reason = new Error("enough");
  abort.abort(reason);
  await rejects(second, reason);
  await rejects(acquire(semaphore, abort.signal), reason);
  first[Symbol.dispose]();
  (await third)[Symbol.dispose]();
  (await acquire(semaphore, new AbortController().signal))[Symbol.dispose]();
  equal(semaphore.tryAcquire() !== undefined, true);
});
