/**
 * The timeline of a run for trace viewers, such as [Perfetto](https://ui.perfetto.dev) or
 * `chrome://tracing`: a track for each system, with its setup, tests and release, and the
 * numbers of tests that wait and run.
 *
 * @example
 * ```ts
 * import { readEventLog } from "jsr:@atex/atex/orchestrators/event-log";
 * import { writeTrace } from "jsr:@atex/atex/orchestrators/trace";
 *
 * await writeTrace(readEventLog("out/events.jsonl"), "out/trace.json");
 * ```
 *
 * @module
 */
import { checkKind, checkOptions, type Known, pathOf } from "../options.ts";
import type { RunEvent } from "./orchestrator.ts";
import { type Span, Spans } from "./_spans.ts";
import { Tally } from "./_tally.ts";

/** An entry of a trace, in the format of Chrome's trace events. */
export interface TraceEvent {
  /** What is shown. */
  readonly name: string;
  /** What it is: `X` a span, `i` a moment, `C` numbers, `M` a name, `s` and `f` the ends of an arrow. */
  readonly ph: "X" | "i" | "C" | "M" | "s" | "f" | "b" | "e";
  /** The run, counted from 1. */
  readonly pid: number;
  /** The track: a number for each system. */
  readonly tid: number;
  /** When, in microseconds since the first event. */
  readonly ts?: number | undefined;
  /** How long, in microseconds. */
  readonly dur?: number | undefined;
  /** Kind: `system`, `setup`, `test`, `release`, `ingest`, `run`. */
  readonly cat?: string | undefined;
  /** What belongs together. */
  readonly id?: string | undefined;
  /** How far a moment reaches: over its track (`t`) or its run (`p`). */
  readonly s?: "t" | "p" | undefined;
  /** The arrow ends where the span begins. */
  readonly bp?: "e" | undefined;
  /** Name of a colour. */
  readonly cname?: string | undefined;
  /** All else. */
  readonly args?: Readonly<Record<string, unknown>> | undefined;
}

/** Options of {@linkcode writeTrace}. */
export interface WriteTraceOptions {
  /**
   * What to do if the file is there already.
   *
   * @default {"fail"}
   */
  existing?: "fail" | "replace" | undefined;
}

const OPTIONS: Known<WriteTraceOptions> = {
  existing: ["fail", "replace"],
};

/**
 * Writes the events of a run, live or from a log, as a trace. Events that are not
 * followed by their ends, because a script was killed for example, end with the last one.
 *
 * Needs `--allow-write` for the file.
 *
 * @throws {Deno.errors.AlreadyExists} if the file is there already, and not to be replaced
 */
export async function writeTrace(
  events: AsyncIterable<RunEvent> | Iterable<RunEvent>,
  path: string | URL,
  options: WriteTraceOptions = {},
): Promise<void> {
  checkKind("writeTrace()", "events", events, "a run");
  checkKind("writeTrace()", "path", path, "a path or a URL");
  checkOptions("writeTrace()", options, OPTIONS);
  const { existing = "fail" } = options;
  using file = await open(pathOf(path), existing === "replace");
  const encoder = new TextEncoder();
  let text = '{"displayTimeUnit":"ms","traceEvents":[';
  let separator = "\n";
  const flush = async () => {
    let bytes = encoder.encode(text);
    text = "";
    while (bytes.length > 0) bytes = bytes.subarray(await file.write(bytes));
  };
  for await (const event of traceOf(events)) {
    text += separator + JSON.stringify(event);
    separator = ",\n";
    if (text.length > 65_536) await flush();
  }
  text += "\n]}\n";
  await flush();
}

async function open(path: string, replace: boolean): Promise<Deno.FsFile> {
  const how = replace ? { create: true, truncate: true } : { createNew: true };
  try {
    return await Deno.open(path, { write: true, ...how });
  } catch (cause) {
    if (!(cause instanceof Deno.errors.AlreadyExists)) throw cause;
    throw new Deno.errors.AlreadyExists(
      `Cannot write the trace "${path}": it is there already; choose another path or remove it`,
      { cause },
    );
  }
}

/**
 * Makes a trace of events; a span comes when it has ended.
 *
 * @example
 * ```ts
 * import { readEventLog } from "jsr:@atex/atex/orchestrators/event-log";
 * import { traceOf } from "jsr:@atex/atex/orchestrators/trace";
 *
 * for await (const { name, dur } of traceOf(readEventLog("out/events.jsonl"))) {
 *   console.log(name, dur);
 * }
 * ```
 */
export async function* traceOf(
  events: AsyncIterable<RunEvent> | Iterable<RunEvent>,
): AsyncGenerator<TraceEvent> {
  checkKind("traceOf()", "events", events, "a run");
  const trace = new Trace();
  for await (const event of events) yield* trace.take(event);
  yield* trace.end();
}

/** Events that are moments of their own, and of how much of the trace. */
const MOMENTS: Partial<Record<RunEvent["type"], "t" | "p">> = {
  "remote-lost": "t",
  "reservation-failed": "p",
  "demand-cancelled": "p",
  "stalled": "p",
  "draining": "p",
  "aborting": "p",
};

class Trace {
  readonly #spans = new Spans({
    begun: (span) => this.#begun(span),
    ended: (span) => this.#ended(span),
    event: (event, run) => this.#event(event, run),
  });
  /** Tracks of systems, by run and id; 0 is that of the run. */
  readonly #tracks = new Map<string, number>();
  readonly #tallies = new Map<number, Tally>();
  /** The last attempts of tests that run again, by run and name. */
  readonly #again = new Map<string, Span>();
  #first: number | undefined;
  #made: TraceEvent[] = [];
  #ids = 0;

  *take(event: RunEvent & { readonly run?: number }): Generator<TraceEvent> {
    this.#first ??= event.time;
    this.#spans.take(event);
    yield* this.#made.splice(0);
  }

  *end(): Generator<TraceEvent> {
    this.#spans.stop();
    yield* this.#made.splice(0);
  }

  #ts(time: number): number {
    return Math.max(0, time - this.#first!) * 1000;
  }

  #track(run: number, remote: string | undefined): number {
    return this.#tracks.get(`${run} ${remote}`) ?? 0;
  }

  #event(event: RunEvent, run: number): void {
    const pid = run + 1;
    const ts = this.#ts(event.time);
    const reach = MOMENTS[event.type];
    if (reach) {
      const { type, time: _time, ...args } = event;
      const tid = this.#track(
        run,
        "remote" in event ? event.remote : undefined,
      );
      this.#made.push({
        name: type,
        ph: "i",
        pid,
        tid,
        ts,
        s: reach,
        args: plain(args),
      });
    }
    let tally = this.#tallies.get(run);
    if (!tally) this.#tallies.set(run, tally = new Tally());
    const before = tally.status;
    tally.take(event);
    const { queued, running, settingUp, spares } = tally.status;
    const counts = { running, queued };
    const systems = { "setting up": settingUp, idle: spares };
    const changed = (a: object, b: object) =>
      JSON.stringify(a) !== JSON.stringify(b);
    const counter = { ph: "C", pid, tid: 0, ts } as const;
    if (changed(counts, { running: before.running, queued: before.queued })) {
      this.#made.push({ ...counter, name: "tests", args: counts });
    }
    if (
      changed(systems, { "setting up": before.settingUp, idle: before.spares })
    ) this.#made.push({ ...counter, name: "systems", args: systems });
  }

  #begun(span: Span): void {
    const { kind, run, name, remote, begin } = span;
    const pid = run + 1;
    if (kind === "run") {
      this.#made.push(
        { name: "process_name", ph: "M", pid, tid: 0, args: { name } },
        { name: "thread_name", ph: "M", pid, tid: 0, args: { name: "run" } },
      );
    } else if (kind === "system") {
      const tid = this.#tracks.get(`${run} ${remote}`) ??
        this.#tracks.size + 1;
      this.#tracks.set(`${run} ${remote}`, tid);
      this.#made.push(
        { name: "thread_name", ph: "M", pid, tid, args: { name } },
        {
          name: "thread_sort_index",
          ph: "M",
          pid,
          tid,
          args: { sort_index: tid },
        },
      );
    } else if (kind === "test" && begin.type === "test-started") {
      this.#arrow(span);
    }
  }

  /** An arrow from the attempt before to this one. */
  #arrow({ run, name, remote, start }: Span): void {
    const before = this.#again.get(`${run} ${name}`);
    if (!before) return;
    this.#again.delete(`${run} ${name}`);
    const arrow = {
      name: "rerun",
      cat: "test",
      pid: run + 1,
      id: `${++this.#ids}`,
    };
    this.#made.push(
      {
        ...arrow,
        ph: "s",
        tid: this.#track(run, before.remote),
        ts: this.#ts(before.end),
      },
      {
        ...arrow,
        ph: "f",
        bp: "e",
        tid: this.#track(run, remote),
        ts: this.#ts(start),
      },
    );
  }

  #ended(span: Span): void {
    const { kind, name, run, remote, start, end, finish } = span;
    const pid = run + 1;
    const tid = this.#track(run, remote);
    const ts = this.#ts(start);
    const about = { name, cat: kind, pid, tid };
    const args = argsOf(span);
    if (kind === "ingest") {
      // they overlap, unlike what is on one track
      const id = `${++this.#ids}`;
      this.#made.push(
        { ...about, ph: "b", id, ts, args },
        { ...about, ph: "e", id, ts: this.#ts(end) },
      );
      return;
    }
    if (finish?.type === "test-finished" && finish.rerun) {
      this.#again.set(`${run} ${name}`, span);
    }
    this.#made.push({
      ...about,
      name: kind === "setup" || kind === "release" ? kind : name,
      ph: "X",
      ts,
      dur: this.#ts(end) - ts,
      ...colorOf(span),
      args,
    });
  }
}

function colorOf({ kind, finish }: Span): { cname?: string } {
  const harmless = finish?.type === "setup-failed" && finish.cancelled;
  if (finish && "error" in finish && finish.error && !harmless) {
    return { cname: "terrible" };
  }
  if (kind !== "test" || finish?.type !== "test-finished") return {};
  return { cname: finish.exitCode === 0 ? "good" : "bad" };
}

/** What is known of a span beside its name and times. */
function argsOf({ begin, finish }: Span): Record<string, unknown> {
  const args: Record<string, unknown> = {};
  for (const event of [begin, finish]) {
    if (!event) continue;
    for (const [key, value] of Object.entries(event)) {
      if (["type", "time", "ms", "run", "test", "tests"].includes(key)) {
        continue;
      }
      args[key] = value;
    }
  }
  if (!finish) args.unfinished = true;
  return plain(args);
}

/** Errors as text; of a summary only its numbers. */
function plain(args: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(args).map(([key, value]) => [
      key,
      value instanceof Error
        ? `${value.name}: ${value.message}`
        : key === "summary"
        ? numbersOf(value as object)
        : key === "reason"
        ? String(value)
        : value,
    ]),
  );
}

function numbersOf(object: object): Record<string, number> {
  return Object.fromEntries(
    Object.entries(object).filter(([, value]) => typeof value === "number"),
  );
}
