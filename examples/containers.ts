// An fmf suite over a pool of containers: deno run -A containers.ts [IMAGE]
import { JsonLinesAggregator } from "jsr:@atex/atex/aggregators/jsonl";
import { discover, FmfExecutor } from "jsr:@atex/atex/executors/fmf";
import { AdHocOrchestrator } from "jsr:@atex/atex/orchestrators/adhoc";
import {
  byPriority,
  longestFirst,
  reruns,
} from "jsr:@atex/atex/orchestrators/policies";
import { showProgress } from "jsr:@atex/atex/orchestrators/progress";
import { PodmanProvisioner } from "jsr:@atex/atex/provisioners/podman";

const [image = "fedora:42"] = Deno.args;
const suite = new URL("./suite", import.meta.url);

await using tests = await discover(suite, { plan: "/plans/demo" });
await using pool = await new PodmanProvisioner({
  image,
  pull: "missing",
  maxRemotes: 4,
}).start();
await using results = await new JsonLinesAggregator({
  results: "out/results.jsonl",
  files: "out/files",
}).start();
await using run = new AdHocOrchestrator({
  platform: image,
  tests: tests.data.keys(),
  provisioners: [pool],
  executor: (remote) => new FmfExecutor(remote, { tests }),
  aggregator: results,
  next: [byPriority(tests), longestFirst(tests)],
  rerun: reruns(2),
}).run();
await showProgress(run);
Deno.exitCode = (await run.finished).failed === 0 ? 0 : 1;
