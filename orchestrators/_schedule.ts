import type { FinishedInfo } from "./orchestrator.ts";
import { abortedEnding } from "./_ending.ts";
import { shown } from "./_given.ts";
import { Moves } from "./_moves.ts";
import { testFinished } from "./_outcome.ts";
import type {
  Action,
  Happening,
  RefusedError,
  State,
  System,
} from "./_state.ts";

type Of<T extends Happening["type"]> = Happening & { type: T };

/**
 * Takes in what happened, changes the state, and tells what is to be done, in
 * this order. All decisions of a run are made here, one at a time, without
 * waiting for anything and without a clock; the rules of the user are called
 * from here.
 */
export function decide(state: State, happening: Happening): Action[] {
  const moves = new Moves(state);
  take(state, moves, happening);
  settle(state, moves);
  return moves.actions;
}

/** Whether nothing can go on before a provisioner delivers. */
export function isWaiting(state: State): boolean {
  return state.mode === "active" && state.queue.size > 0 &&
    state.running.size + state.settingUp.size + state.idle.size === 0;
}

function take(state: State, moves: Moves, happening: Happening): void {
  switch (happening.type) {
    case "begin":
      return begin(state, moves);
    case "journal-failed":
      return journalFailed(state, moves, happening.error);
    case "refused":
      return refused(moves, happening.error);
    case "ready":
      return ready(state, moves, happening);
    case "reservation-failed":
      happening.supplier.taking = false;
      return reservationFailed(state, moves, happening);
    case "request-failed":
      return reservationFailed(state, moves, { ...happening, fatal: true });
    case "left":
      happening.supplier.taking = false;
      return;
    case "set-up":
      return setUp(state, moves, happening);
    case "setup-failed":
      return setupFailed(state, moves, happening);
    case "no-artifacts":
      return noArtifacts(state, moves, happening);
    case "test-ended":
      return testEnded(state, moves, happening);
    case "lost":
      return lost(state, moves, happening);
    case "ingest-ended":
      state.ingesting--;
      return;
    case "release-ended":
      state.releasing--;
      return;
    case "abort":
      return abort(state, moves, happening.reason);
    case "stall":
      return stall(state, moves, happening.ms);
  }
}

function begin(state: State, moves: Moves): void {
  if (moves.want === 0) return; // an earlier process has done everything
  for (const supplier of state.demand.suppliers) {
    if (!supplier.dead) moves.request(supplier, moves.want);
  }
}

function journalFailed(state: State, moves: Moves, cause: Error): void {
  const { message: why } = cause;
  moves.fail("JournalFailed", why, cause);
  state.end ??= { kind: "JournalFailed", why, cause };
}

function refused(moves: Moves, { kind, message, cause }: RefusedError): void {
  moves.fail(kind, message, cause);
}

function ready(state: State, moves: Moves, event: Of<"ready">): void {
  const { supplier, remote } = event;
  const needed = moves.want > state.settingUp.size + state.idle.size;
  const system: System = {
    remote,
    supplier,
    provisioner: supplier.provisioner,
    phase: "set-up",
    cancelled: false,
  };
  supplier.taking = false;
  state.demand.answered(supplier);
  if (needed) {
    state.settingUp.add(system);
    moves.do({ type: "set-up", system });
  } else {
    moves.tell({ type: "remote-surplus", remote: remote.id });
    moves.giveBack(system);
  }
  moves.await(supplier);
}

function reservationFailed(
  state: State,
  moves: Moves,
  { supplier, error, fatal }: Omit<Of<"reservation-failed">, "type">,
): void {
  const dies = state.demand.failed(supplier, error, fatal);
  const { provisioner, failures, dead } = supplier;
  moves.tell({
    type: "reservation-failed",
    provisioner: provisioner.name,
    error,
    failures,
    dead,
  });
  if (dies) moves.do({ type: "clear", suppliers: [supplier] });
  moves.await(supplier);
}

function setUp(state: State, moves: Moves, { system }: Of<"set-up">): void {
  const { remote, provisioner, executor } = system;
  state.settingUp.delete(system);
  system.info = { remote, provisioner, executor: executor! };
  moves.place(system);
}

function setupFailed(
  state: State,
  moves: Moves,
  { system, error, ms }: Of<"setup-failed">,
): void {
  const { maxFailedSetups } = state.limits;
  const broken = !system.cancelled || system.lost !== undefined;
  const remote = system.remote.id;
  state.settingUp.delete(system);
  if (broken) state.failedSetups++;
  if (ms !== undefined) {
    const left = Math.max(0, maxFailedSetups - state.failedSetups);
    moves.tell({
      type: "setup-failed",
      remote,
      ms,
      error,
      left,
      ...(!broken && { cancelled: true }),
    });
  }
  moves.giveBack(system, broken ? "setup-failed" : undefined);
  if (broken && state.failedSetups > maxFailedSetups) {
    const why =
      `too many setups failed (${state.failedSetups}), the last one on ${remote}`;
    moves.fail("SetupRetriesExceeded", why, error);
  }
}

function noArtifacts(
  state: State,
  moves: Moves,
  { system, error }: Of<"no-artifacts">,
): void {
  state.running.delete(system);
  state.queue.push(system.test!);
  moves.fail("IngestFailed", "there is no place for artifacts", error);
  moves.place(system);
}

function testEnded(state: State, moves: Moves, event: Of<"test-ended">): void {
  const { system, outcome, artifacts } = event;
  const { test, attempt, error, exitCode, startedAt, finishedAt } = outcome;
  const { remote, provisioner, executor, previous } = system.info!;
  const { destroyed, rerun } = judge(state, moves, system, {
    remote,
    provisioner,
    executor,
    previous,
    test,
    attempt,
    exitCode,
    error,
    startedAt,
    finishedAt,
    artifacts,
  });
  system.info = { remote, provisioner, executor, previous: outcome };
  state.running.delete(system);
  if (rerun) {
    state.attempts.set(test, attempt);
    state.queue.push(test);
  } else {
    state.attempts.delete(test);
  }
  moves.tell(testFinished(outcome, { destroyed, rerun }));
  const counts = state.mode !== "stopped" || error === undefined;
  if (counts) state.ingesting++;
  if (destroyed) moves.giveBack(system, "destroyed");
  else moves.place(system);
  moves.do(
    counts
      ? { type: "ingest", system, outcome, artifacts, earlier: rerun }
      : { type: "drop", artifacts },
  );
}

function judge(
  state: State,
  moves: Moves,
  system: System,
  info: FinishedInfo,
): { destroyed: boolean; rerun: boolean } {
  const { mode } = state;
  const failed = info.error !== undefined || info.exitCode !== 0;
  const destroyed = info.error !== undefined || system.lost !== undefined ||
    ask(state, moves, "destructive", info);
  const rerun = destroyed !== undefined && mode === "active" && failed &&
    ask(state, moves, "rerun", info);
  return destroyed === undefined || rerun === undefined
    ? { destroyed: true, rerun: false }
    : { destroyed, rerun };
}

/** What a rule says; undefined if it fails. */
function ask(
  { rules }: State,
  moves: Moves,
  rule: "destructive" | "rerun",
  info: FinishedInfo,
): boolean | undefined {
  let answer: unknown;
  try {
    answer = rules[rule](info);
  } catch (cause) {
    moves.fail("PolicyFailed", `the rule "${rule}" threw`, cause);
    return undefined;
  }
  if (typeof answer === "boolean") return answer;
  if (answer instanceof Promise) answer.catch(() => {}); // nobody waits for it
  const why = `the rule "${rule}" gave ${
    shown(answer)
  } instead of true or false`;
  moves.fail("PolicyFailed", why);
}

function lost(state: State, moves: Moves, event: Of<"lost">): void {
  const { system, error } = event;
  if (system.phase === "released" || system.lost) return;
  system.lost = error;
  moves.tell({ type: "remote-lost", remote: system.remote.id, error });
  if (state.idle.delete(system)) moves.giveBack(system);
  else moves.cancel([system], error);
}

function abort(state: State, moves: Moves, reason: unknown): void {
  if (state.aborted || state.mode === "done") return;
  state.aborted = true;
  state.end = abortedEnding(reason, state.end);
  moves.tell({ type: "aborting", reason });
  if (state.mode === "over") return;
  state.mode = "stopped";
  moves.clear();
  moves.cancel(state.running, reason);
  moves.cancel(state.settingUp, reason);
}

function stall(state: State, moves: Moves, ms: number): void {
  if (!isWaiting(state)) return;
  const names = state.demand.owing().map(({ provisioner }) => provisioner.name);
  moves.fail("Stalled", `${names.join(", ")} delivered nothing for ${ms} ms`);
}

/** What is done after every happening, in this order. */
function settle(state: State, moves: Moves): void {
  const { demand, queue, idle, running, settingUp } = state;

  while (
    isActive(state) && queue.size > 0 && idle.size > 0 && !moves.congested
  ) {
    moves.place(moves.takeIdle());
  }
  if (isActive(state)) {
    moves.ask(moves.want - settingUp.size - idle.size - demand.owed);
  }
  while (idle.size > moves.want) moves.giveBack(moves.takeIdle());
  if (
    isActive(state) && queue.size === 0 &&
    settingUp.size + idle.size >= moves.want
  ) {
    moves.clear();
  }
  if (isWaiting(state) && demand.living === 0) wantOfSystems(state, moves);
  const ended = running.size === 0 && (queue.size === 0 || !isActive(state));
  if (ended && state.mode !== "over") moves.windDown();
  if (state.mode === "over") moves.finish();
}

function isActive({ mode }: State): boolean {
  return mode === "active";
}

function wantOfSystems(state: State, moves: Moves): void {
  const { suppliers } = state.demand;
  const reasons = suppliers.map(({ provisioner: { name }, error }) =>
    `${name}: ${error?.message ?? "maxRemotes is 0"}`
  );
  const cause = suppliers.findLast(({ error }) => error)?.error;
  const why = `no provisioner can supply systems (${reasons.join("; ")})`;
  moves.fail("NoRemotes", why, cause);
}
