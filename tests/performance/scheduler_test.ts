/** What runs cost, as far as counts and growth can tell it. */
import { deepStrictEqual as equal, ok, strictEqual } from "node:assert/strict";
import { measureOnce, runProcess } from "../../bench/_once.ts";

const run = (tests: number, remotes: number, ms: number, rule = "none") =>
  measureOnce("./_scheduler_once.ts", [tests, remotes, ms, rule]);

/** What a script prints that measures the heap. */
async function bytesFrom(script: string): Promise<number> {
  const module = import.meta.resolve(`../orchestrators/${script}`);
  const flags = ["--no-check", "--v8-flags=--expose-gc"];
  const args = ["run", "-qA", ...flags, module];
  return Number(await runProcess(module, [], { args }));
}

Deno.test("a run keeps little of a test, from its beginning or when the test has ended", async () => {
  const bytes = await bytesFrom("_heap.ts");
  ok(bytes < 150, `${bytes} bytes for each test`);
});

Deno.test("a test that waits takes a place in a list", async () => {
  const bytes = await bytesFrom("_queue_heap.ts");
  ok(bytes > 0 && bytes < 20, `${bytes} bytes for each test`);
});

Deno.test("a run uses all systems and loses no test", async () => {
  const result = await run(300, 30, 20);
  equal([result.check, result.remotes_used], ["300 passed", 30]);
});

Deno.test("the memory of a run hardly grows with its tests", async () => {
  const [few, many] = [await run(1000, 100, 0), await run(10_000, 100, 0)];
  const more = many.peak_mib - few.peak_mib;
  ok(more <= 30, `${more} MiB more for 9000 tests`);
});

Deno.test("a rule orders the tests, at a cost that does not grow with them", async () => {
  const [few, many] = [
    await run(1_000, 100, 0, "duration"),
    await run(4_000, 100, 0, "duration"),
  ];
  ok(many.cpu_ms < 6 * few.cpu_ms, `${few.cpu_ms} ms, then ${many.cpu_ms} ms`);
  const order = Array.from({ length: 1_000 }, (_, i) => i)
    .sort((a, b) => b % 60 - a % 60 || a - b).map((i) => `/t${i}`);
  const bytes = new TextEncoder().encode(order.join("\n"));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  equal(few.check, `1000 passed, in the order ${digest.toHex()}`);
  equal((await run(1_000, 100, 0, "priority")).check, few.check);
});

Deno.test("the first test begins before the last system is there", async () => {
  const result = await measureOnce("./_provision_once.ts", ["pretended", 10]);
  strictEqual(result.check, "10 passed");
  const there = Number(result.systems_at_first_test);
  ok(there <= 4, `${there} of 10 systems were there`);
});
