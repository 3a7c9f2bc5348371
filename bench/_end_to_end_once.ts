/**
 * Runs all tests of a tree on this system, in a process of its own:
 *
 *     _end_to_end_once.ts TREE OUT SYSTEMS
 */
import { JsonLinesAggregator } from "../aggregators/jsonl.ts";
import { discover, FmfExecutor } from "../executors/fmf/mod.ts";
import { AdHocOrchestrator } from "../orchestrators/adhoc.ts";
import { LocalProvisioner } from "../provisioners/local.ts";
import { sizeOf, total } from "./_once.ts";

const [tree, out, systems] = Deno.args;
const results = `${out}/results.jsonl`;
{
  await using tests = await discover(tree);
  await using aggregator = await new JsonLinesAggregator({
    results,
    files: `${out}/files`,
  }).start();
  await using pool = await new LocalProvisioner({
    maxRemotes: Number(systems),
  }).start();
  await using run = new AdHocOrchestrator({
    platform: "here",
    tests: tests.data.keys(),
    provisioners: [pool],
    executor: (remote) => new FmfExecutor(remote, { tests }),
    aggregator,
  }).run();
  await run.finished;
}
const lines = Deno.readTextFileSync(results).split("\n").length - 1;
const { files } = sizeOf(`${out}/files`);
console.log(JSON.stringify({
  ...total(),
  check: `${lines} lines, ${files} files`,
}));
