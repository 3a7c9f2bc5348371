/** Runs tests until the disk with the journal is full, makes room, and goes on. */
import { AdHocOrchestrator } from "../../orchestrators/adhoc.ts";
import {
  PretendedAggregator,
  PretendedExecutor,
  PretendedPool,
} from "./_pretend.ts";

const [disk] = Deno.args as [string];
const tests = Array.from({ length: 300 }, (_, i) => `/test/number/${i}`);
const aggregator = Object.assign(new PretendedAggregator(), {
  count: (_platform: string, test: string) =>
    aggregator.tests.filter((one) => one === test).length,
});
// a test that is stored twice would be there twice
const run = () =>
  new AdHocOrchestrator({
    platform: "here",
    tests,
    provisioners: [new PretendedPool({ maxRemotes: 2 })],
    executor: (remote) => new PretendedExecutor(remote),
    aggregator,
    artifacts: "/tmp",
    journal: `${disk}/run.journal`,
  }).run().finished;

await Deno.writeFile(`${disk}/ballast`, new Uint8Array(480 * 1024));
const first = await run().then(
  () => "it ended well",
  (error) => `${error.kind}: ${error.message}`,
);
const stored = aggregator.tests.length;
await Deno.remove(`${disk}/ballast`);
let second = -1;
try {
  const { ingested } = await run();
  second = ingested.size === new Set(aggregator.tests).size
    ? aggregator.tests.length
    : -2;
} catch (error) {
  console.error(error);
}
console.log(JSON.stringify({ first, stored, second, tests: tests.length }));
