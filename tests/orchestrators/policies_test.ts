import { deepStrictEqual as equal, throws } from "node:assert/strict";
import type {
  FinishedInfo,
  SetupInfo,
  TestOutcome,
} from "../../orchestrators/orchestrator.ts";
import {
  affinity,
  byPriority,
  byRank,
  destructiveOnFresh,
  destructiveTag,
  longestFirst,
  reruns,
} from "../../orchestrators/policies.ts";

const metadata = (data: Record<string, Record<string, unknown>>) => ({
  data: new Map(Object.entries(data)),
});
const fresh = {} as SetupInfo;
const after = (test: string) =>
  ({ previous: { test } as TestOutcome }) as SetupInfo;
const finished = (info: Partial<FinishedInfo>) => info as FinishedInfo;

Deno.test("byRank() narrows to the tests with the smallest number, in the order given", () => {
  const rule = byRank((test) => test.length);
  equal(rule(["ccc", "a", "bb", "d"], fresh), ["a", "d"]);
  equal(rule([], fresh), []);
  equal(byRank(() => Infinity)(["a", "b"], fresh), ["a", "b"]);
  equal(rule.rank?.("ccc"), 3);
});

Deno.test("byRank() leaves only the first test where the number decides", () => {
  const decides = (rank: number) => rank === 1;
  const rule = byRank((test) => test.length, { decides });
  equal(rule(["ccc", "a", "bb", "d"], fresh), ["a"]);
  equal(rule(["bb", "ccc", "dd"], fresh), ["bb", "dd"]);
  equal(rule([], fresh), []);
});

Deno.test("byPriority() leaves only tests of priority 0, which is the default, to the next rule", () => {
  const rule = byPriority(metadata({
    "/low": { "extra-priority": -1 },
    "/high": { "extra-priority": 5 },
    "/too": { "extra-priority": 5 },
    "/lower": { "extra-priority": -1 },
    "/zero": { "extra-priority": 0 },
    "/none": {},
  }));
  equal(rule(["/low", "/none", "/high", "/zero"], fresh), ["/high"]);
  equal(rule(["/low", "/none", "/zero", "/not-in-metadata"], fresh), [
    "/none",
    "/zero",
    "/not-in-metadata",
  ]);
  equal(rule(["/low"], fresh), ["/low"]);
  equal(rule(["/too", "/none", "/high"], fresh), ["/too"]);
  equal(rule(["/lower", "/low"], fresh), ["/lower"]);
  for (const [a, b] of [["/high", "/none"], ["/none", "/low"]]) {
    equal(rule.rank!(a) < rule.rank!(b), true);
  }
});

Deno.test("byPriority() refuses what is not a number", () => {
  for (const value of ["high", NaN, null, [1]]) {
    throws(
      () => byPriority(metadata({ "/a": { "extra-priority": value } })),
      {
        name: "TypeError",
        message: `Cannot order tests by priority: "extra-priority" of "/a" is ${
          Deno.inspect(value)
        }, it must be a number`,
      },
    );
  }
});

Deno.test("longestFirst() names the longest; only tests without a duration, which come last, are left to the next rule", () => {
  const rule = longestFirst(metadata({
    "/none": {},
    "/empty": { duration: null },
    "/90m": { duration: "90m" },
    "/2h": { duration: "2h" },
    "/120m": { duration: "120m" },
  }));
  equal(rule(["/none", "/90m", "/2h", "/120m"], fresh), ["/2h"]);
  equal(rule(["/none", "/90m", "/empty"], fresh), ["/90m"]);
  equal(rule(["/empty", "/none"], fresh), ["/empty", "/none"]);
  equal(rule.rank!("/90m") < rule.rank!("/none"), true);
  const factor = metadata({
    "/9m": { duration: "9m" },
    "/x2": { duration: "*2" },
  });
  equal(longestFirst(factor)(["/9m", "/x2"], fresh), ["/x2"]);
});

Deno.test("longestFirst() names the test whose duration cannot be understood", () => {
  throws(
    () => longestFirst(metadata({ "/a": { duration: "long" } })),
    (error) =>
      error instanceof TypeError && error.cause instanceof Error &&
      error.message.startsWith(
        'Cannot order tests by duration: "duration" of "/a" is "long": ',
      ),
  );
});

Deno.test("rules read metadata when they are made", () => {
  const tests = metadata({
    "/a": { "extra-priority": 1, tag: ["destructive"] },
    "/b": {},
  });
  const priority = byPriority(tests);
  const destructive = destructiveTag(tests, () => false);
  tests.data.clear();
  equal(priority(["/a", "/b"], fresh), ["/a"]);
  equal(destructive(finished({ test: "/a", exitCode: 0 })), true);
});

Deno.test("affinity() narrows to tests with the key of the one that ran before", () => {
  const rule = affinity((test) => test.split("/")[1] || undefined);
  const tests = ["/a/1", "/b/1", "/a/2"];
  equal(rule(tests, fresh), tests);
  equal(rule(tests, after("/a/0")), ["/a/1", "/a/2"]);
  equal(rule(tests, after("/c/0")), []);
  equal(rule(tests, after("/")), tests, "no key, no preference");
});

Deno.test("destructiveOnFresh() gives destructive tests to fresh systems, others to used ones", () => {
  const rule = destructiveOnFresh(metadata({
    "/wipe": { tag: ["slow", "destructive"] },
    "/also": { tag: "destructive" },
    "/plain": { tag: ["slow"] },
  }));
  const tests = ["/plain", "/wipe", "/other", "/also"];
  equal(rule(tests, fresh), ["/wipe", "/also"]);
  equal(rule(tests, after("/x")), ["/plain", "/other"]);
  equal(rule(["/plain"], fresh), []);
});

Deno.test("destructiveTag() destroys after a tagged test, else after what the other rule says", () => {
  const tests = metadata({ "/wipe": { tag: ["destructive"] }, "/a": {} });
  const rule = destructiveTag(tests);
  equal(rule(finished({ test: "/wipe", exitCode: 0 })), true);
  equal(rule(finished({ test: "/a", exitCode: 0 })), false);
  equal(rule(finished({ test: "/a", exitCode: 2 })), true);
  const tolerant = destructiveTag(tests, ({ exitCode }) => exitCode === 9);
  equal(tolerant(finished({ test: "/a", exitCode: 2 })), false);
  equal(tolerant(finished({ test: "/a", exitCode: 9 })), true);
});

Deno.test("reruns() allows so many reruns for each test", () => {
  const rule = reruns(2);
  equal(
    [1, 2, 3].map((attempt) => rule(finished({ attempt, exitCode: 1 }))),
    [true, true, false],
  );
  equal(reruns(0)(finished({ attempt: 1, exitCode: 1 })), false);
  equal([reruns(2).limit, reruns(0).limit], [2, 0]);
});

Deno.test("reruns() can be for some exit codes only; an error always qualifies", () => {
  const rule = reruns(1, { exitCodes: [1, 3] });
  const codes = [1, 2, 3].map((exitCode) =>
    rule(finished({ attempt: 1, exitCode }))
  );
  equal(codes, [true, false, true]);
  const error = new Error("lost");
  equal(rule(finished({ attempt: 1, error })), true);
  equal(rule(finished({ attempt: 2, error })), false);
});

Deno.test("reruns() refuses what is not a count", () => {
  for (const count of [-1, 1.5, NaN, Infinity]) {
    throws(() => reruns(count), {
      name: "RangeError",
      message:
        `Cannot rerun tests ${count} times: it must be an integer of at least 0`,
    });
  }
});
