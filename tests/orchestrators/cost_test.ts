/** What runs cost, as far as counts and growth can tell it. */
import { deepStrictEqual as equal, ok } from "node:assert/strict";

async function printed(module: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-qA",
      "--no-check",
      "--v8-flags=--expose-gc",
      import.meta.resolve(module),
      ...args,
    ],
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  ok(success, decoder.decode(stderr));
  return decoder.decode(stdout);
}

Deno.test("a run keeps nothing of a finished test but its outcome", async () => {
  const bytes = Number(await printed("./heap.ts"));
  ok(bytes < 400, `${bytes} bytes for each test`);
});

Deno.test("bench/scheduler.ts uses all systems and loses no test", async () => {
  const args = ["--tests=300", "--remotes=30", "--ms=20"];
  const result = JSON.parse(
    await printed("../../bench/scheduler.ts", ...args),
  );
  equal(result.options, { tests: 300, remotes: 30, ms: 20 });
  equal([result.check, result.remotes_used], ["300 passed", 30]);
  ok(result.efficiency > 0 && result.efficiency <= 1);
  ok(result.gap_p50_ms <= result.gap_p95_ms);
});

Deno.test("bench/scheduler_rules.ts starts tests in the order of the rule, whose cost does not grow", async () => {
  const measure = async (rule: string, tests: number) =>
    JSON.parse(
      await printed(
        "../../bench/scheduler_rules.ts",
        `--rule=${rule}`,
        `--tests=${tests}`,
        "--pairs=1",
      ),
    );
  const [few, many] = [
    await measure("duration", 1_000),
    await measure("duration", 4_000),
  ];
  ok(many.cpu_ms < 6 * few.cpu_ms, `${few.cpu_ms} ms, then ${many.cpu_ms} ms`);
  const order = Array.from({ length: 1_000 }, (_, i) => i)
    .sort((a, b) => b % 60 - a % 60 || a - b).map((i) => `/t${i}`);
  const bytes = new TextEncoder().encode(order.join("\n"));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  equal(few.check, `1000 passed, in the order ${digest.toHex()}`);
  equal((await measure("priority", 1_000)).check, few.check);
});
