/** Prints how many bytes each finished test keeps while its run goes on; needs `--v8-flags=--expose-gc`. */
import { AdHocOrchestrator } from "../../orchestrators/adhoc.ts";
import {
  PretendedAggregator,
  PretendedExecutor,
  PretendedPool,
} from "./pretend.ts";

const FROM = 1_000;
const TO = 5_000;
const { gc } = globalThis as unknown as { gc: () => void };
const heaps: number[] = [];
let ended = 0;

const run = new AdHocOrchestrator({
  platform: "here",
  tests: Array.from({ length: TO + 1 }, (_, i) => `/t${i}`),
  provisioners: [new PretendedPool()],
  executor: (remote) =>
    new PretendedExecutor(remote, async (_test, artifacts) => {
      if (++ended === FROM || ended === TO) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        gc();
        const { heapUsed, external } = Deno.memoryUsage();
        heaps.push(heapUsed + external);
      }
      Deno.writeTextFileSync(`${artifacts}/results`, "{}\n");
      return ended % 2;
    }),
  aggregator: new PretendedAggregator((_test, artifacts) =>
    Deno.removeSync(`${artifacts}/results`)
  ),
  destructive: () => false, // the pool keeps a record of all systems
}).run();
const seen = { events: 0 };
for await (const _ of run) seen.events++;
await run.finished;
console.log((heaps[1] - heaps[0]) / (TO - FROM));
