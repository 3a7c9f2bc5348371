import { deepStrictEqual as equal, throws } from "node:assert/strict";
import fc from "fast-check";
import type { NextRule, SetupInfo } from "../../orchestrators/orchestrator.ts";
import { TestQueue } from "../../orchestrators/_queue.ts";
import {
  affinity,
  byPriority,
  byRank,
  longestFirst,
} from "../../orchestrators/policies.ts";

const info = {} as SetupInfo;

function rest(queue: TestQueue): string[] {
  return Array.from({ length: queue.size }, () => queue.take(info));
}

/** The same narrowing, without what makes it sortable. */
function unranked(rule: NextRule): NextRule {
  return (candidates, info) => rule(candidates, info);
}

Deno.test("TestQueue keeps the order given without rules", () => {
  equal(rest(new TestQueue(["b", "a", "c"], [])), ["b", "a", "c"]);
});

Deno.test("TestQueue puts a test that comes again behind those of the same rank", () => {
  const even = byRank((test) => Number(test) % 2);
  const queue = new TestQueue(["1", "2", "3", "4"], [even]);
  equal(queue.take(info), "2");
  queue.push("2");
  equal(rest(queue), ["4", "2", "1", "3"]);
  queue.push("4");
  queue.push("1");
  equal(queue.size, 2);
  equal(rest(queue), ["4", "1"]);
});

Deno.test("TestQueue shows other rules only what the ranks before leave equal", () => {
  const shown: string[][] = [];
  const last: NextRule = (candidates) => {
    shown.push([...candidates]);
    return candidates.slice(-1);
  };
  const even = byRank((test) => Number(test) % 2);
  equal(rest(new TestQueue(["1", "2", "3", "4"], [even, last])), [
    "4",
    "2",
    "3",
    "1",
  ]);
  equal(shown, [["2", "4"], ["2"], ["1", "3"], ["1"]]);
});

Deno.test("TestQueue passes over a rule that leaves nothing", () => {
  const rules: NextRule[] = [() => [], (candidates) => candidates.slice(-1)];
  equal(rest(new TestQueue(["a", "b"], rules)), ["b", "a"]);
});

Deno.test("TestQueue is not disturbed by a rule that changes its list", () => {
  const queue = new TestQueue(["a", "b"], [(candidates) => {
    (candidates as string[]).length = 0;
    return ["b"];
  }]);
  equal(queue.take(info), "b");
  equal(queue.size, 1);
});

Deno.test("TestQueue loses no test to a rule that names another one", () => {
  const queue = new TestQueue(["a"], [(all) => all, () => ["b"]]);
  throws(() => queue.take(info), {
    name: "NextRuleError",
    kind: "InvalidNextTest",
    message: 'rule 2 of "next" named "b", which was not offered to it',
  });
  equal(queue.size, 1);
});

Deno.test("TestQueue takes what is no test for no test, even if tests were taken out of turn", () => {
  const wanted = ["b", undefined];
  const wish: NextRule = () => [wanted.shift()!];
  const queue = new TestQueue(["a", "b", "c"], [wish]);
  equal(queue.take(info), "b");
  throws(() => queue.take(info), {
    kind: "InvalidNextTest",
    message: 'rule 1 of "next" named undefined, which was not offered to it',
  });
  equal(queue.size, 2);
});

Deno.test("TestQueue tells of a rule that throws, or gives no list", () => {
  const cause = new Error("oh no");
  const bad: [NextRule, string, unknown][] = [
    [
      () => {
        throw cause;
      },
      'rule 1 of "next" threw',
      cause,
    ],
    [
      affinity(() => {
        throw cause;
      }),
      'rule 1 of "next" threw',
      cause,
    ],
    [
      () => undefined as unknown as string[],
      'rule 1 of "next" gave undefined instead of a list of tests',
      undefined,
    ],
  ];
  for (const [rule, message, cause] of bad) {
    const queue = new TestQueue(["a"], [rule]);
    throws(
      () => queue.take(info),
      { name: "NextRuleError", kind: "PolicyFailed", message, cause },
    );
    equal(queue.size, 1);
  }
});

Deno.test("TestQueue refuses a rank that is not a number", () => {
  for (const rank of [NaN, "1", undefined]) {
    throws(
      () => new TestQueue(["a"], [byRank(() => rank as number)]),
      {
        name: "TypeError",
        message: `Cannot order tests: rule 1 of "next" ranked "a" as ${
          Deno.inspect(rank)
        }, which is not a number`,
      },
    );
  }
});

Deno.test("TestQueue sorts by ranks exactly as the same rules would narrow, reruns included", () => {
  const ranks = fc.array(
    fc.tuple(fc.integer({ min: -1, max: 1 }), fc.nat(2), fc.nat(2)),
    { minLength: 1, maxLength: 60 },
  );
  const again = fc.infiniteStream(fc.boolean());
  fc.assert(
    fc.property(ranks, again, fc.nat(3), (ranks, again, dynamic) => {
      const tests = ranks.map((_, index) => `${index}`);
      const rules = [0, 1, 2].map((column) =>
        byRank((test) => ranks[Number(test)][column], {
          ...(column < 2 && { decides: (rank) => rank === column }),
        })
      );
      if (dynamic < 3) rules[dynamic] = unranked(rules[dynamic]);
      const sorted = new TestQueue(tests, rules);
      const narrowed = new TestQueue(tests, rules.map(unranked));
      for (let left = 100; sorted.size > 0; left--) {
        const test = sorted.take(info);
        equal(test, narrowed.take(info));
        equal(sorted.size, narrowed.size);
        if (left > 0 && again.next().value) {
          sorted.push(test);
          narrowed.push(test);
        }
      }
    }),
    { numRuns: 300 },
  );
});

Deno.test("TestQueue finds tests by keys exactly as the same rule would narrow, reruns included", () => {
  const keys = fc.array(
    fc.tuple(fc.constantFrom("x", "y", undefined), fc.nat(2)),
    { minLength: 1, maxLength: 60 },
  );
  fc.assert(
    fc.property(
      keys,
      fc.infiniteStream(fc.boolean()),
      fc.infiniteStream(fc.nat(60)),
      fc.subarray(["before", "after", "last"]),
      (keys, again, ran, which) => {
        const tests = keys.map((_, index) => `${index}`);
        const rule = affinity((test) => keys[Number(test)]?.[0]);
        const rank = byRank((test) => keys[Number(test)]![1]);
        const last: NextRule = (candidates) => candidates.slice(-1);
        const rules = (rule: NextRule) => [
          ...which.includes("before") ? [rank] : [],
          rule,
          ...which.includes("after") ? [rank] : [],
          ...which.includes("last") ? [last] : [],
        ];
        const found = new TestQueue(tests, rules(rule));
        const narrowed = new TestQueue(tests, rules(unranked(rule)));
        for (let left = 100; found.size > 0; left--) {
          const number = ran.next().value!;
          const info = {
            ...number < 60 && { previous: { test: `${number}` } },
          } as SetupInfo;
          const test = found.take(info);
          equal(test, narrowed.take(info));
          equal(found.size, narrowed.size);
          if (left > 0 && again.next().value) {
            found.push(test);
            narrowed.push(test);
          }
        }
      },
    ),
    { numRuns: 300 },
  );
});

Deno.test("TestQueue asks for the key of a test once, and of one that ran", () => {
  let asked = 0;
  const rule = affinity((test) => {
    asked++;
    return test.length;
  });
  const tests = Array.from({ length: 1000 }, (_, index) => `${index}`);
  const queue = new TestQueue(tests, [rule]);
  let previous: { test: string } | undefined;
  while (queue.size > 0) {
    const info = { ...previous && { previous } } as SetupInfo;
    previous = { test: queue.take(info) };
  }
  equal(asked, 1000 + 999);
});

Deno.test("byPriority() and longestFirst() leave only what they do not know to each other", () => {
  const keys = (priority: number, duration?: string) => ({
    "extra-priority": priority,
    duration,
  });
  const data = new Map(Object.entries({
    "/low 1m": keys(-1, "1m"),
    "/low 1h": keys(-1, "1h"),
    "/none": keys(0),
    "/1m": keys(0, "1m"),
    "/1h": keys(0, "1h"),
    "/high 1m": keys(1, "1m"),
    "/high 1h": keys(1, "1h"),
  }));
  const tests = { data };
  const order = (...rules: NextRule[]) =>
    rest(new TestQueue([...data.keys()], rules));
  const priorityFirst = [
    ...["/high 1m", "/high 1h", "/1h", "/1m", "/none"],
    ...["/low 1m", "/low 1h"],
  ];
  const durationFirst = [
    ...["/low 1h", "/1h", "/high 1h", "/low 1m", "/1m", "/high 1m", "/none"],
  ];
  for (const wrap of [(rule: NextRule) => rule, unranked]) {
    const priority = wrap(byPriority(tests));
    const duration = wrap(longestFirst(tests));
    equal(order(priority, duration), priorityFirst);
    equal(order(duration, priority), durationFirst);
  }
});
