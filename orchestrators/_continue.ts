/** Loaded only by runs that have a journal. */
import { Semaphore } from "@std/async/unstable-semaphore";
import type { Artifacts, Environment } from "./_environment.ts";
import { Journal } from "./_journal.ts";
import type { Ledger } from "./_ledger.ts";
import { type Plan, planFrom } from "./_resume.ts";
import { refuseStored } from "./_refuse.ts";
import type { OpenRun } from "./_run.ts";
import type { Settings } from "./_settings.ts";
import { resumeState, type State } from "./_state.ts";
import type { Steps } from "./_steps.ts";
import { acquire } from "./_waiting.ts";

/** A run that was begun and has done nothing yet. */
export interface Begun {
  settings: Settings;
  environment: Environment;
  state: State;
  ledger: Ledger;
  run: OpenRun;
  steps: Steps;
  artifacts: Artifacts;
  /** Is told once, when the journal cannot be written. */
  onFailure: (error: Error) => void;
}

/**
 * Opens the journal of a run; tells state and ledger what earlier processes did,
 * stores the results that these left, and removes what else they left.
 *
 * @throws {Error} if the journal cannot be used
 */
export async function continueRun(
  { settings, environment, state, ledger, run, steps, artifacts, onFailure }:
    Begun,
): Promise<{ journal: Journal } & Pick<Plan, "history" | "storedBefore">> {
  const { platform, tests } = settings;
  const path = settings.journal!;
  const store = await environment.openJournal(path);
  try {
    const boot = environment.boot();
    const { journal, past } = await Journal.open(
      store,
      { path, platform, tests },
      {
        at: environment.now(),
        artifacts: artifacts.reserve(),
        boot,
        onFailure,
      },
    );
    const plan = planFrom(past, { ...settings, artifacts, boot });
    refuseStored(
      settings.aggregator,
      platform,
      plan.tests.filter((test) => !past.attempts.has(test)),
      path,
    );
    resumeState(state, plan);
    for (const outcome of plan.again) ledger.again(outcome);
    for (const outcome of plan.done) {
      ledger.ended(outcome);
      ledger.stored(outcome);
    }
    // the artifacts that prove it are removed below
    for (const outcome of plan.concluded) journal.stored(outcome, true);
    for (const { earlier, outcome } of plan.leftovers) {
      if (!earlier) ledger.ended(outcome);
    }
    if (past.sessions.length > 0) {
      const final = [
        ...plan.done,
        ...plan.leftovers.filter(({ earlier }) => !earlier)
          .map(({ outcome }) => outcome),
      ];
      run.tell({
        type: "run-resumed",
        done: final.map(({ test }) => test),
        failed: final.filter(({ exitCode }) => exitCode !== 0)
          .map(({ test }) => test),
        ...(plan.outputs.size > 0 && {
          outputs: Object.fromEntries(plan.outputs),
        }),
        interrupted: plan.interrupted,
        reruns: plan.again.length,
      });
    }
    const permits = new Semaphore(settings.concurrency.ingest);
    const last = new Map<string, Promise<void>>();
    await Promise.all(plan.leftovers.map((leftover) => {
      const { test } = leftover.outcome;
      const before = last.get(test);
      const storing = (async () => {
        await before;
        using _permit = await acquire(permits);
        await steps.ingest({ ...leftover, journal });
      })();
      last.set(test, storing);
      return storing;
    }));
    for (const session of past.sessions) {
      await artifacts.sweep(session.artifacts);
    }
    const { history, storedBefore } = plan;
    return { journal, history, storedBefore };
  } catch (error) {
    store.close();
    throw error;
  }
}
