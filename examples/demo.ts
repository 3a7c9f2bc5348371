// Runs the example suite. deno task demo [--on local|podman:IMAGE|ssh:HOST,HOST] [--systems N] [--output DIR]
import { parseArgs } from "jsr:@std/cli@^1/parse-args";
import { JsonLinesAggregator } from "jsr:@atex/atex/aggregators/jsonl";
import { discover, FmfExecutor } from "jsr:@atex/atex/executors/fmf";
import { runMain } from "jsr:@atex/atex/main";
import { AdHocOrchestrator } from "jsr:@atex/atex/orchestrators/adhoc";
import {
  byPriority,
  destructiveTag,
  longestFirst,
  reruns,
} from "jsr:@atex/atex/orchestrators/policies";
import { showProgress } from "jsr:@atex/atex/orchestrators/progress";
import { provisionerFromString } from "jsr:@atex/atex/provisioners/from-string";

await runMain(async (signal) => {
  const options = parseArgs(Deno.args, {
    string: ["on", "systems", "output"],
    default: { on: "local", systems: "4", output: newDirectory("out/demo") },
  });
  const suite = new URL("./suite", import.meta.url);
  await using tests = await discover(suite, { plan: "/plans/demo", signal });
  const provisioner = await provisionerFromString(options.on, {
    maxRemotes: Number(options.systems),
  });
  await using pool = await provisioner.start({ signal });
  await using results = await new JsonLinesAggregator({
    results: `${options.output}/results.jsonl`,
    files: `${options.output}/files`,
  }).start();
  await using run = new AdHocOrchestrator({
    platform: options.on,
    tests: tests.data.keys(),
    provisioners: [pool],
    executor: (remote) => new FmfExecutor(remote, { tests }),
    aggregator: results,
    next: [byPriority(tests), longestFirst(tests)],
    destructive: destructiveTag(tests),
    rerun: reruns(2),
  }).run({ signal });
  await showProgress(run);
  console.log(
    `Results: ${options.output}/results.jsonl\nFiles:   ${options.output}/files`,
  );
  return (await run.finished).failed === 0 ? 0 : 1;
});

/** A name for a directory of results that is not there yet. */
function newDirectory(base: string): string {
  return `${base}-${
    new Date().toISOString().replaceAll(/\D/g, "").slice(0, 14)
  }`;
}
