/**
 * `deno task fuzz [SECONDS] [TARGET…]`: gives those who read what comes from elsewhere inputs that nobody thought of,
 * all of them or those of the names, for a minute or so many seconds. Ends with 1 if something did not hold; the
 * smallest input that shows it is kept in a file below `out/fuzz`.
 *
 * - `--replay FILE`: tries the input in such a file again
 * - `--seed N`: the same inputs as in the run that printed this number
 * - `--runs N`: so many inputs for each target, instead of a time
 * - `--out DIRECTORY`: where failures are kept
 * - `--list`: the targets, and what has to hold for each
 */
import { parseArgs } from "node:util";
import type { Report } from "../tests/fuzz/engine.ts";
import { fuzz, replay, saveFailure } from "../tests/fuzz/campaign.ts";
import { TARGETS } from "../tests/fuzz/targets.ts";

const { values, positionals } = parseArgs({
  args: Deno.args,
  allowPositionals: true,
  options: {
    replay: { type: "string" },
    seed: { type: "string" },
    runs: { type: "string" },
    out: { type: "string", default: "out/fuzz" },
    list: { type: "boolean" },
  },
});

/** Says what came of a target; keeps a failure. */
async function tell({ target, runs, failure }: Report): Promise<void> {
  if (!failure) return console.log(`${target}: ${runs} inputs`);
  Deno.exitCode = 1;
  console.log(`${target}: FAILED after ${runs} inputs`);
  console.log(`  has to hold: ${failure.oracle}`);
  console.log(`  input: ${JSON.stringify(failure.input).slice(0, 1000)}`);
  console.log(failure.error.replaceAll(/^/gm, "  "));
  if (values.replay !== undefined) return;
  const path = await saveFailure(failure, values.out);
  console.log(`  again: deno task fuzz --replay ${path}`);
}

/** A whole number that is not negative. */
function numberOf(text: string, what: string): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number < 2 ** 31) return number;
  console.error(`"${text}" is no ${what}`);
  Deno.exit(2);
}

function list(): void {
  for (const { name, oracle } of TARGETS.values()) {
    console.log(`${name}: ${oracle}`);
  }
}

async function run(): Promise<void> {
  const seconds = /^\d/.test(positionals[0] ?? "")
    ? numberOf(positionals.shift()!, "number of seconds")
    : 60;
  const unknown = positionals.filter((name) => !TARGETS.has(name));
  if (unknown.length > 0) {
    console.error(
      `no target ${unknown.join(", ")}: there are ${
        [...TARGETS.keys()].join(", ")
      }`,
    );
    Deno.exit(2);
  }
  const seed = values.seed === undefined
    ? crypto.getRandomValues(new Uint32Array(1))[0]! >>> 2
    : numberOf(values.seed, "seed");
  console.log(`seed ${seed}`);
  const told: Promise<void>[] = [];
  const reports = await fuzz({
    targets: positionals.length > 0 ? positionals : [...TARGETS.keys()],
    seed,
    ...(values.runs === undefined
      ? { time: seconds * 1000 }
      : { runs: numberOf(values.runs, "number of inputs") }),
    workers: navigator.hardwareConcurrency,
    onReport: (report) => told.push(tell(report)),
  });
  await Promise.all(told);
  const inputs = reports.reduce((sum, { runs }) => sum + runs, 0);
  const failed = reports.filter(({ failure }) => failure).length;
  console.log(
    `fuzz: ${reports.length} targets, ${inputs} inputs, ${failed} failed, seed ${seed}`,
  );
}

if (values.list) list();
else if (values.replay !== undefined) await tell(await replay(values.replay));
else await run();
