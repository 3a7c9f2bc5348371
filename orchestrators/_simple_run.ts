/** The shortest complete example of an orchestrator over the contracts. */
import type { SignalOptions } from "../connections/connection.ts";
import type { Remote } from "../provisioners/provisioner.ts";
import type { OrchestratorErrorKind, TestOutcome } from "./orchestrator.ts";
import { abortedEnding, type Ending } from "./_ending.ts";
import type { Artifacts, Environment } from "./_environment.ts";
import { attributesOf } from "./_given.ts";
import { Ledger } from "./_ledger.ts";
import { testFinished } from "./_outcome.ts";
import { openPlace, refuseNotStarted, refuseStored } from "./_refuse.ts";
import { type Activity, OpenRun } from "./_run.ts";
import type { SimpleSettings } from "./_simple_settings.ts";
import { RefusedError, type Station } from "./_state.ts";
import { asError, giveBackLate, Steps } from "./_steps.ts";
import { Turns } from "./_turns.ts";
import { untilEnd } from "./_waiting.ts";

type Fault = "setup-failed" | "destroyed";

/** A system, and what ends what is done on it. */
interface Place extends Station {
  readonly loss: AbortController;
  readonly signal: AbortSignal;
  /** False once it is given back. */
  used: boolean;
  lost?: Error;
}

/** Begins a run; `environment` is the real one or that of a test. */
export function startSimple(
  settings: SimpleSettings,
  { signal }: SignalOptions,
  environment: Environment,
): OpenRun {
  const ledger = new Ledger(settings.platform, settings.tests);
  const activity = { running: 0, requested: 0, settingUp: 0, spares: 0 };
  return new OpenRun({
    environment,
    ledger,
    provisioners: [settings.provisioner],
    activity: () => activity,
    signal,
    main: (run) =>
      new SimpleRun(settings, environment, ledger, activity, run).toEnd(),
  });
}

class SimpleRun {
  readonly #settings: SimpleSettings;
  readonly #environment: Environment;
  readonly #ledger: Ledger;
  readonly #activity: Activity;
  readonly #run: OpenRun;
  readonly #artifacts: Artifacts;
  readonly #steps: Steps;
  readonly #turns: Turns;
  readonly #waiting: string[];
  #ending?: Ending;

  constructor(
    settings: SimpleSettings,
    environment: Environment,
    ledger: Ledger,
    activity: Activity,
    run: OpenRun,
  ) {
    this.#settings = settings;
    this.#environment = environment;
    this.#ledger = ledger;
    this.#activity = activity;
    this.#run = run;
    this.#artifacts = environment.openArtifacts(settings.artifacts);
    this.#turns = new Turns(environment);
    this.#steps = new Steps({
      ...settings,
      run,
      environment,
      turns: this.#turns,
      ledger,
      artifacts: this.#artifacts,
    });
    this.#waiting = [...ledger.tests];
  }

  async toEnd(): Promise<Ending | undefined> {
    const { signal } = this.#run;
    const aborted = () => {
      const { reason } = signal;
      this.#run.tell({ type: "aborting", reason });
      this.#ending = abortedEnding(reason, this.#ending);
    };
    if (signal.aborted) aborted();
    else signal.addEventListener("abort", aborted, { once: true });
    try {
      this.#check();
      while (this.#goesOn) await this.#useSystem();
    } finally {
      signal.removeEventListener("abort", aborted);
      await this.#turns.end();
      await this.#artifacts.close();
    }
    return this.#ending;
  }

  /** Looks whether it would be in vain. */
  #check(): void {
    const { aggregator, platform } = this.#settings;
    try {
      refuseNotStarted({ aggregator });
      refuseStored(aggregator, platform, this.#waiting);
      openPlace(this.#artifacts);
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
      this.#fail(error.kind, error.message, error.cause ?? error);
    }
  }

  get #goesOn(): boolean {
    return this.#waiting.length > 0 && !this.#ending;
  }

  /** Takes a system, runs tests on it, gives it back. */
  async #useSystem(): Promise<void> {
    const remote = await this.#take();
    if (!remote) return;
    const loss = new AbortController();
    const place: Place = {
      remote,
      provisioner: this.#settings.provisioner,
      loss,
      signal: AbortSignal.any([this.#run.signal, loss.signal]),
      used: true,
    };
    let fault: Fault | undefined = "destroyed";
    try {
      // it may come just when the run is aborted
      fault = this.#goesOn ? await this.#setUp(place) : undefined;
      while (!fault && this.#goesOn) {
        fault = place.lost ? "destroyed" : await this.#runNext(place);
        await this.#turns.next; // timers and signals have theirs
      }
    } finally {
      place.used = false;
      const reason = this.#run.signal.aborted ? "abort" : fault ?? "done";
      await this.#steps.release(place, reason, fault !== "destroyed");
    }
  }

  async #take(): Promise<Remote | undefined> {
    const { provisioner, cancelGrace } = this.#settings;
    const { name } = provisioner;
    const { signal } = this.#run;
    if (provisioner.maxRemotes <= 0) {
      this.#fail("NoRemotes", `${name} supplied no system: maxRemotes is 0`);
      return;
    }
    this.#activity.requested = 1;
    this.#run.tell({ type: "requested", provisioner: name, count: 1 });
    try {
      provisioner.provision(1);
      const call = async () => await provisioner.getRemote({ signal });
      const remote = await untilEnd(call(), {
        environment: this.#environment,
        signal,
        grace: cancelGrace,
        insisted: this.#run.insisted,
        late: (remote) => giveBackLate(remote, "abort"),
      });
      this.#steps.arrived(remote, provisioner);
      return remote;
    } catch (thrown) {
      const error = signal.aborted ? undefined : asError(thrown);
      if (error) this.#tellFailure(error, 1);
      this.#clear(error ? 2 : 1);
      if (error) this.#fail("NoRemotes", `${name} supplied no system`, error);
    } finally {
      this.#activity.requested = 0;
    }
  }

  #tellFailure(error: Error, failures: number): void {
    const provisioner = this.#settings.provisioner.name;
    const type = "reservation-failed";
    this.#run.tell({ type, provisioner, error, failures, dead: true });
  }

  /** Drops the demand; that this fails does not hide why. */
  #clear(failures: number): void {
    try {
      this.#settings.provisioner.clear();
    } catch (thrown) {
      this.#tellFailure(asError(thrown), failures);
    }
  }

  async #setUp(place: Place): Promise<Fault | undefined> {
    const environment = this.#environment;
    this.#activity.settingUp = 1;
    let began: number | undefined;
    try {
      this.#watchForLoss(place);
      began = environment.now();
      await this.#steps.setUp(place, place.signal);
    } catch (thrown) {
      const error = asError(thrown);
      if (error instanceof RefusedError) {
        this.#fail(error.kind, error.message, error);
      }
      const remote = place.remote.id;
      if (began !== undefined) {
        const ms = environment.now() - began;
        this.#run.tell({ type: "setup-failed", remote, ms, error, left: 0 });
      }
      const why = `the setup of ${remote} failed`;
      this.#fail("SetupRetriesExceeded", why, error);
      return "setup-failed";
    } finally {
      this.#activity.settingUp = 0;
    }
  }

  #watchForLoss(place: Place): void {
    const { remote, loss } = place;
    const lost = (thrown: unknown) => {
      if (!place.used) return;
      const error = place.lost = asError(thrown);
      this.#run.tell({ type: "remote-lost", remote: remote.id, error });
      loss.abort(error);
    };
    remote.lost.then(lost, lost);
  }

  /** Runs the next test and stores its results; tells if the system cannot be used after it. */
  async #runNext(place: Place): Promise<Fault | undefined> {
    const { aggregator, destructive, onError } = this.#settings;
    const { signal, remote } = place;
    const [test] = this.#waiting;
    let artifacts: string;
    try {
      artifacts = this.#artifacts.make();
    } catch (cause) {
      this.#fail("IngestFailed", "there is no place for artifacts", cause);
      return;
    }
    this.#activity.running = 1;
    const work = { attempt: 1, artifacts, signal };
    const outcome = await new Promise<TestOutcome>((resolve) =>
      this.#steps.runTest(place, test, work, resolve)
    );
    this.#activity.running = 0;
    const { error } = outcome;
    const destroyed = destructive || error !== undefined ||
      place.lost !== undefined;
    this.#run.tell(testFinished(outcome, { destroyed, rerun: false }));
    if (error && (this.#run.signal.aborted || onError === "stop")) {
      this.#fail("ExecutorFailed", `"${test}" could not be carried out`, error);
      await this.#artifacts.remove(artifacts);
    } else {
      this.#waiting.shift();
      this.#ledger.ended(outcome);
      await this.#steps.ingest({
        attributes: attributesOf(remote),
        outcome,
        artifacts,
        aggregator,
        earlier: false,
      });
    }
    if (destroyed) return "destroyed";
  }

  /** Ends the run; the first reason counts. */
  #fail(kind: OrchestratorErrorKind, why: string, cause?: unknown): void {
    if (this.#ending) return;
    this.#ending = { kind, why, cause };
    const error = cause === undefined ? undefined : asError(cause);
    this.#run.tell({ type: "draining", kind, why, ...(error && { error }) });
  }
}
