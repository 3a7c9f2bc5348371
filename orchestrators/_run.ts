import { Channel } from "@std/async/channel";
import type { SignalOptions } from "../connections/connection.ts";
import type { Provisioner } from "../provisioners/provisioner.ts";
import type { Run, RunEvent, RunStatus, RunSummary } from "./orchestrator.ts";
import type { RunEventBody } from "./_event_body.ts";
import type { Environment } from "./_environment.ts";
import type { Ledger } from "./_ledger.ts";
import { type Ending, incomplete } from "./_ending.ts";
import { insistedOf } from "./_waiting.ts";

/** What runs, and which systems are there for what. */
export interface Activity {
  running: number;
  requested: number;
  settingUp: number;
  spares: number;
}

/** What {@linkcode OpenRun} stands on. */
export interface OpenRunOptions extends SignalOptions {
  environment: Environment;
  ledger: Ledger;
  /** What no other run may have until this one is over. */
  provisioners: readonly Provisioner[];
  /** With it another process can go on. */
  journal?: string | undefined;
  /** What goes on at this moment. */
  activity: () => Activity;
  /** Does the work; resolves with why it is incomplete. */
  main: (run: OpenRun) => Promise<Ending | undefined>;
}

/** The side of a run that users see, whatever orchestrator it is of. */
export class OpenRun implements Run {
  readonly finished: Promise<RunSummary>;
  readonly #options: OpenRunOptions;
  readonly #abort = new AbortController();
  readonly #insist = new AbortController();
  readonly #listeners = new Set<Channel<RunEvent>>();
  readonly #letGo: () => void;
  #over = false;

  /**
   * Begins the work in another turn of the event loop.
   *
   * @throws {TypeError} if another run has one of the provisioners
   */
  constructor(options: OpenRunOptions) {
    this.#options = options;
    const { provisioners, ledger } = options;
    this.#letGo = keepForRun(provisioners, ledger.platform);
    this.finished = this.#work();
    this.finished.catch(() => {}); // nobody has to wait for it
  }

  /** Aborted when the run is to end early. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Aborted when somebody insisted on that. */
  get insisted(): AbortSignal {
    return this.#insist.signal;
  }

  get status(): RunStatus {
    const { ledger, activity } = this.#options;
    const { running, requested, settingUp, spares } = activity();
    return { ...ledger.counts(running), requested, settingUp, spares };
  }

  /** Whether anybody listens. */
  get heard(): boolean {
    return this.#listeners.size > 0;
  }

  /** Tells everybody who listens. */
  tell(event: RunEventBody): void {
    if (this.#listeners.size === 0) return;
    const timed = { time: this.#options.environment.now(), ...event };
    for (const listener of this.#listeners) listener.trySend(timed);
  }

  [Symbol.asyncIterator](): AsyncIterator<RunEvent, undefined> {
    const events = new Channel<RunEvent>({
      capacity: Number.MAX_SAFE_INTEGER,
    });
    if (this.#over) events.close();
    else this.#listeners.add(events);
    return {
      next: () =>
        events.receive().then(
          (value) => ({ done: false, value }),
          () => ({ done: true, value: undefined }),
        ),
      return: () => {
        this.#listeners.delete(events);
        events.close();
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#over) {
      this.#abort.abort(new DOMException("disposed", "AbortError"));
    }
    await this.finished.catch(() => {});
  }

  async #work(): Promise<RunSummary> {
    const { environment, ledger, journal, signal, main } = this.#options;
    using _kept = { [Symbol.dispose]: this.#letGo };
    await environment.pause();
    using _link = this.#follow(signal);
    ledger.startedAt = environment.now();
    const { platform, tests } = ledger;
    this.tell({
      type: "run-started",
      platform,
      tests,
      ...(journal !== undefined && { journal }),
    });
    try {
      const ending = await main(this) ?? notStored(ledger);
      const summary = ledger.summary(environment.now());
      this.tell({
        type: "run-finished",
        kind: ending?.kind ?? null,
        summary,
      });
      if (ending) throw incomplete(ending, summary);
      return summary;
    } finally {
      this.#over = true;
      for (const listener of this.#listeners) listener.close();
      this.#listeners.clear();
    }
  }

  #follow(signal?: AbortSignal): Disposable {
    let insisted: AbortSignal | undefined;
    const insist = () => this.#insist.abort();
    const abort = () => {
      insisted = insistedOf(signal?.reason);
      if (insisted?.aborted) insist();
      else insisted?.addEventListener("abort", insist, { once: true });
      this.#abort.abort(signal?.reason);
    };
    if (signal?.aborted) abort();
    else signal?.addEventListener("abort", abort, { once: true });
    return {
      [Symbol.dispose]: () => {
        signal?.removeEventListener("abort", abort);
        insisted?.removeEventListener("abort", insist);
      },
    };
  }
}

function notStored({ ingestErrors }: Ledger): Ending | undefined {
  if (ingestErrors.length === 0) return undefined;
  const [{ test, error: cause, artifacts }] = ingestErrors;
  const tests = new Set(ingestErrors.map(({ test }) => test)).size;
  const why = tests === 1
    ? `the results of "${test}" could not be stored and are in "${artifacts}"`
    : `the results of ${tests} tests could not be stored; those of "${test}" are in "${artifacts}"`;
  return { kind: "IngestFailed", why, cause };
}

/** The platforms of live runs, by what gives them systems. */
const platforms = new WeakMap<Provisioner, string>();

/**
 * Keeps provisioners for one run, until the function that it returns is called. What
 * a provisioner is asked for is not told apart by who asked: two runs would take each
 * other's systems, and the end of one would drop what the other waits for.
 *
 * @throws {TypeError} if a live run has one of them
 */
function keepForRun(
  provisioners: readonly Provisioner[],
  platform: string,
): () => void {
  for (const one of provisioners) {
    const other = platforms.get(one);
    if (other === undefined) continue;
    throw new TypeError(
      `Cannot run tests on "${platform}": a run on "${other}" that has not ended has the provisioner "${one.name}"; a provisioner for each, or one run after the other, would be right`,
    );
  }
  for (const one of provisioners) platforms.set(one, platform);
  return () => {
    for (const one of provisioners) platforms.delete(one);
  };
}
