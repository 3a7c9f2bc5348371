/** Prints how many bytes a run keeps for each of its tests when all have ended; needs `--v8-flags=--expose-gc`. */
import { AdHocOrchestrator } from "../../orchestrators/adhoc.ts";
import {
  PretendedAggregator,
  PretendedExecutor,
  PretendedPool,
} from "./_pretend.ts";

const FEW = 1_000;
const MANY = 5_000;
const { gc } = globalThis as unknown as { gc: () => void };
const names = Array.from({ length: MANY }, (_, i) => `/t${i}`);

/** What is kept while the last of so many tests runs, whenever it was taken. */
async function keptOf(count: number): Promise<number> {
  let started = 0;
  let kept = 0;
  const run = new AdHocOrchestrator({
    platform: "here",
    tests: names.slice(0, count),
    provisioners: [new PretendedPool()],
    executor: (remote) =>
      new PretendedExecutor(remote, async (_test, artifacts) => {
        if (++started === count) {
          await new Promise((resolve) => setTimeout(resolve, 20));
          gc();
          const { heapUsed, external } = Deno.memoryUsage();
          kept = heapUsed + external;
        }
        Deno.writeTextFileSync(`${artifacts}/results`, "{}\n");
        return started % 2;
      }),
    aggregator: new PretendedAggregator((_test, artifacts) =>
      Deno.removeSync(`${artifacts}/results`)
    ),
    destructive: () => false, // the pool keeps a record of all systems
  }).run();
  const seen = { events: 0 };
  for await (const _ of run) seen.events++;
  await run.finished;
  return kept;
}

await keptOf(FEW); // what is kept of the first run is code
const few = await keptOf(FEW);
const many = await keptOf(MANY);
console.log((many - few) / (MANY - FEW));
