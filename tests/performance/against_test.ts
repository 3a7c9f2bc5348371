/** Benchmarks beside another implementation: what that is told, and what is compared. */
import { ok, strictEqual } from "node:assert/strict";
import type { Comparison } from "../../bench/_compare.ts";
import { runProcess } from "../../bench/_once.ts";
import { temporaryDirectory } from "./_directory.ts";

/** Compares this state with itself; returns also the arguments of the other one. */
async function compared(
  name: string,
  options: readonly string[],
): Promise<{ comparison: Comparison; told: string[] }> {
  await using directory = await temporaryDirectory();
  const url = import.meta.resolve(`../../bench/${name}.ts`);
  const file = `${directory.path}/told`;
  const other = `${directory.path}/other`;
  await Deno.writeTextFile(
    other,
    `printf '%s\\n' "$@" >'${file}'\n` +
      `exec '${Deno.execPath()}' run -qA --no-check '${url}' --bare "$@"\n`,
  );
  const against = ["--against", `sh '${other}'`, "--pairs", "1"];
  const args = [...options, ...against];
  const text = await runProcess(url, args);
  const told = (await Deno.readTextFile(file)).trimEnd().split("\n");
  return { comparison: JSON.parse(text), told };
}

const CASES = {
  discover: { options: ["--tests", "10"], inputs: ["root"] },
  control_results: {
    options: ["--count", "10"],
    inputs: ["stream", "system", "tree"],
  },
  control_output: { options: ["--count", "1"], inputs: ["system", "tree"] },
  executor: { options: ["--tests", "1"], inputs: ["system", "tree"] },
};

for (const [name, { options, inputs }] of Object.entries(CASES)) {
  Deno.test(`another implementation of "${name}" is told where the input is`, async () => {
    const { comparison, told } = await compared(name, options);
    for (const input of inputs) ok(told.includes(`--${input}`), input);
    strictEqual(comparison.same, true);
  });
}

Deno.test("a comparison has also what else both sides count, and what each took", async () => {
  const options = ["--tests", "20", "--remotes", "2", "--ms", "1"];
  const { comparison } = await compared("scheduler", options);
  const { counts, medians } = comparison;
  strictEqual(counts.remotes_used.median, 1);
  strictEqual(counts.n, undefined); // it is what was asked for
  strictEqual(medians.ours.n, 20);
  ok(medians.theirs.wall_ms > 0);
  ok(counts.gap_p95_ms.median > 0);
});
