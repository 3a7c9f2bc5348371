import type { ReleaseReason } from "../provisioners/provisioner.ts";
import type { OrchestratorErrorKind } from "./orchestrator.ts";
import type { RunEventBody } from "./_event_body.ts";
import type { Supplier } from "./_demand.ts";
import { NextRuleError } from "./_queue.ts";
import type { Action, State, System } from "./_state.ts";
import { asError } from "./_steps.ts";

/** What can be done in one step of the schedule: each move changes the state and notes what to do. */
export class Moves {
  readonly actions: Action[] = [];
  /** Where the system came from that was lost in this step. */
  lostFrom?: Supplier;
  readonly #state: State;

  constructor(state: State) {
    this.#state = state;
  }

  do(action: Action): void {
    this.actions.push(action);
  }

  tell(event: RunEventBody): void {
    this.do({ type: "tell", event });
  }

  // Systems

  /** How many systems are wanted beside those that run tests. */
  get want(): number {
    const { mode, limits, running, queue } = this.#state;
    if (mode !== "active") return 0;
    return queue.size +
      Math.min(limits.maxSpares, running.size + queue.size);
  }

  /** Whether so many results wait to be stored that no test may be started. */
  get congested(): boolean {
    return this.#state.ingesting >= this.#state.limits.maxPendingIngests;
  }

  takeIdle(): System {
    const [system] = this.#state.idle;
    this.#state.idle.delete(system);
    return system;
  }

  /** Finds a use for a system that is set up and in no list. */
  place(system: System): void {
    const { queue, idle, mode } = this.#state;
    const usable = mode === "active" && system.lost === undefined;
    if (usable && queue.size > 0 && !this.congested) {
      if (this.#start(system)) return;
    } else if (usable && idle.size < this.want) {
      system.phase = "idle";
      idle.add(system);
      this.tell({ type: "remote-idle", remote: system.remote.id });
      return;
    }
    this.giveBack(system);
  }

  /** Starts the next test on a system; false if the rules do not allow it. */
  #start(system: System): boolean {
    const { queue, attempts, running } = this.#state;
    let test: string;
    try {
      test = queue.take(system.info!);
    } catch (error) {
      if (!(error instanceof NextRuleError)) throw error;
      this.fail(error.kind, error.message, error.cause);
      return false;
    }
    const attempt = (attempts.get(test) ?? 0) + 1;
    system.phase = "running";
    system.test = test;
    running.add(system);
    this.do({ type: "run", system, test, attempt });
    return true;
  }

  cancel(systems: Iterable<System>, reason: unknown): void {
    for (const system of systems) {
      if (system.cancelled) continue;
      system.cancelled = true;
      this.do({ type: "cancel", system, reason });
    }
  }

  giveBack(system: System, fault?: "setup-failed" | "destroyed"): void {
    const gone = system.lost ? "destroyed" : fault;
    const reason: ReleaseReason = this.#state.aborted
      ? "abort"
      : gone ?? (system.info?.previous ? "done" : "surplus");
    system.phase = "released";
    this.#state.releasing++;
    const usable = gone !== "destroyed";
    this.do({ type: "release", system, reason, usable });
    if (gone) this.lostFrom = system.supplier;
  }

  // Provisioners

  /** Waits for the next system of a provisioner, if one may come: more than were asked for are not taken. */
  await(supplier: Supplier): void {
    if (supplier.dead || supplier.taking || this.#state.mode === "over") return;
    if (supplier.coming === 0) return;
    supplier.taking = true;
    this.do({ type: "take", supplier });
  }

  request(supplier: Supplier, count: number): void {
    this.#state.demand.add(supplier, count);
    this.do({ type: "request", supplier, count });
    this.await(supplier);
  }

  /** Asks for more systems: where one was just lost, else of all in turn. */
  ask(count: number): void {
    const { demand } = this.#state;
    if (count <= 0 || demand.living === 0) return;
    if (this.lostFrom && !this.lostFrom.dead) {
      return this.request(this.lostFrom, count);
    }
    for (const [supplier, share] of demand.share(count)) {
      this.request(supplier, share);
    }
  }

  /** Drops all demand. */
  clear(): void {
    const { demand } = this.#state;
    const suppliers = demand.owing();
    if (suppliers.length === 0) return;
    demand.clear();
    this.do({ type: "clear", suppliers });
    const provisioners = suppliers.map(({ provisioner }) => provisioner.name);
    this.tell({ type: "demand-cancelled", provisioners });
  }

  // The end

  /** From now on only what runs is brought to its end; the first reason counts. */
  fail(kind: OrchestratorErrorKind, why: string, cause?: unknown): void {
    const state = this.#state;
    if (state.mode !== "active") return;
    state.mode = "draining";
    state.end = { kind, why, cause };
    const error = cause === undefined ? undefined : asError(cause);
    this.tell({ type: "draining", kind, why, ...(error && { error }) });
    this.clear();
    // no setup begins any more; those under way have until the end of what runs
    const waiting = state.settingUp.values().filter(({ executor }) =>
      executor === undefined
    );
    this.cancel(waiting, error ?? new Error(why));
  }

  /** Nothing runs or is left to run, and no spare is left. */
  windDown(): void {
    this.#state.mode = "over";
    this.clear();
    this.do({ type: "leave" });
    this.cancel(this.#state.settingUp, new Error("The run is over"));
  }

  /** Ends the run if nothing is under way any more. */
  finish(): void {
    const { settingUp, ingesting, releasing, demand } = this.#state;
    if (settingUp.size + ingesting + releasing > 0) return;
    if (demand.suppliers.some(({ taking }) => taking)) return;
    this.#state.mode = "done";
    this.do({ type: "finish" });
  }
}
