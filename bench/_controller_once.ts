/**
 * Runs tests that end at once on pretended systems, until only tests are left that do
 * nothing, one on each system; in a process of its own, with `--expose-gc`:
 *
 *     _controller_once.ts TESTS REMOTES
 *
 * prints how much memory the process takes then.
 */
import { AdHocOrchestrator } from "../orchestrators/adhoc.ts";
import {
  PretendedAggregator,
  PretendedExecutor,
  PretendedPool,
} from "../tests/orchestrators/_pretend.ts";
import { statusOf, temporaryDirectory, total } from "./_once.ts";

const [tests, remotes] = Deno.args.map(Number);
const { gc } = globalThis as unknown as { gc: () => void };

/** Counts, and keeps nothing. */
class Counting extends PretendedAggregator {
  stored = 0;
  override ingest(): Promise<void> {
    this.stored++;
    return Promise.resolve();
  }
}

const aggregator = new Counting();
const atRest = Promise.withResolvers<void>();
const rested = Promise.withResolvers<void>();
let begun = 0;
const artifacts = temporaryDirectory();
const { finished } = new AdHocOrchestrator({
  platform: "pretended",
  tests: Array.from({ length: tests + remotes }, (_, i) => `/t${i}`),
  provisioners: [new PretendedPool({ maxRemotes: remotes })],
  executor: (remote) =>
    new PretendedExecutor(remote, async () => {
      begun++;
      if (begun <= tests) return 0;
      if (begun === tests + remotes) atRest.resolve();
      await rested.promise;
      return 0;
    }),
  aggregator,
  concurrency: { setup: remotes, release: remotes },
  artifacts,
}).run();

await atRest.promise;
await new Promise((resolve) => setTimeout(resolve, 200));
gc();
await new Promise((resolve) => setTimeout(resolve, 200));
gc();
const { heapUsed, external } = Deno.memoryUsage();
const heap_mib = (heapUsed + external) / 2 ** 20;
const rss_mib = statusOf("self", "VmRSS") / 1024;
rested.resolve();
const { passed } = await finished;
Deno.removeSync(artifacts, { recursive: true });
console.log(JSON.stringify({
  ...total(),
  heap_mib,
  rss_mib,
  check: `${passed} passed, ${aggregator.stored} stored`,
}));
