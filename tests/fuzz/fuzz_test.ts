/** The targets of `deno task fuzz`: the same inputs each time, some new ones, and whether faults are found at all. */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { inMemory } from "../_memory.ts";
import { carryOut } from "./engine.ts";
import { fuzz, replay, saveFailure } from "./campaign.ts";
import { PLANTED } from "./targets/planted.ts";
import { TARGETS } from "./targets.ts";

/** Inputs of each target that costs little. */
const RUNS = 100;
/** Milliseconds for inputs that were never tried before. */
const TIME = 3000;

const targets = [...TARGETS.keys()];
const workers = navigator.hardwareConcurrency;

Deno.test("nothing that is read breaks what reads it: the same inputs each time", async () => {
  const reports = await fuzz({ targets, seed: 1, runs: RUNS, workers });
  deepStrictEqual(reports.flatMap(({ failure }) => failure ?? []), []);
  ok(reports.every(({ runs }) => runs > 0));
});

Deno.test("nothing that is read breaks what reads it: new inputs", async () => {
  const seed = crypto.getRandomValues(new Uint32Array(1))[0]! >>> 2;
  console.log(`new inputs: deno task fuzz --seed ${seed}`);
  const reports = await fuzz({ targets, seed, time: TIME, workers });
  deepStrictEqual(reports.flatMap(({ failure }) => failure ?? []), []);
});

Deno.test("a planted fault is found, made small, kept in a file and found again", async () => {
  for (
    const [name, smallest, error] of [
      ["planted-throw", "b", "a fault"],
      ["planted-pollution", "b", "objects of the platform were changed"],
    ] as const
  ) {
    const { failure } = await carryOut({ target: name, seed: 7, runs: 1000 });
    ok(failure);
    strictEqual(failure.input, smallest);
    match(failure.error, new RegExp(error));
    const directory = await Deno.makeTempDir({
      prefix: "atex-test-",
      ...inMemory,
    });
    try {
      const path = await saveFailure(failure, `${directory}/out`);
      const again = await replay(path);
      deepStrictEqual(again.failure?.input, smallest);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  }
});

Deno.test("an input that keeps its target busy for ever is found", async () => {
  const task = { target: "planted-hang", seed: 7, runs: 1000 };
  const { failure } = await carryOut(task, { longest: 1500 });
  ok(failure);
  match(failure.error, /does not end/);
  match(`${failure.input}`, /b/);
  const again = { ...task, input: { value: failure.input } };
  const { failure: second } = await carryOut(again, { longest: 1500 });
  strictEqual(second?.error, failure.error);
});

Deno.test("the same seed makes the same inputs", async () => {
  const once = () => carryOut({ target: "planted-throw", seed: 3, runs: 500 });
  deepStrictEqual(await once(), await once());
  strictEqual(PLANTED.size, 3);
});
