import { deepStrictEqual as equal } from "node:assert/strict";
import { Outcomes } from "../../orchestrators/_outcomes.ts";
import type { TestOutcome } from "../../orchestrators/orchestrator.ts";

const ended = (test: string, other: Partial<TestOutcome>): TestOutcome => ({
  test,
  attempt: 1,
  exitCode: 0,
  remote: "one",
  startedAt: 1_700_000_000_000,
  finishedAt: 1_700_000_000_001,
  ...other,
});

Deno.test("toMap() gives the outcomes that were added, in their order", () => {
  const error = new Error("lost");
  const { exitCode: _, ...infra } = ended("/infra", {});
  const outcomes = [
    ended("/z", {}),
    ended("/rerun", { attempt: 2, exitCode: 0 }),
    ended("/a", { remote: "two", startedAt: 1, finishedAt: 2.5 }),
    { ...infra, error },
    ended("/late", { exitCode: 143, remote: "one" }),
    ended("/odd", { exitCode: -2147483649 }),
    ...[null, "1", 1n, NaN, -0].map((exitCode) =>
      ended(`/${Deno.inspect(exitCode)}`, { exitCode: exitCode as number })
    ),
  ];
  const kept = new Outcomes(outcomes.length);
  equal([...kept.toMap()], []);
  for (const outcome of outcomes) kept.add(outcome);
  equal(
    [...kept.toMap()],
    outcomes.map((outcome) => [outcome.test, outcome]),
  );
  equal([kept.has("/z"), kept.has("/infra"), kept.has("/b")], [
    true,
    true,
    false,
  ]);
});
