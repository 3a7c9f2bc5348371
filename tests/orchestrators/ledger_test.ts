import { deepStrictEqual as equal } from "node:assert/strict";
import { Ledger } from "../../orchestrators/_ledger.ts";
import type { TestOutcome } from "../../orchestrators/orchestrator.ts";

const outcome = (test: string, attempt = 1, exitCode = 0): TestOutcome => ({
  ...{ test, attempt, exitCode },
  ...{ remote: "one", startedAt: 1, finishedAt: 2 },
});

Deno.test("each test is in one place of the summary, however it came to its end", () => {
  const tests = ["/done", "/left", "/again", "/failed", "/unstored", "/never"];
  const ledger = new Ledger("here", tests);
  const counted = () => {
    const { queued, running, done, failed, reruns } = ledger.counts(1);
    return { queued, running, done, failed, reruns };
  };

  // what an earlier process did, and what of it is still to be stored
  ledger.ended(outcome("/done"));
  ledger.stored(outcome("/done"));
  ledger.again(outcome("/left", 1, 3));
  ledger.ended(outcome("/left", 2));
  equal(counted(), { queued: 3, running: 1, done: 2, failed: 0, reruns: 1 });
  equal([...ledger.summary(3).ingested.keys()], ["/done"]);
  ledger.stored(outcome("/left", 2));

  ledger.again(outcome("/again", 1, 1));
  ledger.again(outcome("/again", 2, 1));
  for (const final of [outcome("/again", 3), outcome("/failed", 1, 1)]) {
    ledger.ended(final);
    ledger.stored(final);
  }
  ledger.ended(outcome("/unstored"));

  equal(counted(), { queued: 0, running: 1, done: 5, failed: 1, reruns: 3 });
  const { passed, failed, flaky, ingested, earlier, notRun } = ledger.summary(
    3,
  );
  equal({ passed, failed, flaky, notRun }, {
    ...{ passed: 4, failed: 1, flaky: 2 },
    notRun: ["/never"],
  });
  equal(
    ingested.values().map(({ test, attempt }) => `${test} ${attempt}`)
      .toArray(),
    ["/done 1", "/left 2", "/again 3", "/failed 1"],
  );
  equal(
    earlier.map(({ test, attempt }) => `${test} ${attempt}`),
    ["/left 1", "/again 1", "/again 2"],
  );
});

Deno.test("a system that is handed out again is no other one", () => {
  const ledger = new Ledger("here", []);
  for (const remote of ["a", "b", "a"]) ledger.arrived(remote);
  const { handedOut, systems } = ledger.summary(1);
  equal([handedOut, systems], [3, 2]);
});
