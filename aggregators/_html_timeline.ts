/** From the events of a run to what its systems did. */
import type { EarlierAttempt } from "./aggregator.ts";
import type { PageBar, PageRun, PageSystem } from "./_html_data.ts";

/**
 * Something that happened in a run: an event of an orchestrator. Of those, the
 * types that tell of systems and tests are understood; others are passed over.
 */
export interface TimedEvent {
  /** What happened. */
  readonly type: string;
  /** When, in milliseconds since 1970. */
  readonly time: number;
  /** Which of several runs. */
  readonly run?: number | undefined;
}

/** What is understood of an event. */
type Known =
  & TimedEvent
  & (
    | { type: "run-started"; platform: string; tests: readonly string[] }
    | { type: "run-resumed"; done: readonly string[] }
    | {
      type: "remote-ready";
      remote: string;
      provisioner: string;
      attributes: Readonly<Record<string, string>>;
    }
    | {
      type: "setup-started" | "setup-finished" | "release-started";
      remote: string;
    }
    | { type: "remote-lost"; remote: string; error: Error }
    | {
      type: "setup-failed";
      remote: string;
      error: Error;
      cancelled?: boolean;
    }
    | { type: "release-finished"; remote: string }
    | {
      type: "release-failed";
      remote: string;
      error: Error;
      givenBack?: boolean;
    }
    | { type: "test-started"; remote: string; test: string; attempt: number }
    | {
      type: "test-finished";
      remote: string;
      test: string;
      attempt: number;
      exitCode?: number;
      error?: Error;
      rerun: boolean;
    }
    | { type: "reservation-failed"; provisioner: string; error: Error }
    | { type: "ingest-failed"; test: string; error: Error }
    | { type: "draining"; why: string; error?: Error }
    | { type: "aborting" }
    | { type: "stalled"; waitingFor: readonly string[] }
    | { type: "run-finished"; kind: string | null }
  );

/** What is known of the last attempt of a test. */
export interface LastAttempt {
  state: "queued" | "running" | "ended";
  attempt: number;
  /** Where and when it ran, once it has begun. */
  system?: string;
  startedAt?: number;
  finishedAt?: number;
  /** The attempts before, oldest first. */
  earlier: EarlierAttempt[];
}

type TestBar = PageBar & { 0: "test" };

interface System extends Omit<PageSystem, "r"> {
  id: string;
  setup?: PageBar;
  test?: TestBar;
  release?: PageBar;
}

/** Incidents that are told; if a lab is down there are thousands. */
const MAX_INCIDENTS = 200;

/** What happened in a run so far. */
export class Timeline {
  platform = "";
  startedAt = 0;
  finishedAt: number | undefined;
  /** All tests of the run. */
  readonly tests = new Map<string, LastAttempt>();
  /** What is known of those that an earlier process of the run ended. */
  readonly #ended = new Map<string, LastAttempt>();
  #kind: string | undefined;
  readonly #systems: System[] = [];
  /** The last one of each id. */
  readonly #byId = new Map<string, System>();
  readonly #incidents: [number, string][] = [];
  #moreIncidents = 0;
  /** When the last event was. */
  #last = 0;

  /** Whether the run has begun and not ended. */
  get goesOn(): boolean {
    return this.startedAt > 0 && this.finishedAt === undefined;
  }

  /** Takes an event. */
  take(event: TimedEvent): void {
    const it = event as Known;
    const at = it.time - this.startedAt;
    if (it.type !== "run-started") this.#last = at;
    switch (it.type) {
      case "run-started":
        return this.#start(it);
      case "run-resumed":
        return this.#resume(it.done);
      case "remote-ready":
        return this.#add(it.remote, it.provisioner, it.attributes, at);
      case "setup-started":
        return this.#begin(it.remote, "setup", at);
      case "setup-finished":
        return this.#end(it.remote, "setup", at);
      case "setup-failed":
        if (it.cancelled) return this.#end(it.remote, "setup", at);
        this.#end(it.remote, "setup", at, it.error.message);
        return this.#incident(at, `${it.remote}: setup failed`, it.error);
      case "remote-lost": {
        const system = this.#byId.get(it.remote);
        if (system) system.lost = it.error.message;
        return this.#incident(at, `${it.remote} was lost`, it.error);
      }
      case "test-started":
        return this.#testStarted(it, at);
      case "test-finished":
        return this.#testFinished(it, at);
      case "release-started":
        return this.#begin(it.remote, "release", at);
      case "release-finished":
        this.#end(it.remote, "release", at);
        return this.#gone(it.remote, at);
      case "release-failed": {
        const what = it.givenBack ? "cleaned up" : "given back";
        this.#end(it.remote, "release", at, it.error.message);
        this.#gone(it.remote, at);
        return this.#incident(at, `${it.remote} was not ${what}`, it.error);
      }
      case "reservation-failed":
        return this.#incident(at, `${it.provisioner}: no system`, it.error);
      case "ingest-failed":
        // an earlier process ended it, and this one could not store it either
        if (!this.tests.has(it.test)) {
          this.tests.set(it.test, { state: "ended", attempt: 1, earlier: [] });
        }
        return this.#incident(at, `${it.test} was not stored`, it.error);
      case "stalled":
        return this.#incident(
          at,
          `waiting for systems of ${it.waitingFor.join(", ")}`,
        );
      case "draining":
        return this.#incident(
          at,
          `no further test is started: ${it.why}`,
          it.error,
        );
      case "aborting":
        return this.#incident(at, "aborted");
      case "run-finished":
        this.finishedAt = it.time;
        this.#kind = it.kind ?? undefined;
        return;
    }
  }

  #start({ platform, tests, time }: Known & { type: "run-started" }): void {
    if (this.startedAt === 0) this.startedAt = time;
    else this.#breakOff();
    this.platform = platform;
    this.finishedAt = undefined;
    for (const test of tests) {
      const last = this.tests.get(test);
      if (last?.state === "ended") this.#ended.set(test, last);
      const earlier = last?.earlier ?? [];
      const attempt = earlier.length + 1;
      this.tests.set(test, { state: "queued", attempt, earlier });
    }
  }

  /** Tests that are done are among the results of an earlier process. */
  #resume(done: readonly string[]): void {
    for (const test of done) {
      const ended = this.#ended.get(test);
      if (ended) this.tests.set(test, ended);
      else this.tests.delete(test);
    }
  }

  /** The process before this one was killed: whatever was under way ended there. */
  #breakOff(): void {
    for (const system of this.#systems) {
      if (system.to !== undefined) continue;
      system.to = this.#last;
      for (const bar of system.bars) {
        if (bar[2] >= 0) continue;
        bar[2] = this.#last - bar[1];
        if (bar[0] === "test") {
          bar.splice(5, 2, "infra", "the script was killed");
        }
      }
    }
  }

  #add(
    id: string,
    provisioner: string,
    attributes: Readonly<Record<string, string>>,
    from: number,
  ): void {
    const system = { id, provisioner, attributes, from, bars: [] };
    this.#systems.push(system);
    this.#byId.set(id, system);
  }

  #begin(id: string, kind: "setup" | "release", at: number): void {
    const system = this.#byId.get(id);
    if (!system) return;
    system[kind] = [kind, at, -1];
    system.bars.push(system[kind]);
  }

  #end(
    id: string,
    kind: "setup" | "release",
    at: number,
    failed?: string,
  ): void {
    const bar = this.#byId.get(id)?.[kind];
    if (!bar) return;
    bar[2] = at - bar[1];
    if (failed !== undefined) bar[3] = failed;
  }

  #gone(id: string, at: number): void {
    const system = this.#byId.get(id);
    if (system) system.to = at;
  }

  #testStarted(
    { test, attempt, remote, time }: Known & { type: "test-started" },
    at: number,
  ): void {
    const system = this.#byId.get(remote);
    if (system) {
      system.test = ["test", at, -1, test, attempt, "running"];
      system.bars.push(system.test);
    }
    this.tests.set(test, {
      state: "running",
      attempt,
      system: remote,
      startedAt: time,
      earlier: this.tests.get(test)?.earlier ?? [],
    });
  }

  #testFinished(
    { test, remote, exitCode, error, rerun, time }: Known & {
      type: "test-finished";
    },
    at: number,
  ): void {
    const bar = this.#byId.get(remote)?.test;
    const why = error ? error.message : `exit code ${exitCode}`;
    if (bar) {
      bar[2] = at - bar[1];
      bar[5] = error ? "infra" : exitCode === 0 ? "pass" : "fail";
      if (exitCode !== 0) bar[6] = why;
    }
    const last = this.tests.get(test);
    if (!last) return;
    last.state = rerun ? "queued" : "ended";
    last.finishedAt = time;
    if (!rerun) return;
    last.earlier.push({ status: error ? "infra" : "fail", note: why });
    last.attempt++;
  }

  #incident(at: number, what: string, error?: Error): void {
    if (this.#incidents.length === MAX_INCIDENTS) this.#moreIncidents++;
    else {
      this.#incidents.push([at, error ? `${what}: ${error.message}` : what]);
    }
  }

  /** For the page; the functions give indices. */
  toPage(
    systemIndex: (id: string) => number,
    platformIndex: (name: string) => number,
    testIndex: (test: string) => number | undefined,
  ): PageRun {
    const tail = this.#tail();
    return {
      platform: platformIndex(this.platform),
      startedAt: this.startedAt,
      ...(this.finishedAt !== undefined && { finishedAt: this.finishedAt }),
      ...(this.#kind && { kind: this.#kind }),
      systems: this.#systems.map((
        { id, provisioner, attributes, from, to, lost, bars },
      ) => ({
        r: systemIndex(id),
        provisioner,
        attributes,
        from,
        ...(to !== undefined && { to }),
        ...(lost !== undefined && { lost }),
        bars: bars.map((bar): PageBar =>
          bar[0] === "test"
            ? bar.with(3, testIndex(bar[3] as string) ?? bar[3]) as TestBar
            : bar
        ),
      })),
      incidents: this.#incidents,
      ...(this.#moreIncidents > 0 && { moreIncidents: this.#moreIncidents }),
      ...(tail && { tail: [tail.test, systemIndex(tail.system), tail.ms] }),
    };
  }

  /** The test that ended last, and for how long no other one ran. */
  #tail(): { test: string; system: string; ms: number } | undefined {
    if (this.finishedAt === undefined) return;
    let [last, before, system] = [undefined as TestBar | undefined, 0, ""];
    const endOf = (bar: PageBar) => bar[1] + bar[2];
    for (const { id, bars } of this.#systems) {
      for (const bar of bars) {
        if (bar[0] !== "test") continue;
        if (!last || endOf(bar) > endOf(last)) {
          if (last) before = Math.max(before, endOf(last));
          [last, system] = [bar, id];
        } else before = Math.max(before, endOf(bar));
      }
    }
    if (!last) return;
    const ms = endOf(last) - Math.max(before, last[1]);
    return { test: last[3] as string, system, ms };
  }
}

/** Timelines of several runs, whose events may come mixed. */
export class Timelines {
  readonly all = new Map<number, Timeline>();

  /** Takes an event; returns its timeline if it is the first one of that. */
  take(event: TimedEvent): Timeline | undefined {
    const { run = 0 } = event;
    const known = this.all.get(run);
    const timeline = known ?? new Timeline();
    this.all.set(run, timeline);
    timeline.take(event);
    return known ? undefined : timeline;
  }
}
