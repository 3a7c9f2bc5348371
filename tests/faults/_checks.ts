/** What must hold of any run, seen from outside: by its events, its summary, and what is on the disk. */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import type {
  Run,
  RunEvent,
  RunSummary,
} from "../../orchestrators/orchestrator.ts";
import { OrchestratorError } from "../../orchestrators/orchestrator.ts";

/** A run that is over. */
export interface Outcome {
  events: readonly RunEvent[];
  summary: RunSummary;
  error?: OrchestratorError;
}

/** Follows a run to its end, which must come; the counts must add up all the time. */
export async function follow(
  run: Run,
  { longest = 60_000, onEvent = () => {} }: {
    /** In milliseconds. */
    longest?: number;
    onEvent?: (event: RunEvent, count: number) => void;
  } = {},
): Promise<Outcome> {
  const events: RunEvent[] = [];
  const listening = (async () => {
    for await (const event of run) {
      events.push(event);
      const { tests, queued, running, done, failed } = run.status;
      strictEqual(queued + running + done, tests, Deno.inspect(run.status));
      ok(queued >= 0 && failed <= done, Deno.inspect(run.status));
      onEvent(event, events.length);
    }
  })();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const never = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const last = Deno.inspect(events.slice(-5));
      reject(new Error(`the run does not end: ${last}`));
    }, longest);
  });
  let error: OrchestratorError | undefined;
  try {
    const finished = run.finished.catch((thrown) => {
      if (!(thrown instanceof OrchestratorError)) throw thrown;
      error = thrown;
      return thrown.summary;
    });
    const summary = await Promise.race([finished, never]);
    await listening;
    return { events, summary, ...(error && { error }) };
  } finally {
    clearTimeout(timer);
  }
}

/** Checks what holds whatever went wrong. */
export function checkOutcome(
  { events, summary, error }: Outcome,
  tests: readonly string[],
  { reruns, concurrency }: {
    reruns: number;
    concurrency: Readonly<Record<"setup" | "ingest" | "release", number>>;
  },
): void {
  // each test is stored, could not be stored, or was not run
  const final = summary.ingestErrors.filter(({ test, attempt }) =>
    !summary.earlier.some((one) => one.test === test && one.attempt === attempt)
  ).map(({ test }) => test);
  const places = [...summary.ingested.keys(), ...summary.notRun, ...final];
  deepStrictEqual(places.toSorted(), [...tests].sort());
  if (!error) strictEqual(summary.ingested.size, tests.length);
  strictEqual(
    summary.released + summary.releaseErrors.length,
    summary.handedOut,
  );

  const under = { setup: 0, ingest: 0, release: 0 };
  const attempts = new Map<string, number>();
  const phase = new Map<string, "new" | "ready" | "running" | "released">();
  for (const event of events) {
    const { type } = event;
    const [, kind, what] = /^(setup|ingest|release)-(\w+)$/.exec(type) ?? [];
    if (kind) {
      const key = kind as keyof typeof under;
      under[key] += what === "started" ? 1 : -1;
      ok(under[key] <= concurrency[key], `${under[key]} of ${kind} at once`);
    }
    if (type === "remote-ready") phase.set(event.remote, "new");
    if (type === "setup-finished") phase.set(event.remote, "ready");
    if (type === "test-started") {
      strictEqual(phase.get(event.remote), "ready", `${event.test} began`);
      phase.set(event.remote, "running");
      const before = attempts.get(event.test) ?? 0;
      strictEqual(event.attempt, before + 1, `attempts of ${event.test}`);
      ok(event.attempt <= 1 + reruns, `${event.test} ran too often`);
      attempts.set(event.test, event.attempt);
    }
    if (type === "test-finished") {
      strictEqual(phase.get(event.remote), "running");
      phase.set(event.remote, "ready");
    }
    if (type === "release-started") {
      ok(phase.get(event.remote) !== "running", `${event.remote} was released`);
      ok(phase.get(event.remote) !== "released", `${event.remote}: twice`);
      phase.set(event.remote, "released");
    }
  }
  deepStrictEqual(under, { setup: 0, ingest: 0, release: 0 });
  for (const [remote, state] of phase) strictEqual(state, "released", remote);
}

/** Names of the tests that are stored in lines of JSON; each must be there once, in one piece. */
export function storedIn(path: string): string[] {
  const text = Deno.readTextFileSync(path);
  const names = text.split("\n").slice(0, -1)
    .map((line) => JSON.parse(line)[2] as string);
  const pieces = names.filter((name, index) => name !== names[index - 1]);
  deepStrictEqual(pieces.toSorted(), [...new Set(pieces)].sort());
  return pieces;
}

/** A directory for the files of a test, which must be gone at the end. */
export async function temporary(): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir({ prefix: "atex-test-" });
  return {
    path,
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

export const namesIn = (path: string): string[] =>
  [...Deno.readDirSync(path)].map(({ name }) => name).sort();
