import {
  deepStrictEqual as equal,
  ok,
  rejects,
  strictEqual,
} from "node:assert/strict";
import type { RunEvent } from "../../orchestrators/orchestrator.ts";
import { runAll } from "../../orchestrators/run_all.ts";
import {
  type TraceEvent,
  traceOf,
  writeTrace,
} from "../../orchestrators/trace.ts";
import { eventfulRun, given, ONE_OF_EACH } from "./_events.ts";

const at = (time: number, type: string, more: Record<string, unknown> = {}) =>
  ({ time, type, ...more }) as unknown as RunEvent;
const a = { remote: "a" };
const test = { ...a, test: "/t", attempt: 1, artifacts: "" };

const SMALL = [
  at(100, "run-started", { platform: "p", tests: ["/t"] }),
  at(101, "remote-ready", {
    ...a,
    provisioner: "x",
    attributes: { image: "i" },
  }),
  at(102, "setup-started", a),
  at(104, "setup-finished", { ...a, ms: 2 }),
  at(104, "test-started", test),
  at(107, "test-finished", {
    ...test,
    exitCode: 1,
    ms: 3,
    destroyed: false,
    rerun: true,
  }),
  at(107, "remote-idle", a),
  at(108, "test-started", { ...test, attempt: 2 }),
  at(109, "test-finished", {
    ...test,
    attempt: 2,
    exitCode: 0,
    ms: 1,
    destroyed: false,
    rerun: false,
  }),
  at(109, "remote-lost", { ...a, error: new Error("gone") }),
  at(110, "release-started", { ...a, reason: "destroyed" }),
  at(112, "release-finished", { ...a, reason: "destroyed", ms: 2 }),
  at(113, "run-finished", { kind: null, summary: { tests: 1, notRun: [] } }),
];

const traced = (events: Iterable<RunEvent>) =>
  Array.fromAsync(traceOf(given(events)));

const spansIn = (trace: readonly TraceEvent[]) =>
  trace.filter(({ ph }) => ph === "X");

Deno.test("traceOf() gives a track for each system, with what it did", async () => {
  const trace = await traced(SMALL);
  const name = (tid: number) =>
    trace.find((it) => it.name === "thread_name" && it.tid === tid)!.args!.name;
  equal(
    spansIn(trace).map(({ name: what, tid, ts, dur, cname }) =>
      [what, name(tid), ts, dur, cname].filter((it) => it !== undefined)
    ),
    [
      ["setup", "a", 2000, 2000],
      ["/t", "a", 4000, 3000, "bad"],
      ["/t", "a", 8000, 1000, "good"],
      ["release", "a", 10000, 2000],
      ["a", "a", 1000, 11000],
      ["p", "run", 0, 13000],
    ],
  );
  const [first] = spansIn(trace).filter(({ name }) => name === "/t");
  equal([first!.args!.attempt, first!.args!.exitCode], [1, 1]);
  const arrow = trace.filter(({ ph }) => ph === "s" || ph === "f");
  equal(arrow.map(({ ph, ts }) => [ph, ts]), [["s", 7000], ["f", 8000]]);
  strictEqual(arrow[0]!.id, arrow[1]!.id);
  const lost = trace.find(({ ph }) => ph === "i")!;
  equal([lost.name, lost.tid, lost.args!.error], [
    "remote-lost",
    first!.tid,
    "Error: gone",
  ]);
  equal(
    trace.filter(({ ph, name }) => ph === "C" && name === "tests")
      .map(({ args }) => [args!.running, args!.queued]),
    [[0, 1], [1, 0], [0, 1], [1, 0], [0, 0]],
  );
});

Deno.test("traceOf() ends what has no end with the last event", async () => {
  const spans = spansIn(await traced(SMALL.slice(0, 8)));
  equal(
    spans.filter(({ args }) => args!.unfinished).map((
      { name, ts, dur },
    ) => [name, ts, dur]),
    [["/t", 8000, 0], ["a", 1000, 7000], ["p", 0, 8000]],
  );
});

Deno.test("traceOf() goes on after a process that was killed", async () => {
  const killed = SMALL.slice(0, 5);
  const later = SMALL.map((event) => ({ ...event, time: event.time + 50 }));
  const spans = spansIn(await traced([...killed, ...later]));
  equal(
    spans.filter(({ name }) => name === "p").map(({ ts, dur }) => [ts, dur]),
    [
      [0, 4_000],
      [50_000, 13_000],
    ],
  );
});

Deno.test("traceOf() ends all runs of a process that was killed where its events end", async () => {
  const process = (at: number, events: readonly RunEvent[]) =>
    [0, 1].flatMap((run) =>
      events.map((event) => ({ ...event, run, time: event.time + at }))
    );
  const killed = process(0, SMALL.slice(0, 5));
  const spans = spansIn(await traced([...killed, ...process(50, SMALL)]));
  equal(
    spans.filter(({ name }) => name === "p").map(({ pid, ts, dur }) => [
      pid,
      ts,
      dur,
    ]),
    [
      [1, 0, 4_000],
      [2, 0, 4_000],
      [1, 50_000, 13_000],
      [2, 50_000, 13_000],
    ],
  );
});

Deno.test("traceOf() bears every type of event, and a clock that is set back", async () => {
  const trace = await traced([...ONE_OF_EACH, ...ONE_OF_EACH.toReversed()]);
  ok(trace.every(({ ts = 0, dur = 0 }) => ts >= 0 && dur >= 0));
  ok(trace.some(({ name, ph }) => name === "reservation-failed" && ph === "i"));
});

Deno.test("spans of one track lie within or beside each other", async () => {
  for (let n = 0; n < 5; n++) {
    const trace = await Array.fromAsync(traceOf(eventfulRun()));
    const tracks = Map.groupBy(spansIn(trace), ({ tid }) => tid);
    for (const spans of tracks.values()) {
      for (const one of spans) {
        for (const other of spans) {
          const [from, to] = [one.ts!, one.ts! + one.dur!];
          const [start, end] = [other.ts!, other.ts! + other.dur!];
          ok(
            to <= start || end <= from || (from <= start && end <= to) ||
              (start <= from && to <= end),
            JSON.stringify([one, other]),
          );
        }
      }
    }
  }
});

Deno.test("several runs are several processes of a trace", async () => {
  const run = () => ({ run: () => eventfulRun() });
  await using runs = runAll([run(), run()]);
  const trace = await Array.fromAsync(traceOf(runs));
  equal([...new Set(trace.map(({ pid }) => pid))].sort(), [1, 2]);
  strictEqual(trace.filter(({ cat }) => cat === "run").length, 2);
});

Deno.test("writeTrace() and traceOf() take a list of events, too; a file that is there is left alone", async () => {
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  try {
    const path = `${directory}/trace.json`;
    await writeTrace(SMALL, path);
    const text = await Deno.readTextFile(path);
    const made = JSON.parse(JSON.stringify(await traced(SMALL)));
    equal(JSON.parse(text).traceEvents, made);
    equal((await Array.fromAsync(traceOf(SMALL))).length, made.length);
    await rejects(writeTrace([], path), {
      name: "AlreadyExists",
      message:
        `Cannot write the trace "${path}": it is there already; choose another path or remove it`,
    });
    strictEqual(await Deno.readTextFile(path), text);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("writeTrace() writes a file that is JSON, whatever is in names", async () => {
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  try {
    const path = `${directory}/trace.json`;
    const hostile = '"\n\u2028\ud800</script>';
    for (
      const events of [[], SMALL, [
        at(1, "run-started", { platform: hostile, tests: [] }),
      ]]
    ) {
      await writeTrace(given(events), new URL(`file://${path}`), {
        existing: "replace",
      });
      const { traceEvents } = JSON.parse(await Deno.readTextFile(path));
      equal(traceEvents, JSON.parse(JSON.stringify(await traced(events))));
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
