/** What aggregators take, and what a whole run leaves behind. */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { writeResults } from "../../bench/_aggregate.ts";
import { measureOnce, runProcess } from "../../bench/_once.ts";
import { temporaryDirectory } from "./_directory.ts";

Deno.test("results of a test take no memory while they are stored", async () => {
  await using directory = await temporaryDirectory();
  const run = async (count: number) => {
    const [artifacts, out] = ["artifacts", "out"].map((name) =>
      `${directory.path}/${count}-${name}`
    );
    writeResults(`${artifacts}/one`, count);
    Deno.mkdirSync(out);
    const args = [artifacts, out, "/one", 1, "jsonl", "plain"];
    const cost = await measureOnce("./_aggregate_once.ts", args);
    strictEqual(cost.check, `${count} results, 0 files, 0 bytes`);
    return cost.peak_mib;
  };
  const more = await run(400_000) - await run(100_000);
  ok(more <= 16, `${more} MiB more for 300000 results`);
});

Deno.test("an aggregator keeps nothing of a stored test but its name", async () => {
  const module = import.meta.resolve("../aggregators/_heap.ts");
  const flags = ["--no-check", "--v8-flags=--expose-gc"];
  const args = ["run", "-qA", ...flags, module];
  const bytes = Number(await runProcess(module, [], { args }));
  ok(bytes < 150, `${bytes} bytes for each test`);
});

Deno.test("bench/end_to_end.ts has a line for each test, and leaves nothing", async () => {
  const program = import.meta.resolve("../../bench/end_to_end.ts");
  const args = ["--tests=10", "--systems=4"];
  const { check, left } = JSON.parse(await runProcess(program, args));
  deepStrictEqual([check, left], ["10 lines, 10 files", 0]);
});
