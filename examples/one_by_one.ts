// The tests of a suite, one after the other, on this machine: deno run -A one_by_one.ts [DIRECTORY]
import { JsonLinesAggregator } from "jsr:@atex/atex/aggregators/jsonl";
import { discover, FmfExecutor } from "jsr:@atex/atex/executors/fmf";
import { runMain } from "jsr:@atex/atex/main";
import { showProgress } from "jsr:@atex/atex/orchestrators/progress";
import { SimpleOrchestrator } from "jsr:@atex/atex/orchestrators/simple";
import { LocalProvisioner } from "jsr:@atex/atex/provisioners/local";

await runMain(async (signal) => {
  const suite = Deno.args[0] ?? new URL("./suite", import.meta.url);
  await using tests = await discover(suite, {
    excludes: ["^/system", "^/flaky"],
    signal,
  });
  await using local = await new LocalProvisioner().start();
  await using results = await new JsonLinesAggregator({
    results: "out/results.jsonl",
    files: "out/files",
  }).start();
  await using run = new SimpleOrchestrator({
    platform: "local",
    tests: tests.data.keys(),
    provisioner: local,
    executor: (remote) => new FmfExecutor(remote, { tests }),
    aggregator: results,
  }).run({ signal });
  await showProgress(run);
  return (await run.finished).failed === 0 ? 0 : 1;
});
