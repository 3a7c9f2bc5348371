/**
 * A run on containers until it gets a signal:
 *
 *     _signalled_run.ts IMAGE DIRECTORY gentle|stubborn
 *
 * Its tests end when they are told to, or never. Says which containers it has,
 * and when each has begun a test.
 */
import { JsonLinesAggregator } from "../../aggregators/jsonl.ts";
import { run } from "../../connections/process.ts";
import {
  FunctionExecutor,
  type TestFunctions,
} from "../../executors/function.ts";
import { AdHocOrchestrator } from "../../orchestrators/adhoc.ts";
import { runMain } from "../../orchestrators/main.ts";
import { PodmanProvisioner } from "../../provisioners/podman.ts";

const [image, directory, kind] = Deno.args as [string, string, string];
const NAMES = ["/one", "/two", "/three", "/four"];

/** Takes no notice of being aborted. */
class Stubborn extends FunctionExecutor {
  override runTest(): Promise<number> {
    console.log("running");
    return new Promise((resolve) => setTimeout(resolve, 600_000, 0));
  }
}

const tests: TestFunctions = Object.fromEntries(
  NAMES.map((name) => [name, async ({ remote, signal }) => {
    console.log("running");
    await run(remote, ["sleep", "600"], { signal });
  }]),
);
const Kind = kind === "gentle" ? FunctionExecutor : Stubborn;

await runMain(async (signal) => {
  await using pool = await new PodmanProvisioner({
    image,
    maxRemotes: 2,
    runOptions: ["--network=none"],
    onEvent(event) {
      if (event.type === "ready") {
        console.log(`container ${event.attributes.container}`);
      }
    },
  }).start({ signal });
  await using results = await new JsonLinesAggregator({
    results: `${directory}/results.jsonl`,
    files: `${directory}/files`,
  }).start();
  await using testing = new AdHocOrchestrator({
    platform: "containers",
    tests: NAMES,
    provisioners: [pool],
    executor: (remote) => new Kind(remote, { tests }),
    aggregator: results,
    artifacts: `${directory}/artifacts`,
  }).run({ signal });
  await testing.finished;
}, { write: console.log });
