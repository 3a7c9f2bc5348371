/**
 * A run as spans of OpenTelemetry: the run, in it each system, in that its setup, tests
 * and release. They are exported by Deno itself, when it is told to:
 *
 * ```sh
 * OTEL_DENO=true OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 deno run -A nightly.ts
 * ```
 *
 * @example
 * ```ts no-run
 * import type { Run } from "jsr:@atex/atex/orchestrators/orchestrator";
 * import { showProgress } from "jsr:@atex/atex/orchestrators/progress";
 * import { sendSpans } from "jsr:@atex/atex/orchestrators/telemetry";
 *
 * declare const run: Run;
 * await Promise.all([showProgress(run), sendSpans(run)]);
 * ```
 *
 * @module
 */
import { checkKind } from "../options.ts";
import type { RunEvent, RunSummary } from "./orchestrator.ts";
import { type Span, Spans } from "./_spans.ts";

/**
 * Makes spans of the events of a run, live or from a log, until they are over. Whatever
 * is registered as the global OpenTelemetry API gets them: Deno's own exporter, or an SDK
 * that the script brought. Without one, nothing is done, and nothing is read.
 *
 * A test that failed gives a span with an error as its status, and one that ran again
 * a link to the attempt before. Attributes are `test.case.name`,
 * `test.case.result.status`, `process.exit.code`, and others that begin with `atex.`.
 *
 * A run belongs to the span that is active when this is called. Call it in the same turn
 * as `run()`, to miss nothing.
 */
export async function sendSpans(
  events: AsyncIterable<RunEvent> | Iterable<RunEvent>,
): Promise<void> {
  checkKind("sendSpans()", "events", events, "a run");
  const api = globalApi();
  if (!api) return;
  const sender = new Sender(api);
  const spans = new Spans(sender);
  try {
    for await (const event of events) spans.take(event);
  } finally {
    spans.stop();
  }
}

// What is used of the global API, version 1, which `npm:@opentelemetry/api` also uses.

type Attributes = Record<string, string | number | boolean | string[]>;

interface OtelContext {
  setValue(key: symbol, value: unknown): OtelContext;
}

interface OtelSpan {
  spanContext(): unknown;
  setAttributes(attributes: Attributes): void;
  setStatus(status: { code: number; message?: string }): void;
  addEvent(name: string, attributes: Attributes, time: number): void;
  end(time: number): void;
}

interface OtelTracer {
  startSpan(
    name: string,
    options: {
      startTime: number;
      attributes: Attributes;
      links?: { context: unknown }[];
    },
    context: OtelContext,
  ): OtelSpan;
}

interface OtelApi {
  trace?: { getTracer(name: string, version?: string): OtelTracer };
  context?: { active(): OtelContext };
}

const API = Symbol.for("opentelemetry.js.api.1");
const SPAN = Symbol.for("OpenTelemetry Context Key SPAN");
const OK = 1;
const ERROR = 2;

function globalApi(): Required<OtelApi> | undefined {
  const api = (globalThis as Record<symbol, OtelApi | undefined>)[API];
  return api?.trace && api.context ? api as Required<OtelApi> : undefined;
}

/** Makes a span of theirs for each of ours. */
class Sender {
  readonly #tracer: OtelTracer;
  readonly #root: OtelContext;
  readonly #open = new Map<Span, OtelSpan>();
  readonly #runs = new Map<number, OtelSpan>();
  /** Attempts that were followed by another one, by run and test. */
  readonly #again = new Map<string, OtelSpan>();

  constructor({ trace, context }: Required<OtelApi>) {
    this.#tracer = trace.getTracer("@atex/atex");
    this.#root = context.active();
  }

  begun(span: Span): void {
    const { kind, run, name, parent, start } = span;
    const around = parent && this.#open.get(parent);
    const context = around ? this.#root.setValue(SPAN, around) : this.#root;
    const before = kind === "test"
      ? this.#again.get(`${run} ${name}`)
      : undefined;
    const made = this.#tracer.startSpan(titleOf(span), {
      startTime: start,
      attributes: beginAttributes(span),
      ...(before && { links: [{ context: before.spanContext() }] }),
    }, context);
    this.#open.set(span, made);
    if (kind === "run") this.#runs.set(run, made);
  }

  event(event: RunEvent, run: number): void {
    const { type, time } = event;
    const attributes: Attributes | undefined = type === "draining"
      ? {
        "atex.kind": event.kind,
        "atex.reason": event.why,
        ...message(event.error),
      }
      : type === "aborting"
      ? { "atex.reason": String(event.reason) }
      : type === "stalled"
      ? { "atex.provisioners": [...event.waitingFor] }
      : type === "reservation-failed"
      ? { "atex.provisioner": event.provisioner, ...message(event.error) }
      : type === "remote-lost"
      ? { "atex.remote": event.remote, ...message(event.error) }
      : undefined;
    if (attributes) this.#runs.get(run)?.addEvent(type, attributes, time);
  }

  ended(span: Span): void {
    const made = this.#open.get(span)!;
    const { kind, run, name, finish, end } = span;
    this.#open.delete(span);
    if (!finish) made.setAttributes({ "atex.unfinished": true });
    else if (finish.type === "test-finished") {
      const { exitCode, error, rerun } = finish;
      const passed = exitCode === 0;
      made.setAttributes({
        "test.case.result.status": passed ? "pass" : "fail",
        ...(exitCode !== undefined && { "process.exit.code": exitCode }),
      });
      made.setStatus(
        passed
          ? { code: OK }
          : { code: ERROR, message: error?.message ?? `exit code ${exitCode}` },
      );
      if (rerun) this.#again.set(`${run} ${name}`, made);
    } else if (finish.type === "run-finished") {
      made.setAttributes(summaryAttributes(finish.summary));
      if (finish.kind) made.setStatus({ code: ERROR, message: finish.kind });
    } else if (finish.type === "setup-failed" && finish.cancelled) {
      made.setAttributes({ "atex.cancelled": true });
    } else if ("error" in finish && finish.error) {
      made.setStatus({ code: ERROR, message: finish.error.message });
    }
    if (kind === "run") this.#runs.delete(run);
    made.end(end);
  }
}

function titleOf({ kind, name }: Span): string {
  return kind === "test" ? name : kind === "ingest" ? `store ${name}` : kind;
}

function beginAttributes({ kind, name, remote, begin }: Span): Attributes {
  return {
    "atex.span": kind,
    ...(remote !== undefined && { "atex.remote": remote }),
    ...(kind === "run" && { "atex.platform": name }),
    ...((kind === "test" || kind === "ingest") && { "test.case.name": name }),
    ...("attempt" in begin && { "atex.attempt": begin.attempt }),
    ...("provisioner" in begin && { "atex.provisioner": begin.provisioner }),
    ...("reason" in begin && { "atex.reason": String(begin.reason) }),
    ...(begin.type === "remote-ready" && Object.fromEntries(
      Object.entries(begin.attributes).map((
        [key, value],
      ) => [`atex.remote.${key}`, value]),
    )),
  };
}

function summaryAttributes(summary: RunSummary): Attributes {
  const { tests, passed, failed, flaky, reruns, handedOut, notRun } = summary;
  return {
    "atex.tests": tests,
    "atex.passed": passed,
    "atex.failed": failed,
    "atex.flaky": flaky,
    "atex.reruns": reruns,
    "atex.systems": handedOut,
    "atex.not_run": notRun.length,
  };
}

function message(error: Error | undefined): Attributes {
  return error ? { "exception.message": error.message } : {};
}
