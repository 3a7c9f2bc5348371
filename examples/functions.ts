// Tests that are functions of the script, on containers: deno run -A functions.ts [IMAGE]
import { JsonLinesAggregator } from "jsr:@atex/atex/aggregators/jsonl";
import { run } from "jsr:@atex/atex/connections/process";
import { FunctionExecutor } from "jsr:@atex/atex/executors/function";
import type { TestFunctions } from "jsr:@atex/atex/executors/function";
import { AdHocOrchestrator } from "jsr:@atex/atex/orchestrators/adhoc";
import { showProgress } from "jsr:@atex/atex/orchestrators/progress";
import { PodmanProvisioner } from "jsr:@atex/atex/provisioners/podman";

const tests: TestFunctions = {
  "/boots": ({ exec }) => exec(["cat", "/proc/version"]),
  "/disk": async ({ remote, report, log }) => {
    const df = await run(remote, ["df", "-P", "/"]);
    const used = parseInt(/(\d+)%/.exec(df)?.[1] ?? "");
    log(`${used} % of the disk are in use`);
    const status = used < 99 ? "pass" : "fail";
    report({ name: "space", status, files: { "df.txt": df } });
  },
};

const [image = "fedora:42"] = Deno.args;
await using pool = await new PodmanProvisioner({ image, pull: "missing" })
  .start();
await using results = await new JsonLinesAggregator({
  results: "out/results.jsonl",
  files: "out/files",
}).start();
await using testing = new AdHocOrchestrator({
  platform: image,
  tests: Object.keys(tests),
  provisioners: [pool],
  executor: (remote) => new FunctionExecutor(remote, { tests }),
  aggregator: results,
}).run();
await showProgress(testing);
Deno.exitCode = (await testing.finished).failed === 0 ? 0 : 1;
