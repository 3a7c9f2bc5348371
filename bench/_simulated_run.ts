/**
 * The schedule of the ad hoc orchestrator on a clock that jumps: how long a run takes,
 * without waiting for it.
 */
import { decide } from "../orchestrators/_schedule.ts";
import {
  type Action,
  type Happening,
  newState,
  type System,
} from "../orchestrators/_state.ts";
import type { NextRule } from "../orchestrators/orchestrator.ts";
import { reruns } from "../orchestrators/policies.ts";
import {
  PretendedPool,
  PretendedRemote,
} from "../tests/orchestrators/_pretend.ts";
import { TimedQueue } from "./_timed_queue.ts";

/** What happens in a run. Times are in any unit, as long as it is the same. */
export interface Plan {
  /** How long each test takes. */
  readonly durations: ReadonlyMap<string, number>;
  readonly systems: number;
  /** How long the n-th reservation takes. */
  reservation(n: number): number;
  /** How long a setup takes. */
  readonly setup: number;
  /** Whether a test fails, which leaves its system unusable. */
  fails(test: string, attempt: number): boolean;
  /** How often a failed test is run again. */
  readonly reruns: number;
}

/** What came of a run. */
export interface Simulated {
  /** When the last test ended. */
  makespan: number;
  /** How many tests ran, reruns included. */
  ran: number;
  /** Systems that were handed out. */
  used: number;
}

/** Runs it as the ad hoc orchestrator would. */
export function simulateRun(plan: Plan, next: readonly NextRule[]): Simulated {
  const pool = new PretendedPool({ maxRemotes: plan.systems });
  const state = newState([...plan.durations.keys()], [pool], {
    maxSpares: 0,
    maxFailedSetups: 10,
    maxProvisionFailures: 10,
    maxPendingIngests: 104,
  }, {
    next,
    destructive: ({ exitCode }) => exitCode !== 0,
    rerun: reruns(plan.reruns),
  });
  return new SimulatedRun(plan, state).toEnd();
}

class SimulatedRun {
  readonly #plan: Plan;
  readonly #state: ReturnType<typeof newState>;
  /** What happens later, and what happens now. */
  readonly #later = new TimedQueue<() => void>();
  #now: Happening[] = [{ type: "begin" }];
  #time = 0;
  #wanted = 0;
  #places: number;
  #made = 0;
  readonly #ready: PretendedRemote[] = [];
  readonly #result: Simulated = { makespan: 0, ran: 0, used: 0 };

  constructor(plan: Plan, state: ReturnType<typeof newState>) {
    this.#plan = plan;
    this.#state = state;
    this.#places = plan.systems;
  }

  toEnd(): Simulated {
    for (;;) {
      while (this.#now.length > 0) {
        const happenings = this.#now;
        this.#now = [];
        for (const happening of happenings) {
          for (const action of decide(this.#state, happening)) this.#do(action);
        }
      }
      if (this.#state.mode === "done") return this.#result;
      const [time, call] = this.#later.shift();
      this.#time = time;
      call();
    }
  }

  #after(time: number, call: () => void): void {
    this.#later.push(this.#time + time, call);
  }

  #post(happening: Happening): void {
    this.#now.push(happening);
  }

  #do(action: Action): void {
    const [supplier] = this.#state.demand.suppliers;
    switch (action.type) {
      case "request":
        this.#wanted += action.count;
        return this.#reserve();
      case "clear":
        this.#wanted = 0;
        return;
      case "take":
        return this.#deliver();
      case "leave":
        if (supplier.taking) this.#post({ type: "left", supplier });
        return;
      case "set-up":
        return this.#after(this.#plan.setup, () => this.#setUp(action.system));
      case "run":
        return this.#run(action);
      case "ingest":
        return this.#post({ type: "ingest-ended" });
      case "release":
        this.#places++;
        this.#reserve();
        return this.#post({ type: "release-ended" });
    }
  }

  /** Reservations begin as soon as there is a place, as with a real provisioner. */
  #reserve(): void {
    while (this.#wanted > 0 && this.#places > 0) {
      this.#wanted--;
      this.#places--;
      this.#after(this.#plan.reservation(this.#made++), () => {
        const remote = new PretendedRemote(`${this.#made}`, false, () => {});
        this.#ready.push(remote);
        this.#deliver();
      });
    }
  }

  #deliver(): void {
    const [supplier] = this.#state.demand.suppliers;
    if (!supplier.taking || this.#ready.length === 0) return;
    const remote = this.#ready.shift()!;
    supplier.taking = false;
    this.#result.used++;
    this.#post({ type: "ready", supplier, remote });
  }

  #setUp(system: System): void {
    if (!system.cancelled) return this.#post({ type: "set-up", system });
    const error = new Error("The run is over");
    this.#post({ type: "setup-failed", system, error });
  }

  #run({ system, test, attempt }: Action & { type: "run" }): void {
    const startedAt = this.#time;
    this.#after(this.#plan.durations.get(test)!, () => {
      this.#result.makespan = this.#time;
      this.#result.ran++;
      this.#post({
        type: "test-ended",
        system,
        artifacts: "",
        outcome: {
          test,
          attempt,
          exitCode: Number(this.#plan.fails(test, attempt)),
          remote: system.remote.id,
          startedAt,
          finishedAt: this.#time,
        },
      });
    });
  }
}
