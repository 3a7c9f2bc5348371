import type { RunEvent } from "./orchestrator.ts";

/** What takes time in a run. */
export type SpanKind =
  | "run"
  | "system"
  | "setup"
  | "test"
  | "release"
  | "ingest";

/** Something that took time. Its parent is a run for systems and ingests, a system for all others. */
export interface Span {
  readonly kind: SpanKind;
  /** The platform, the id of the system, or the name of the test. */
  readonly name: string;
  /** Which of several runs. */
  readonly run: number;
  /** Id of the system it is on. */
  readonly remote?: string;
  readonly start: number;
  /** What was known when it began. */
  readonly begin: RunEvent;
  end: number;
  /** The event that ended it; absent if there was none. */
  finish?: RunEvent;
  readonly parent?: Span;
}

/** What listens to {@linkcode Spans}. */
export interface SpanListener {
  begun?(span: Span): void;
  ended?(span: Span): void;
  /** Gets each event before it begins or ends a span. */
  event?(event: RunEvent, run: number): void;
}

/** What is open of one run. */
interface Open {
  run?: Span;
  readonly systems: Map<string, Span>;
  /** What each system is at. */
  readonly work: Map<string, Span>;
  readonly ingests: Map<string, Span>;
}

/**
 * Puts events that belong together into spans, and tells of them as they begin and
 * end. What is open when the events are over, or when another process goes on with a
 * run, ends with the last event before that.
 */
export class Spans {
  readonly #listener: SpanListener;
  readonly #runs = new Map<number, Open>();
  #last = 0;

  constructor(listener: SpanListener) {
    this.#listener = listener;
  }

  /** Takes an event. */
  take(event: RunEvent & { readonly run?: number }): void {
    const { run = 0, time } = event;
    let open = this.#runs.get(run);
    // the process before this one was killed: whatever was under way ended there
    if (open && event.type === "run-started") this.stop();
    this.#last = time;
    if (!open) {
      open = { systems: new Map(), work: new Map(), ingests: new Map() };
      this.#runs.set(run, open);
    }
    this.#listener.event?.(event, run);
    this.#spanned(event, run, open);
  }

  #spanned(event: RunEvent, run: number, open: Open): void {
    const begin = (
      kind: SpanKind,
      name: string,
      more: Pick<Span, "remote" | "parent">,
    ): Span => {
      const { time } = event;
      const span = {
        kind,
        name,
        run,
        start: time,
        end: time,
        begin: event,
        ...more,
      };
      this.#listener.begun?.(span);
      return span;
    };
    const end = (spans: Map<string, Span>, key: string) => {
      const span = spans.get(key);
      if (!span) return;
      spans.delete(key);
      this.#end(span, event);
    };
    switch (event.type) {
      case "run-started":
        open.run = begin("run", event.platform, {});
        break;
      case "run-finished":
        this.#endAll(open, event);
        break;
      case "remote-ready": {
        const { remote } = event;
        const parent = open.run;
        open.systems.set(
          remote,
          begin("system", remote, { remote, ...(parent && { parent }) }),
        );
        break;
      }
      case "setup-started":
      case "test-started":
      case "release-started": {
        const { remote } = event;
        const parent = open.systems.get(remote);
        const kind = event.type.replace("-started", "") as SpanKind;
        const name = event.type === "test-started" ? event.test : remote;
        open.work.set(
          remote,
          begin(kind, name, { remote, ...(parent && { parent }) }),
        );
        break;
      }
      case "setup-finished":
      case "setup-failed":
      case "test-finished":
        end(open.work, event.remote);
        break;
      case "release-finished":
      case "release-failed":
        end(open.work, event.remote);
        end(open.systems, event.remote);
        break;
      case "ingest-started": {
        const { test, attempt } = event;
        const parent = open.run;
        open.ingests.set(
          `${attempt} ${test}`,
          begin("ingest", test, { ...(parent && { parent }) }),
        );
        break;
      }
      case "ingest-finished":
      case "ingest-failed":
        end(open.ingests, `${event.attempt} ${event.test}`);
        break;
    }
  }

  #end(span: Span, finish?: RunEvent): void {
    span.end = Math.max(span.start, this.#last); // clocks can be set back
    if (finish) span.finish = finish;
    this.#listener.ended?.(span);
  }

  /** Ends what is inside before what is around it. */
  #endAll(open: Open, finish?: RunEvent): void {
    for (const spans of [open.ingests, open.work, open.systems]) {
      for (const span of spans.values()) this.#end(span);
      spans.clear();
    }
    if (open.run) this.#end(open.run, finish);
    delete open.run;
  }

  /** Ends what is still open. */
  stop(): void {
    for (const open of this.#runs.values()) this.#endAll(open);
  }
}
