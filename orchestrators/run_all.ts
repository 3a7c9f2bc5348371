/**
 * Several orchestrators at once, one for each platform for example. `showProgress()`
 * shows them, and tells why one is incomplete, which nobody throws.
 *
 * @example
 * ```ts no-run
 * import type { Orchestrator } from "jsr:@atex/atex/orchestrators/orchestrator";
 * import { runAll } from "jsr:@atex/atex/orchestrators/run-all";
 *
 * declare const fedora: Orchestrator, centos: Orchestrator;
 *
 * await using all = runAll([fedora, centos], { signal: AbortSignal.timeout(3_600_000) });
 * for await (const { run, ...event } of all) {
 *   if (event.type === "test-finished") console.log(run, event.test, event.exitCode);
 * }
 * Deno.exitCode = (await all.finished).exitCode;
 * ```
 *
 * @module
 */
import { Channel } from "@std/async/channel";
import type { SignalOptions } from "../connections/connection.ts";
import { checkKind, checkOptions, type Known } from "../options.ts";
import {
  type Orchestrator,
  OrchestratorError,
  type Run,
  type RunEvent,
  type RunSummary,
} from "./orchestrator.ts";

/** Options of {@linkcode runAll}. */
export interface RunAllOptions extends SignalOptions {
  /**
   * Abort the other runs when one is incomplete, or fails.
   *
   * @default {false}
   */
  failFast?: boolean | undefined;
}

const OPTIONS: Known<RunAllOptions> = {
  failFast: "optional",
  signal: "optional",
};

/** An event of one of several runs. */
export type AnyRunEvent = RunEvent & {
  /** Which run, counted from 0 in the order given. */
  readonly run: number;
};

/** What came out of several runs. */
export interface RunAllSummary {
  /** What came out of each run, in the order given. */
  readonly summaries: readonly RunSummary[];
  /** Why runs are incomplete, in the order in which they ended. */
  readonly errors: readonly OrchestratorError[];
  /** 0 if all tests passed, 1 if some failed, 2 if a run is incomplete. */
  readonly exitCode: 0 | 1 | 2;
}

/**
 * Several runs under way. Iterating gives the events of all of them from then
 * on. Disposing aborts them and waits for their ends.
 */
export interface Runs extends AsyncIterable<AnyRunEvent>, AsyncDisposable {
  /** Each run, in the order given. */
  readonly runs: readonly Run[];
  /**
   * Resolves when all are over, complete or not. It rejects, then, with what is no
   * `OrchestratorError`: a run of an orchestrator of your own may fail so.
   */
  readonly finished: Promise<RunAllSummary>;
}

/**
 * Begins to run several orchestrators at once. They may share an aggregator, but
 * each needs provisioners of its own.
 *
 * @throws {TypeError} if one of them ran before, or two have the same provisioner
 */
export function runAll(
  orchestrators: Iterable<Orchestrator>,
  options: RunAllOptions = {},
): Runs {
  checkKind("runAll()", "orchestrators", orchestrators, "a list");
  const all = [...orchestrators];
  for (const [index, one] of all.entries()) {
    const name = `orchestrators[${index}]`;
    checkKind("runAll()", name, one, "an orchestrator");
  }
  checkOptions("runAll()", options, OPTIONS);
  const { failFast = false, signal } = options;
  const stop = new AbortController();
  const either = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
  const runs: Run[] = [];
  try {
    for (const one of all) runs.push(one.run({ signal: either }));
  } catch (error) {
    stop.abort(error);
    throw error;
  }
  const finished = summarise(runs, (error) => {
    if (failFast) stop.abort(error);
  });
  finished.catch(() => {}); // nobody has to wait for it
  return {
    runs,
    finished,
    [Symbol.asyncIterator]: () =>
      merged(runs.map((run) => run[Symbol.asyncIterator]())),
    async [Symbol.asyncDispose]() {
      stop.abort(new DOMException("disposed", "AbortError"));
      await finished.catch(() => {});
    },
  };
}

/** Waits for all runs, also after one failed: each holds systems until its end. */
async function summarise(
  runs: readonly Run[],
  failed: (error: unknown) => void,
): Promise<RunAllSummary> {
  const errors: OrchestratorError[] = [];
  const others: unknown[] = [];
  const summaries: RunSummary[] = [];
  await Promise.all(runs.map(async ({ finished }, index) => {
    try {
      summaries[index] = await finished;
    } catch (error) {
      failed(error);
      if (error instanceof OrchestratorError) {
        errors.push(error);
        summaries[index] = error.summary;
      } else others.push(error);
    }
  }));
  if (others.length > 1) {
    throw new AggregateError(others, `${others.length} runs failed`);
  }
  if (others.length > 0) throw others[0];
  const passed = summaries.every(({ failed }) => failed === 0);
  return {
    summaries,
    errors,
    exitCode: errors.length > 0 ? 2 : passed ? 0 : 1,
  };
}

async function* merged(
  sources: readonly AsyncIterator<RunEvent>[],
): AsyncGenerator<AnyRunEvent, void> {
  using events = new Channel<AnyRunEvent>({
    capacity: Number.MAX_SAFE_INTEGER,
  });
  const forward = async (source: AsyncIterator<RunEvent>, run: number) => {
    for (;;) {
      const { done, value } = await source.next();
      if (done) return;
      events.trySend({ ...value, run });
    }
  };
  const all = Promise.all(sources.map(forward)).then(() => events.close());
  try {
    yield* events;
  } finally {
    for (const source of sources) await source.return?.();
    await all;
  }
}
