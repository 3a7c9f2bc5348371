import { Semaphore } from "@std/async/unstable-semaphore";
import { dirname } from "@std/path/posix/dirname";
import type { EarlierAttempt } from "../aggregators/aggregator.ts";
import type { SignalOptions } from "../connections/connection.ts";
import { ProvisionerStoppedError } from "../provisioners/provisioner.ts";
import type { Supplier } from "./_demand.ts";
import type { Ending } from "./_ending.ts";
import type { Artifacts, Environment } from "./_environment.ts";
import { Gate } from "./_gate.ts";
import { attributesOf } from "./_given.ts";
import type { Journal } from "./_journal.ts";
import { Ledger } from "./_ledger.ts";
import { openPlace, refuseNotStarted, refuseStored } from "./_refuse.ts";
import { OpenRun } from "./_run.ts";
import { decide, isWaiting } from "./_schedule.ts";
import type { Settings } from "./_settings.ts";
import {
  type Action,
  type Happening,
  newState,
  RefusedError,
  type State,
  type System,
} from "./_state.ts";
import { asEarlier } from "./_outcome.ts";
import { asError, giveBackLate, type IngestStep, Steps } from "./_steps.ts";
import { Turns } from "./_turns.ts";
import { acquire, untilEnd } from "./_waiting.ts";

/** How often a run that waits for systems tells so, in milliseconds. */
const STALLED_EVERY = 10 * 60_000;

/**
 * Begins a run; `environment` is the real one or that of a test.
 *
 * @param maxWaitingIngests how many results may wait to be stored before no further test is started
 */
export function startAdHoc(
  settings: Settings,
  { signal }: SignalOptions,
  environment: Environment,
  maxWaitingIngests = 100,
): OpenRun {
  const { platform, tests, provisioners, concurrency } = settings;
  const state = newState(tests, provisioners, {
    ...settings,
    maxPendingIngests: concurrency.ingest + maxWaitingIngests,
  }, settings);
  const ledger = new Ledger(platform, tests);
  return new OpenRun({
    environment,
    ledger,
    provisioners,
    journal: settings.journal,
    activity: () => ({
      running: state.running.size,
      requested: state.demand.owed,
      settingUp: state.settingUp.size,
      spares: state.idle.size,
    }),
    signal,
    main: (run) =>
      new AdHocRun(settings, environment, state, ledger, run).toEnd(),
  });
}

/** Carries out what the schedule decides, and tells it what came of that. */
class AdHocRun {
  readonly #settings: Settings;
  readonly #environment: Environment;
  readonly #state: State;
  readonly #ledger: Ledger;
  readonly #run: OpenRun;
  readonly #artifacts: Artifacts;
  readonly #steps: Steps;
  readonly #turns: Turns;
  /** What happened and is not handled yet. */
  readonly #happenings: Happening[] = [];
  /** Resolves when all is done; rejects with a fault of ours. */
  readonly #done = Promise.withResolvers<void>();
  /** True before the first happening is handled, while one is, and at the end. */
  #busy = true;
  #failed = false;
  /** What ends the setup or test of a system, which is not used any more after that. */
  readonly #aborts = new Map<System, AbortController>();
  /** Ends the waiting for systems. */
  readonly #leave = new AbortController();
  readonly #setups: Semaphore;
  readonly #ingests: Gate;
  readonly #releases: Semaphore;
  /** Attempts of tests that are run again. */
  readonly #history = new Map<string, EarlierAttempt[]>();
  /** How often tests were stored before earlier processes ran them. */
  #storedBefore: ReadonlyMap<string, number> = new Map();
  /** The last ingest of tests that are run again. */
  readonly #ingesting = new Map<string, Promise<void>>();
  /** How many tasks are under way that will post what came of them. */
  #tasks = 0;
  /** Is called when the last of them has ended. */
  #allEnded = () => {};
  #journal?: Journal;
  #stall?: Disposable;

  constructor(
    settings: Settings,
    environment: Environment,
    state: State,
    ledger: Ledger,
    run: OpenRun,
  ) {
    this.#settings = settings;
    this.#environment = environment;
    this.#state = state;
    this.#ledger = ledger;
    this.#run = run;
    const { artifacts, journal } = settings;
    this.#artifacts = environment.openArtifacts(
      artifacts ?? (journal === undefined ? undefined : dirname(journal)),
    );
    this.#turns = new Turns(environment);
    this.#steps = new Steps({
      ...settings,
      run,
      environment,
      turns: this.#turns,
      ledger,
      artifacts: this.#artifacts,
    });
    const { setup, ingest, release } = settings.concurrency;
    this.#setups = new Semaphore(setup);
    this.#ingests = new Gate(ingest);
    this.#releases = new Semaphore(release);
  }

  async toEnd(): Promise<Ending | undefined> {
    const { signal } = this.#run;
    const abort = () => this.#post({ type: "abort", reason: signal.reason });
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
    try {
      const { journal } = this.#settings;
      if (journal !== undefined && !signal.aborted) await this.#resume();
      if (!signal.aborted) this.#begin();
      this.#serve();
      await this.#done.promise;
    } finally {
      signal.removeEventListener("abort", abort);
      this.#stall?.[Symbol.dispose](); // it would hold the process
      this.#leave.abort();
      for (const abort of this.#aborts.values()) abort.abort();
      await this.#tasksEnded();
      await this.#turns.end();
      await this.#journal?.close();
      await this.#artifacts.close();
    }
    const failure = this.#journal?.failure;
    return this.#state.end ??
      (failure && {
        kind: "JournalFailed",
        why: failure.message,
        cause: failure.cause,
      });
  }

  /** Begins, unless it can be told that it would be in vain. */
  #begin(): void {
    const { aggregator, earlier, platform, tests, journal } = this.#settings;
    try {
      refuseNotStarted({ aggregator, earlier });
      if (journal === undefined) refuseStored(aggregator, platform, tests);
      if (this.#state.queue.size > 0) openPlace(this.#artifacts);
      this.#post({ type: "begin" });
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
      this.#post({ type: "refused", error });
    }
  }

  /** Opens the journal, and does what earlier processes left to do beside running tests. */
  async #resume(): Promise<void> {
    try {
      const { aggregator, earlier } = this.#settings;
      refuseNotStarted({ aggregator, earlier });
      const { continueRun } = await import("./_continue.ts");
      const { journal, history, storedBefore } = await continueRun({
        settings: this.#settings,
        environment: this.#environment,
        state: this.#state,
        ledger: this.#ledger,
        run: this.#run,
        steps: this.#steps,
        artifacts: this.#artifacts,
        onFailure: (error) => this.#post({ type: "journal-failed", error }),
      });
      this.#journal = journal;
      this.#storedBefore = storedBefore;
      for (const [test, earlier] of history) this.#history.set(test, earlier);
    } catch (thrown) {
      const error = asError(thrown);
      this.#post(
        error instanceof RefusedError
          ? { type: "refused", error }
          : { type: "journal-failed", error },
      );
    }
  }

  /** Takes in what happened, until nothing is left. */
  #serve(): void {
    this.#busy = true;
    try {
      while (this.#happenings.length > 0 && !this.#failed) {
        const happening = this.#happenings.shift()!;
        for (const action of decide(this.#state, happening)) this.#do(action);
        if (this.#state.mode === "done") return;
        this.#watchForStall();
      }
    } catch (error) {
      this.#fail(error);
    }
    this.#busy = false;
  }

  #post(happening: Happening): void {
    this.#happenings.push(happening);
    if (!this.#busy) this.#serve();
  }

  /** Posts what may have taken no time and be followed by more of that: timers and signals get their turn. */
  async #postInTime(happening: Happening): Promise<void> {
    if (this.#turns.isLong) await this.#turns.next;
    this.#post(happening);
  }

  /** Starts something that posts what came of it; its failure would be one of ours. */
  #spawn(work: Promise<void>): void {
    this.#tasks++;
    work.then(this.#taskEnded, this.#taskFailed);
  }

  #taskEnded = () => {
    if (--this.#tasks === 0) this.#allEnded();
  };

  #taskFailed = (error: unknown) => {
    this.#fail(error);
    this.#taskEnded();
  };

  #fail(error: unknown): void {
    this.#failed = true;
    this.#done.reject(error);
  }

  async #tasksEnded(): Promise<void> {
    if (this.#tasks === 0) return;
    await new Promise<void>((resolve) => this.#allEnded = resolve);
  }

  #do(action: Action): void {
    switch (action.type) {
      case "tell":
        return this.#run.tell(action.event);
      case "request":
        return this.#request(action.supplier, action.count);
      case "clear":
        for (const supplier of action.suppliers) this.#clear(supplier);
        return;
      case "take":
        return this.#spawn(this.#take(action.supplier));
      case "leave":
        return this.#leave.abort(new Error("The run is over"));
      case "set-up":
        return this.#spawn(this.#setUp(action.system));
      case "cancel":
        return this.#aborts.get(action.system)?.abort(action.reason);
      case "run":
        return this.#runTest(action);
      case "ingest":
        return this.#ingest(action);
      case "drop":
        return this.#drop(action.artifacts);
      case "release":
        return this.#spawn(this.#release(action));
      case "finish":
        return this.#done.resolve();
    }
  }

  #request(supplier: Supplier, count: number): void {
    const { provisioner } = supplier;
    this.#run.tell({ type: "requested", provisioner: provisioner.name, count });
    try {
      provisioner.provision(count);
    } catch (thrown) {
      const error = asError(thrown);
      this.#post({ type: "request-failed", supplier, error });
    }
  }

  #clear(supplier: Supplier): void {
    try {
      supplier.provisioner.clear();
    } catch (thrown) {
      const error = asError(thrown);
      this.#post({ type: "request-failed", supplier, error });
    }
  }

  async #take(supplier: Supplier): Promise<void> {
    const { provisioner } = supplier;
    const { signal } = this.#leave;
    const call = async () => await provisioner.getRemote({ signal });
    try {
      const remote = await untilEnd(call(), {
        environment: this.#environment,
        signal,
        grace: this.#settings.cancelGrace,
        insisted: this.#run.insisted,
        late: (remote) => giveBackLate(remote, "surplus"),
      });
      this.#steps.arrived(remote, provisioner);
      await this.#postInTime({ type: "ready", supplier, remote });
    } catch (thrown) {
      if (signal.aborted) return this.#post({ type: "left", supplier });
      const error = asError(thrown);
      const fatal = error instanceof ProvisionerStoppedError ||
        ("fatal" in error && error.fatal === true);
      const type = "reservation-failed";
      await this.#postInTime({ type, supplier, error, fatal });
    }
  }

  async #setUp(system: System): Promise<void> {
    const abort = new AbortController();
    const { signal } = abort;
    this.#aborts.set(system, abort);
    let began: number | undefined;
    try {
      this.#watchForLoss(system);
      using _permit = await acquire(this.#setups, signal);
      signal.throwIfAborted(); // it may be told to end after it got the permit
      began = this.#environment.now();
      await this.#steps.setUp(system, signal);
      this.#post({ type: "set-up", system });
    } catch (thrown) {
      const error = asError(thrown);
      if (error instanceof RefusedError) this.#post({ type: "refused", error });
      const ms = began === undefined
        ? undefined
        : this.#environment.now() - began;
      this.#post({ type: "setup-failed", system, error, ms });
    }
  }

  #watchForLoss(system: System): void {
    const lost = (thrown: unknown) =>
      this.#post({ type: "lost", system, error: asError(thrown) });
    system.remote.lost.then(lost, lost);
  }

  #runTest({ system, test, attempt }: Action & { type: "run" }): void {
    let artifacts: string | undefined;
    try {
      artifacts = this.#artifacts.make();
      const { aggregator, platform } = this.#settings;
      this.#journal?.started(
        test,
        attempt,
        artifacts,
        aggregator.count?.(platform, test),
      );
    } catch (thrown) {
      if (artifacts !== undefined) this.#drop(artifacts);
      const error = asError(thrown);
      return this.#post({ type: "no-artifacts", system, error });
    }
    const { signal } = this.#aborts.get(system)!;
    const how = { attempt, artifacts, signal };
    const turn = this.#turns.number;
    this.#tasks++;
    this.#steps.runTest(system, test, how, (outcome) => {
      const ended = () => {
        this.#post({ type: "test-ended", system, outcome, artifacts });
        this.#taskEnded();
      };
      // a test that took no time may be followed by more of them
      if (turn === this.#turns.number && this.#turns.isLong) {
        this.#turns.next.then(ended);
      } else ended();
    });
  }

  #drop(artifacts: string): void {
    this.#tasks++;
    this.#remove(artifacts, this.#taskEnded);
  }

  #ingest(action: Action & { type: "ingest" }): void {
    const { system, outcome, artifacts, earlier } = action;
    const { test } = outcome;
    const attributes = attributesOf(system.remote);
    this.#journal?.ended({ outcome, attributes, rerun: earlier });
    const history = this.#history.get(test);
    const before = this.#ingesting.get(test);
    let letNext: (() => void) | undefined; // attempts are stored in their order
    if (earlier) {
      this.#ledger.again(outcome);
      this.#history.set(test, [...history ?? [], asEarlier(outcome)]);
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#ingesting.set(test, promise);
      letNext = resolve;
    } else {
      this.#ledger.ended(outcome);
      this.#history.delete(test);
      this.#ingesting.delete(test);
    }
    const ended = () => {
      letNext?.();
      this.#post({ type: "ingest-ended" });
      this.#taskEnded();
    };
    const aggregator = earlier
      ? this.#settings.earlier
      : this.#settings.aggregator;
    const store = () => {
      if (!aggregator) return this.#remove(artifacts, ended);
      this.#store({
        attributes,
        outcome,
        artifacts,
        aggregator,
        earlier,
        history,
        storedBefore: earlier ? undefined : this.#storedBefore.get(test),
        journal: this.#journal,
      }, ended);
    };
    this.#tasks++;
    if (before) before.then(store);
    else store();
  }

  #store(step: IngestStep, ended: () => void): void {
    const leave = () => {
      ended(); // tests that can start do so first
      this.#ingests.leave();
    };
    this.#ingests.enter(() => {
      this.#steps.ingest(step).then(leave, (error) => {
        this.#fail(error);
        leave();
      });
    });
  }

  #remove(artifacts: string, ended: () => void): void {
    const removal = this.#artifacts.remove(artifacts);
    if (removal) removal.then(ended);
    else ended();
  }

  async #release(
    { system, reason, usable }: Action & { type: "release" },
  ): Promise<void> {
    this.#aborts.delete(system);
    using _permit = await acquire(this.#releases);
    await this.#steps.release(system, reason, usable);
    this.#post({ type: "release-ended" });
  }

  #watchForStall(): void {
    if (!isWaiting(this.#state)) {
      this.#stall?.[Symbol.dispose]();
      this.#stall = undefined;
    } else if (!this.#stall) {
      this.#waitFrom(this.#environment.now());
    }
  }

  /** Tells from time to time that nothing was delivered since then, until that is too long. */
  #waitFrom(since: number): void {
    const ms = this.#environment.now() - since;
    const left = this.#settings.stallTimeout - ms;
    this.#stall = this.#environment.after(
      Math.min(left, STALLED_EVERY),
      () => {
        const ms = this.#environment.now() - since;
        if (left <= STALLED_EVERY) return this.#post({ type: "stall", ms });
        const waitingFor = this.#state.demand.owing()
          .map(({ provisioner }) => provisioner.name);
        this.#run.tell({ type: "stalled", waitingFor, ms });
        this.#waitFrom(since);
      },
    );
  }
}
