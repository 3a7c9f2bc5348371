// Runs the example suite. deno task demo [--on local|podman:IMAGE|ssh:HOST,HOST] [--systems N] [--output DIR]
import { parseArgs } from "jsr:@std/cli@^1/parse-args";
import { HtmlReportAggregator } from "jsr:@atex/atex/aggregators/html";
import { JsonLinesAggregator } from "jsr:@atex/atex/aggregators/jsonl";
import { MultiAggregator } from "jsr:@atex/atex/aggregators/multi";
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
    podman: { pull: "missing" },
  });
  await using pool = await provisioner.start({ signal });
  const report = new HtmlReportAggregator({
    report: `${options.output}/report.html`,
    title: "The example suite",
  });
  await using results = await new MultiAggregator([
    new JsonLinesAggregator({
      results: `${options.output}/results.jsonl`,
      files: `${options.output}/files`,
    }),
    report,
  ]).start();
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
  report.follow(run);
  await showProgress(run);
  await results.stop();
  console.log(
    `Results: ${options.output}/results.jsonl\nFiles:   ${options.output}/files\nReport:  ${options.output}/report.html`,
  );
  return (await run.finished).failed === 0 ? 0 : 1;
});

/** A name for a directory of results that is not there yet. */
function newDirectory(base: string): string {
  return `${base}-${
    new Date().toISOString().replaceAll(/\D/g, "").slice(0, 14)
  }`;
}
