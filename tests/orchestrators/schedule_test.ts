/** One test for each row of the tables of events and of what follows them, and for what is easily forgotten. */
import { deepStrictEqual as equal, ok } from "node:assert/strict";
import type { Executor } from "../../executors/executor.ts";
import type { RunEventBody } from "../../orchestrators/_event_body.ts";
import type { Provisioner, Remote } from "../../provisioners/provisioner.ts";
import { decide } from "../../orchestrators/_schedule.ts";
import {
  type Action,
  type Happening,
  type Limits,
  newState,
  resumeState,
  type Rules,
  type State,
  type System,
} from "../../orchestrators/_state.ts";

interface Options extends Partial<Limits>, Partial<Rules> {
  tests: string[];
  /** Name and greatest number of systems of each provisioner. */
  provisioners?: Record<string, number>;
}

/** Feeds a schedule by hand; every call gives what it decided, as text. */
class Desk {
  readonly state: State;
  readonly #systems = new Map<string, System>();
  readonly #attempts = new Map<string, [test: string, attempt: number]>();
  /** Types of the events told in the last step. */
  told: string[] = [];
  /** The events themselves. */
  events: RunEventBody[] = [];

  constructor({ tests, provisioners = { p: 10 }, ...options }: Options) {
    this.state = newState(
      tests,
      Object.entries(provisioners).map(([name, maxRemotes]) =>
        ({ name, maxRemotes }) as Provisioner
      ),
      {
        maxSpares: 0,
        maxFailedSetups: 10,
        maxProvisionFailures: 10,
        maxPendingIngests: 100,
        ...options,
      },
      {
        next: [],
        destructive: ({ exitCode }) => exitCode !== 0,
        rerun: () => false,
        ...options,
      },
    );
  }

  begin() {
    return this.#take({ type: "begin" });
  }

  ready(id: string) {
    const remote = { id } as Remote;
    return this.#take({ type: "ready", supplier: this.#supplier(id), remote });
  }

  refuse(name: string, fatal = false) {
    const supplier = this.#supplier(name);
    const error = new Error("refused");
    return this.#take({ type: "reservation-failed", supplier, error, fatal });
  }

  requestFails(name: string) {
    const supplier = this.#supplier(name);
    const error = new Error("stopped");
    return this.#take({ type: "request-failed", supplier, error });
  }

  left(name: string) {
    return this.#take({ type: "left", supplier: this.#supplier(name) });
  }

  /** Its setup got a permit. */
  setupBegins(id: string) {
    this.#systems.get(id)!.executor = {} as Executor;
  }

  setUp(id: string) {
    this.setupBegins(id);
    const system = this.#systems.get(id)!;
    return this.#take({ type: "set-up", system });
  }

  setupFails(id: string, { begun = true } = {}) {
    const system = this.#systems.get(id)!;
    const error = new Error("no packages");
    const ms = begun ? 1 : undefined;
    return this.#take({ type: "setup-failed", system, error, ms });
  }

  noArtifacts(id: string) {
    const system = this.#systems.get(id)!;
    const error = new Error("disk full");
    return this.#take({ type: "no-artifacts", system, error });
  }

  end(id: string, how: number | Error = 0) {
    const [test, attempt] = this.#attempts.get(id)!;
    return this.#take({
      type: "test-ended",
      system: this.#systems.get(id)!,
      artifacts: `artifacts of ${test}`,
      outcome: {
        test,
        attempt,
        ...(how instanceof Error ? { error: how } : { exitCode: how }),
        remote: id,
        startedAt: 1,
        finishedAt: 2,
      },
    });
  }

  lose(id: string) {
    const system = this.#systems.get(id)!;
    return this.#take({ type: "lost", system, error: new Error("vanished") });
  }

  abort() {
    return this.#take({ type: "abort", reason: new Error("enough") });
  }

  journalFails() {
    const error = new Error("disk full");
    return this.#take({ type: "journal-failed", error });
  }

  stall() {
    return this.#take({ type: "stall", ms: 5 });
  }

  stored() {
    return this.#take({ type: "ingest-ended" });
  }

  released() {
    return this.#take({ type: "release-ended" });
  }

  get owed() {
    return Object.fromEntries(
      this.state.demand.suppliers.map(({ provisioner, owed }) => [
        provisioner.name,
        owed,
      ]),
    );
  }

  #supplier(id: string) {
    const name = id.split("#")[0];
    return this.state.demand.suppliers.find(({ provisioner }) =>
      provisioner.name === name
    )!;
  }

  #take(happening: Happening): string[] {
    this.told = [];
    this.events = [];
    return decide(this.state, happening).flatMap((action) => {
      if (action.type === "set-up") {
        this.#systems.set(action.system.remote.id, action.system);
      } else if (action.type === "run") {
        const { system, test, attempt } = action;
        this.#attempts.set(system.remote.id, [test, attempt]);
      } else if (action.type === "tell") {
        this.told.push(action.event.type);
        this.events.push(action.event);
        return [];
      }
      return [describe(action)];
    });
  }
}

function describe(action: Action): string {
  switch (action.type) {
    case "tell":
      return action.event.type;
    case "request":
      return `request ${action.count} of ${action.supplier.provisioner.name}`;
    case "clear":
      return `clear ${
        action.suppliers.map(({ provisioner }) => provisioner.name)
      }`;
    case "take":
      return `take of ${action.supplier.provisioner.name}`;
    case "set-up":
    case "cancel":
      return `${action.type} ${action.system.remote.id}`;
    case "run":
      return `run ${action.test}#${action.attempt} on ${action.system.remote.id}`;
    case "ingest":
      return `ingest ${action.outcome.test}#${action.outcome.attempt}${
        action.earlier ? " as earlier" : ""
      }`;
    case "drop":
      return `drop ${action.artifacts}`;
    case "release":
      return `release ${action.system.remote.id} ${action.reason}${
        action.usable ? "" : " as it is"
      }`;
    case "leave":
    case "finish":
      return action.type;
  }
}

/** A desk on which systems were handed out and set up, in this order. */
function begun(options: Options, ...systems: string[]): Desk {
  const desk = new Desk(options);
  desk.begin();
  for (const id of systems) {
    desk.ready(id);
    desk.setUp(id);
  }
  return desk;
}

Deno.test("begin: asks each provisioner that has systems for as many as are wanted", () => {
  const desk = new Desk({
    tests: ["/a", "/b"],
    provisioners: { p: 3, none: 0, q: Infinity },
    maxSpares: 1,
  });
  equal(desk.begin(), [
    "request 3 of p",
    "take of p",
    "request 3 of q",
    "take of q",
  ]);
});

Deno.test("begin: without any system to ask for, the run is over at once", () => {
  const desk = new Desk({ tests: ["/a"], provisioners: { p: 0 } });
  equal(desk.begin(), ["leave", "finish"]);
  equal(desk.state.end?.kind, "NoRemotes");
  equal(
    desk.state.end?.why,
    "no provisioner can supply systems (p: maxRemotes is 0)",
  );
});

Deno.test("ready: a system that is needed is set up, and the next one is waited for", () => {
  const desk = begun({ tests: ["/a", "/b"] });
  equal(desk.ready("p#1"), ["set-up p#1", "take of p"]);
  equal(desk.owed, { p: 1 });
});

Deno.test("ready: a system that is not needed is given back without setup", () => {
  const desk = begun({ tests: ["/a"], provisioners: { p: 1, q: 1 } }, "p#1");
  equal(desk.ready("q#1"), ["release q#1 surplus"]);
  equal(desk.told, ["remote-surplus"]);
});

Deno.test("ready: an answer to demand that was dropped does not count below zero", () => {
  const desk = begun({ tests: ["/a", "/b", "/c"] }, "p#1");
  desk.end("p#1");
  equal(desk.end("p#1").at(-1), "clear p");
  equal(desk.ready("p#2"), ["release p#2 surplus", "take of p"]);
  desk.ready("p#3");
  equal(desk.owed, { p: 0 });
  equal(desk.state.demand.owed, 0);
});

Deno.test("ready: no more systems are taken than were asked for", () => {
  const desk = new Desk({ tests: ["/a", "/b"] });
  desk.begin();
  equal(desk.ready("p#1"), ["set-up p#1", "take of p"]);
  equal(desk.ready("p#2"), ["set-up p#2"]);
  desk.setUp("p#1");
  equal(desk.setupFails("p#2").slice(1), ["request 1 of p", "take of p"]);
});

Deno.test("ready: after an abort a system is given back for that reason", () => {
  const desk = begun({ tests: ["/a", "/b", "/c"] }, "p#1");
  desk.abort();
  equal(desk.ready("p#2"), ["release p#2 abort", "take of p"]);
});

Deno.test("reservation failed: it is asked for again, of the provisioners in turn", () => {
  const desk = begun({ tests: ["/a"], provisioners: { p: 1, q: 1 } });
  equal(desk.refuse("p"), [], "q still owes one");
  equal(desk.refuse("q"), ["request 1 of p", "take of p"]);
  equal(desk.refuse("p"), ["request 1 of q", "take of q"]);
});

Deno.test("reservation failed: too often, and nothing more is asked of the provisioner", () => {
  const desk = begun({
    tests: ["/a", "/b"],
    provisioners: { p: 2, q: 2 },
    maxProvisionFailures: 1,
  });
  equal(desk.refuse("p"), ["take of p"]);
  equal(desk.refuse("p"), ["clear p"]);
  equal(desk.owed, { p: 0, q: 2 });
  equal(desk.refuse("q"), ["take of q", "request 1 of q"]);
});

Deno.test("reservation failed: fatally, and nothing more is asked of the provisioner", () => {
  const desk = begun({ tests: ["/a"], provisioners: { p: 1, q: 1 } });
  equal(desk.refuse("q", true), ["clear q"]);
  equal(desk.state.mode, "active");
  equal(desk.refuse("p", true), ["clear p", "leave", "finish"]);
  equal(desk.state.end?.kind, "NoRemotes");
  equal(
    desk.state.end?.why,
    "no provisioner can supply systems (p: refused; q: refused)",
  );
});

Deno.test("request failed: the provisioner is dead, but what it owes is still waited for", () => {
  const desk = new Desk({ tests: ["/a"], provisioners: { p: 1 } });
  desk.begin();
  equal(desk.requestFails("p"), ["clear p", "leave"]);
  equal(desk.left("p"), ["finish"]);
});

Deno.test("set up: the next test starts", () => {
  const desk = begun({ tests: ["/a", "/b"] });
  desk.ready("p#1");
  equal(desk.setUp("p#1"), ["run /a#1 on p#1"]);
});

Deno.test("set up: a system without a test is a spare if spares are wanted", () => {
  const desk = begun({ tests: ["/a"], maxSpares: 1 }, "p#1", "p#2");
  equal(desk.told, ["remote-idle"]);
  equal(desk.state.idle.size, 1);
});

Deno.test("set up: a system without a test is given back if there are enough spares", () => {
  const desk = begun({ tests: ["/a", "/b"], maxSpares: 1 });
  for (const id of ["p#1", "p#2", "p#3"]) desk.ready(id);
  desk.setUp("p#1");
  desk.setUp("p#2");
  desk.end("p#1"); // a spare from now on
  equal(desk.setUp("p#3"), ["release p#3 surplus"]);
});

Deno.test("setup failed: the system is replaced from where it came", () => {
  const desk = begun({ tests: ["/a"], provisioners: { p: 1, q: 1 } });
  desk.ready("q#1");
  desk.refuse("p", true);
  equal(desk.setupFails("q#1"), [
    "release q#1 setup-failed",
    "request 1 of q",
    "take of q",
  ]);
  equal(desk.told, ["setup-failed"]);
});

Deno.test("setup failed: one too many ends the run when what runs has ended", () => {
  const desk = begun({ tests: ["/a", "/b", "/c"], maxFailedSetups: 0 }, "p#1");
  desk.ready("p#2");
  desk.ready("p#3");
  desk.setupBegins("p#3");
  const cancelled = () =>
    desk.events.map((event) => "cancelled" in event && event.cancelled);
  equal(desk.setupFails("p#2"), ["release p#2 setup-failed"]);
  equal(cancelled(), [false, false]);
  equal(desk.told, ["setup-failed", "draining"], "all demand was answered");
  equal(desk.end("p#1"), [
    "release p#1 done",
    "ingest /a#1",
    "leave",
    "cancel p#3",
  ]);
  equal(desk.setupFails("p#3"), ["release p#3 surplus"]);
  equal(cancelled(), [true], "it is told apart from those that failed");
  equal(desk.state.failedSetups, 1, "what was cancelled did not fail");
  equal(desk.state.end?.kind, "SetupRetriesExceeded");
  equal(desk.state.end?.why, "too many setups failed (1), the last one on p#2");
});

Deno.test("draining: a setup under way goes on, one that waits never begins", () => {
  const desk = begun({ tests: ["/a", "/b", "/c", "/d"], maxFailedSetups: 0 });
  for (const id of ["p#1", "p#2", "p#3", "p#4"]) desk.ready(id);
  desk.setUp("p#1");
  desk.setupBegins("p#3");
  equal(desk.setupFails("p#2"), ["release p#2 setup-failed", "cancel p#4"]);
  equal(desk.setupFails("p#4", { begun: false }), ["release p#4 surplus"]);
  equal(desk.told, []);
  equal(desk.setUp("p#3"), ["release p#3 surplus"]);
  equal(desk.end("p#1"), ["release p#1 done", "ingest /a#1", "leave"]);
});

Deno.test("setup failed: one that was never begun is not told of", () => {
  const desk = begun({ tests: ["/a"] });
  desk.ready("p#1");
  desk.abort();
  desk.setupFails("p#1", { begun: false });
  equal(desk.told, []);
});

Deno.test("test ended: the next test starts on the same system, before results are stored", () => {
  const desk = begun({ tests: ["/a", "/b"] }, "p#1");
  equal(desk.end("p#1"), ["run /b#1 on p#1", "ingest /a#1", "clear p"]);
  equal(desk.told, ["test-finished", "demand-cancelled"]);
});

Deno.test("test ended: without a further test the system is kept as a spare, else given back", () => {
  const desk = begun({ tests: ["/a", "/b"], maxSpares: 1 }, "p#1", "p#2");
  equal(desk.end("p#1"), ["ingest /a#1", "clear p"]);
  equal(desk.state.idle.size, 1);
  equal(desk.end("p#2"), [
    "release p#2 done",
    "ingest /b#1",
    "release p#1 done",
    "leave",
  ], "nothing runs that could need a spare");
});

Deno.test("test ended: a system that is unusable is given back and replaced from where it came", () => {
  const desk = begun({
    tests: ["/a", "/b"],
    provisioners: { p: 1, q: 1 },
  }, "q#1");
  desk.refuse("p", true);
  desk.refuse("q");
  equal(desk.end("q#1", 1), ["release q#1 destroyed as it is", "ingest /a#1"]);
  equal(desk.owed, { p: 0, q: 1 });
});

Deno.test("test ended: an error always counts as failed and as destroyed", () => {
  const asked: string[] = [];
  const desk = begun({
    tests: ["/a"],
    destructive: () => {
      asked.push("destructive");
      return false;
    },
    rerun: ({ error }) => {
      asked.push(`rerun ${error?.message}`);
      return false;
    },
  }, "p#1");
  equal(desk.end("p#1", new Error("gone")), [
    "release p#1 destroyed as it is",
    "ingest /a#1",
    "leave",
  ]);
  equal(asked, ["rerun gone"]);
});

Deno.test("test ended: a rerun goes to the end of the queue, its results to the earlier ones", () => {
  const desk = begun({
    tests: ["/a", "/b"],
    rerun: ({ attempt }) => attempt < 2,
    destructive: () => false,
  }, "p#1");
  equal(desk.end("p#1", 1), ["run /b#1 on p#1", "ingest /a#1 as earlier"]);
  equal(desk.end("p#1"), ["run /a#2 on p#1", "ingest /b#1", "clear p"]);
  equal(desk.end("p#1", 1), ["release p#1 done", "ingest /a#2", "leave"]);
});

Deno.test("test ended: one that passed is never run again", () => {
  const desk = begun({ tests: ["/a"], rerun: () => true }, "p#1");
  equal(desk.end("p#1").at(1), "ingest /a#1");
});

Deno.test("test ended: rules see the test, its outcome, the system and what ran there before", () => {
  const seen: unknown[] = [];
  const desk = begun({
    tests: ["/a", "/b"],
    destructive: ({ remote, previous, test, attempt, exitCode, artifacts }) => {
      seen.push([
        remote.id,
        previous?.test,
        test,
        attempt,
        exitCode,
        artifacts,
      ]);
      return false;
    },
  }, "p#1");
  desk.end("p#1");
  desk.end("p#1", 3);
  equal(seen, [
    ["p#1", undefined, "/a", 1, 0, "artifacts of /a"],
    ["p#1", "/a", "/b", 1, 3, "artifacts of /b"],
  ]);
});

Deno.test("test ended while draining: stored as the final result, and nothing starts", () => {
  const desk = begun({
    tests: ["/a", "/b"],
    maxFailedSetups: 0,
    rerun: () => true,
  }, "p#1");
  desk.ready("p#2");
  desk.setupFails("p#2");
  equal(desk.end("p#1", 1), [
    "release p#1 destroyed as it is",
    "ingest /a#1",
    "leave",
  ]);
});

Deno.test("test ended after an abort by itself: stored", () => {
  const desk = begun({ tests: ["/a", "/b"] }, "p#1");
  desk.abort();
  equal(desk.end("p#1"), ["release p#1 abort", "ingest /a#1", "leave"]);
});

Deno.test("test ended after an abort by an error: dropped", () => {
  const desk = begun({ tests: ["/a", "/b"] }, "p#1");
  desk.abort();
  equal(desk.end("p#1", new Error("cancelled")), [
    "release p#1 abort as it is",
    "drop artifacts of /a",
    "leave",
  ]);
});

Deno.test("lost: a test on the system is cancelled, and its system counts as destroyed whatever comes of it", () => {
  const desk = begun({ tests: ["/a", "/b"] }, "p#1");
  equal(desk.lose("p#1"), ["cancel p#1"]);
  equal(desk.told, ["remote-lost"]);
  equal(desk.end("p#1", 0), ["release p#1 destroyed as it is", "ingest /a#1"]);
});

Deno.test("lost: a setup is cancelled and counts as failed", () => {
  const desk = begun({ tests: ["/a"] });
  desk.ready("p#1");
  equal(desk.lose("p#1"), ["cancel p#1"]);
  equal(desk.setupFails("p#1"), [
    "release p#1 destroyed as it is",
    "request 1 of p",
    "take of p",
  ]);
  equal(desk.state.failedSetups, 1);
});

Deno.test("lost: a setup that ended nevertheless is of no use", () => {
  const desk = begun({ tests: ["/a"] });
  desk.ready("p#1");
  desk.lose("p#1");
  equal(desk.setUp("p#1"), [
    "release p#1 destroyed as it is",
    "request 1 of p",
    "take of p",
  ]);
});

Deno.test("lost: a spare is given back and replaced", () => {
  const desk = begun({ tests: ["/a"], maxSpares: 1 }, "p#1", "p#2");
  equal(desk.lose("p#2"), [
    "release p#2 destroyed as it is",
    "request 1 of p",
    "take of p",
  ]);
});

Deno.test("lost: after its release it does not matter", () => {
  const desk = begun({ tests: ["/a", "/b"] }, "p#1");
  desk.end("p#1", 1);
  equal(desk.lose("p#1"), []);
  equal(desk.told, []);
});

Deno.test("abort: demand is dropped, what runs and what is set up is cancelled", () => {
  const desk = begun({ tests: ["/a", "/b", "/c"] }, "p#1");
  desk.ready("p#2");
  equal(desk.abort(), ["clear p", "cancel p#1", "cancel p#2"]);
  equal(desk.told, ["aborting", "demand-cancelled"]);
  equal(desk.setupFails("p#2"), ["release p#2 abort"]);
});

Deno.test("abort: before anything began the run is over at once", () => {
  const desk = new Desk({ tests: ["/a"] });
  equal(desk.abort(), ["leave", "finish"]);
  equal(desk.state.end?.kind, "Aborted");
});

Deno.test("abort: the second one changes nothing", () => {
  const desk = begun({ tests: ["/a"] }, "p#1");
  desk.abort();
  equal(desk.abort(), []);
  equal(desk.told, []);
});

Deno.test("abort while winding down: only the outcome changes", () => {
  const desk = begun({ tests: ["/a"] }, "p#1");
  desk.end("p#1");
  equal(desk.abort(), []);
  equal(desk.state.end?.kind, "Aborted");
  desk.stored();
  equal(desk.released(), ["finish"]);
});

Deno.test("abort while draining, and after that: the outcome changes and keeps what it was", () => {
  for (const ended of [false, true]) {
    const desk = begun({ tests: ["/a", "/b"], maxFailedSetups: 0 }, "p#1");
    desk.ready("p#2");
    desk.setupFails("p#2");
    if (ended) desk.end("p#1");
    equal(desk.abort(), ended ? [] : ["cancel p#1"]);
    const { kind, why, before } = desk.state.end!;
    equal([kind, before?.kind], ["Aborted", "SetupRetriesExceeded"]);
    equal(
      why,
      "the run was aborted after too many setups failed (1), the last one on p#2",
    );
  }
});

Deno.test("stall: ends the run if it is still waiting", () => {
  const desk = begun({ tests: ["/a"], provisioners: { p: 1, q: 1 } });
  equal(desk.stall(), ["clear p,q", "leave"]);
  equal(desk.state.end?.kind, "Stalled");
  equal(desk.state.end?.why, "p, q delivered nothing for 5 ms");
});

Deno.test("stall: means nothing if something was delivered meanwhile", () => {
  const desk = begun({ tests: ["/a"] });
  desk.ready("p#1");
  equal(desk.stall(), []);
  equal(desk.state.mode, "active");
});

Deno.test("no place for artifacts: the test is not run, and the run ends", () => {
  const desk = begun({ tests: ["/a", "/b"] }, "p#1");
  equal(desk.noArtifacts("p#1"), ["clear p", "release p#1 surplus", "leave"]);
  equal(desk.state.end?.kind, "IngestFailed");
});

Deno.test("D0: a spare takes over at once when a rerun comes up", () => {
  const desk = begun(
    {
      tests: ["/a", "/b"],
      maxSpares: 1,
      rerun: () => true,
    },
    "p#1",
    "p#2",
    "p#3",
  );
  equal(desk.state.idle.size, 1);
  equal(desk.end("p#1", 1), [
    "release p#1 destroyed as it is",
    "ingest /a#1 as earlier",
    "run /a#2 on p#3",
    "request 1 of p",
    "take of p",
  ]);
});

Deno.test("D1: a missing spare is asked for, of the living provisioners in turn", () => {
  const desk = begun({
    tests: ["/a", "/b", "/c"],
    provisioners: { p: 9, dead: 9, q: 9 },
    maxSpares: 2,
  });
  desk.refuse("dead", true);
  for (const name of ["p", "q"]) {
    for (let i = 0; i < 3; i++) desk.refuse(name);
  }
  equal(desk.owed, { p: 3, dead: 0, q: 2 });
});

Deno.test("D2: spares that can be of no use any more are given back, the oldest first", () => {
  const desk = begun(
    { tests: ["/a", "/b"], maxSpares: 2 },
    "p#1",
    "p#2",
    "p#3",
    "p#4",
  );
  equal(desk.state.idle.size, 2);
  equal(desk.end("p#1", 1), [
    "release p#1 destroyed as it is",
    "ingest /a#1",
    "release p#3 surplus",
  ]);
});

Deno.test("D3: demand is dropped as soon as no test waits, and again after a rerun", () => {
  const desk = begun({ tests: ["/a"], rerun: () => true });
  desk.ready("p#1");
  equal(desk.setUp("p#1"), ["run /a#1 on p#1"], "there was no demand left");
  equal(desk.end("p#1", 1), [
    "release p#1 destroyed as it is",
    "ingest /a#1 as earlier",
    "request 1 of p",
    "take of p",
  ]);
  desk.ready("p#2");
  equal(desk.setUp("p#2"), ["run /a#2 on p#2"]);
  const two = begun({ tests: ["/a", "/b"] }, "p#1");
  equal(two.end("p#1").at(-1), "clear p");
  equal(two.owed, { p: 0 });
});

Deno.test("D3: not before the spares are there", () => {
  const desk = begun({ tests: ["/a"], maxSpares: 1 }, "p#1");
  equal(desk.owed, { p: 1 });
});

Deno.test("F3: the run goes on as long as something runs that may free a system", () => {
  const desk = begun({ tests: ["/a", "/b"] }, "p#1");
  desk.refuse("p", true);
  equal(desk.state.mode, "active");
  equal(desk.end("p#1"), ["run /b#1 on p#1", "ingest /a#1"]);
});

Deno.test("F3: a test is left without systems when the last one is destroyed", () => {
  const desk = begun({ tests: ["/a", "/b"] }, "p#1");
  desk.refuse("p", true);
  equal(desk.end("p#1", 1), [
    "release p#1 destroyed as it is",
    "ingest /a#1",
    "leave",
  ]);
  equal(desk.state.end?.kind, "NoRemotes");
});

Deno.test("E1: when nothing is left, spares are given back and setups are cancelled", () => {
  const desk = begun(
    { tests: ["/a", "/b"], maxSpares: 2 },
    "p#1",
    "p#2",
    "p#3",
  );
  desk.ready("p#4");
  equal(desk.state.idle.size + desk.state.settingUp.size, 2);
  desk.end("p#1");
  equal(desk.end("p#2"), [
    "release p#2 done",
    "ingest /b#1",
    "release p#3 surplus",
    "leave",
    "cancel p#4",
  ]);
});

Deno.test("E2: the run is over when setups, ingests, releases and waiting have ended", () => {
  const desk = begun({ tests: ["/a", "/b"], maxSpares: 1 }, "p#1");
  desk.ready("p#2");
  desk.end("p#1"); // goes on with /b
  desk.end("p#1");
  equal(desk.stored(), []);
  equal(desk.stored(), []);
  equal(desk.released(), []);
  equal(desk.setupFails("p#2"), ["release p#2 surplus"]);
  equal(desk.left("p"), []);
  equal(desk.released(), ["finish"]);
  equal(desk.state.mode, "done");
});

Deno.test("E2: whichever of them ends last", () => {
  const steps = {
    stored: (desk: Desk) => desk.stored(),
    released: (desk: Desk) => desk.released(),
    left: (desk: Desk) => desk.left("p"),
    setUp: (desk: Desk) => (desk.setUp("p#2"), desk.released()),
  };
  for (const last of Object.values(steps)) {
    const desk = begun({ tests: ["/a", "/b"], maxSpares: 1 }, "p#1");
    desk.ready("p#2");
    desk.end("p#1"); // goes on with /b
    desk.end("p#1");
    for (const step of Object.values(steps)) {
      if (step !== last) equal(step(desk).at(-1) !== "finish", true);
    }
    desk.stored();
    equal(last(desk).at(-1), "finish");
  }
});

Deno.test("what was told to end is not told again", () => {
  const desk = begun({ tests: ["/a", "/b", "/c"], maxFailedSetups: 0 }, "p#1");
  desk.ready("p#2");
  desk.ready("p#3");
  equal(desk.setupFails("p#2").at(-1), "cancel p#3");
  equal(desk.end("p#1"), ["release p#1 done", "ingest /a#1", "leave"]);
  equal(desk.abort(), []);
});

Deno.test("a rule that names an unknown test ends the run, and its system is given back", () => {
  const desk = begun({ tests: ["/a", "/b"], next: [() => ["/c"]] });
  desk.ready("p#1");
  equal(desk.setUp("p#1"), ["clear p", "release p#1 surplus", "leave"]);
  equal(desk.state.end?.kind, "InvalidNextTest");
  equal(
    desk.state.end?.why,
    `rule 1 of "next" named "/c", which was not offered to it`,
  );
});

Deno.test("a rule that throws ends the run; the result in question is stored", () => {
  for (const name of ["destructive", "rerun"] as const) {
    const rules = {
      destructive: () => false,
      rerun: () => false,
      [name]: () => {
        throw new Error("oh no");
      },
    };
    const desk = begun({ tests: ["/a", "/b"], ...rules }, "p#1");
    equal(desk.end("p#1", 1), [
      "clear p",
      "release p#1 destroyed as it is",
      "ingest /a#1",
      "leave",
    ]);
    equal(desk.state.end?.kind, "PolicyFailed");
    equal(desk.state.end?.why, `the rule "${name}" threw`);
  }
});

Deno.test("a rule that gives no boolean ends the run instead of running a test for ever", () => {
  const promise = Promise.reject(new Error("nobody waits for it"));
  for (const name of ["destructive", "rerun"] as const) {
    for (const answer of [promise, undefined, "yes"]) {
      const rules = {
        destructive: () => false,
        rerun: () => false,
        [name]: () => answer,
      };
      const desk = begun({ tests: ["/a", "/b"], ...rules }, "p#1");
      equal(desk.end("p#1", 1), [
        "clear p",
        "release p#1 destroyed as it is",
        "ingest /a#1",
        "leave",
      ]);
      equal(desk.state.end, {
        kind: "PolicyFailed",
        why: `the rule "${name}" gave ${
          Deno.inspect(answer)
        } instead of true or false`,
        cause: undefined,
      });
    }
  }
});

Deno.test("back-pressure: while too many results wait, systems are held and no test starts", () => {
  const desk = begun(
    { tests: ["/a", "/b", "/c"], maxPendingIngests: 2 },
    "p#1",
  );
  equal(desk.end("p#1"), ["run /b#1 on p#1", "ingest /a#1"]);
  equal(desk.end("p#1"), ["ingest /b#1"]);
  equal(desk.told, ["test-finished", "remote-idle"]);
  equal(desk.stored(), ["run /c#1 on p#1", "clear p"]);
});

Deno.test("decide() does not search: 10,000 tests on 1,000 systems, each run twice", () => {
  const tests = Array.from({ length: 10_000 }, (_, i) => `/t${i}`);
  const rank = (test: string) => Number(test.slice(2)) % 97;
  const desk = new Desk({
    tests,
    provisioners: { p: 1_000 },
    next: [Object.assign((list: readonly string[]) => list, { rank })],
    destructive: () => false,
    rerun: ({ attempt }) => attempt < 2,
    maxPendingIngests: Infinity,
  });
  desk.begin();
  const systems = Array.from({ length: 1_000 }, (_, i) => `p#${i}`);
  const before = performance.now();
  for (const id of systems) {
    desk.ready(id);
    desk.setUp(id);
  }
  let ends = 0;
  for (; desk.state.running.size > 0; ends++) {
    const [system] = desk.state.running;
    desk.end(system.remote.id, 1);
    desk.stored();
  }
  equal(ends, 20_000);
  // usually a tenth of a second; a search through the queue at each event would take minutes
  ok(performance.now() - before < 30_000);
});

Deno.test("begin: a run that an earlier process completed asks for nothing and is over", () => {
  const desk = new Desk({ tests: ["/a"], maxSpares: 2 });
  resumeState(desk.state, { tests: [], attempts: new Map() });
  equal(desk.begin(), ["leave", "finish"]);
  equal([desk.state.mode, desk.state.end], ["done", undefined]);
});

Deno.test("begin: what an earlier process left is run, with numbers that go on", () => {
  const desk = new Desk({ tests: ["/a", "/b"] });
  resumeState(desk.state, { tests: ["/b"], attempts: new Map([["/b", 2]]) });
  desk.begin();
  equal(desk.owed, { p: 1 });
  desk.ready("p#1");
  equal(desk.setUp("p#1"), ["run /b#3 on p#1"]);
});

Deno.test("journal-failed: what runs comes to its end and is stored, nothing else is begun", () => {
  const desk = new Desk({ tests: ["/a", "/b"], provisioners: { p: 1 } });
  desk.begin();
  desk.ready("p#1");
  desk.setUp("p#1");
  desk.journalFails();
  equal(desk.told, ["draining", "demand-cancelled"]);
  ok(desk.end("p#1").some((action) => action.startsWith("ingest")));
  desk.stored();
  desk.released();
  desk.left("p");
  equal([desk.state.mode, desk.state.end?.kind], ["done", "JournalFailed"]);
});

Deno.test("journal-failed: also at the very end it is told", () => {
  const desk = new Desk({ tests: ["/a"] });
  desk.begin();
  desk.ready("p#1");
  desk.setUp("p#1");
  desk.end("p#1");
  equal(desk.state.mode, "over");
  desk.journalFails();
  equal(desk.state.end?.kind, "JournalFailed");
});

Deno.test("journal-failed: what went wrong before counts more", () => {
  const desk = new Desk({ tests: ["/a"] });
  desk.begin();
  desk.abort();
  desk.journalFails();
  equal(desk.state.end?.kind, "Aborted");
});
