// A run that can be interrupted: press Ctrl-C, or kill it, and start it again. deno run -A resume.ts [SECONDS]
import { JsonLinesAggregator } from "jsr:@atex/atex/aggregators/jsonl";
import { run } from "jsr:@atex/atex/connections/process";
import { FunctionExecutor } from "jsr:@atex/atex/executors/function";
import type { TestFunctions } from "jsr:@atex/atex/executors/function";
import { runMain } from "jsr:@atex/atex/main";
import { AdHocOrchestrator } from "jsr:@atex/atex/orchestrators/adhoc";
import { showProgress } from "jsr:@atex/atex/orchestrators/progress";
import { LocalProvisioner } from "jsr:@atex/atex/provisioners/local";

const [seconds = "2"] = Deno.args;
const tests: TestFunctions = Object.fromEntries(
  Array.from({ length: 20 }, (_, i) => [
    `/long/${i + 1}`,
    ({ remote, signal }) => run(remote, ["sleep", seconds], { signal }),
  ]),
);

await runMain(async (signal) => {
  await using pool = await new LocalProvisioner({ maxRemotes: 4 }).start();
  await using results = await new JsonLinesAggregator({
    results: "out/results.jsonl",
    files: "out/files",
    existing: "continue",
  }).start();
  await using testing = new AdHocOrchestrator({
    platform: "local",
    tests: Object.keys(tests),
    provisioners: [pool],
    executor: (remote) => new FunctionExecutor(remote, { tests }),
    aggregator: results,
    journal: "out/run.journal", // remove `out` to begin anew
  }).run({ signal });
  await showProgress(testing);
  return (await testing.finished).failed === 0 ? 0 : 1;
});
