/**
 * A script as a user might run it, for tests that kill it and start it again:
 * tests of many kinds on local systems and, if an image is given, on containers.
 * What it does is noted in OUT/runs.log, a JSON line for each attempt and ingest.
 *
 *     _resumed_run.ts OUT TESTS FORM SYSTEMS [IMAGE CONTAINERS]
 */
import type {
  Aggregator,
  IngestInfo,
  Stored,
} from "../../aggregators/aggregator.ts";
import { JsonLinesAggregator } from "../../aggregators/jsonl.ts";
import { run } from "../../connections/process.ts";
import { FunctionExecutor } from "../../executors/function.ts";
import type { TestFunction } from "../../executors/function.ts";
import { AdHocOrchestrator } from "../../orchestrators/adhoc.ts";
import { reruns } from "../../orchestrators/policies.ts";
import { LocalProvisioner } from "../../provisioners/local.ts";
import { PodmanProvisioner } from "../../provisioners/podman.ts";
import type { Provisioner } from "../../provisioners/provisioner.ts";

const [out, tests, form, systems, image, containers] = Deno.args;
await Deno.mkdir(out, { recursive: true });

function note(what: object): void {
  Deno.writeTextFileSync(`${out}/runs.log`, `${JSON.stringify(what)}\n`, {
    append: true,
  });
}

/** A test that does, by its number, one thing or the other. */
function testOf(index: number): TestFunction {
  return async ({ remote, name, attempt, report, artifacts }) => {
    note({ test: name, attempt });
    await Deno.writeTextFile(`${artifacts}/own.txt`, `${name} ${attempt}\n`);
    const subtests = [0, 1, 12, 300][index % 4];
    for (let i = 0; i < subtests; i++) {
      const files: Record<string, string> = i % 10 === 0
        ? { "log.txt": `${name} ${attempt} ${i}` }
        : {};
      report({ name: `sub${i}`, status: "pass", note: "n".repeat(40), files });
    }
    if (index % 3 === 0) await run(remote, ["sleep", "0.02"]);
    if (index % 5 === 0 && attempt === 1) throw new Error("not yet");
    if (index % 11 === 0) throw new Error("never");
  };
}

/** Notes what is stored, and hands everything on. */
class Noted implements Aggregator {
  readonly #aggregator: JsonLinesAggregator;

  constructor(aggregator: JsonLinesAggregator) {
    this.#aggregator = aggregator;
  }

  async ingest(
    platform: string,
    test: string,
    artifacts: string | URL,
    info?: IngestInfo,
  ): Promise<Stored> {
    const stored = await this.#aggregator.ingest(
      platform,
      test,
      artifacts,
      info,
    );
    note({ stored: test, attempt: info?.attempt });
    return stored;
  }

  count = (platform: string, test: string) =>
    this.#aggregator.count(platform, test);
  start = () => Promise.resolve(this);
  stop = () => this.#aggregator.stop();
  [Symbol.asyncDispose] = () => this.stop();
}

const functions = Object.fromEntries(
  Array.from({ length: Number(tests) }, (_, i) => [
    // some are below others, so that their files are moved one by one
    i % 6 === 5 ? `/group/t${i - 1}/below` : `/group/t${i}`,
    testOf(i),
  ]),
);
await using results = await new JsonLinesAggregator({
  results: `${out}/results.${form}`,
  files: `${out}/files`,
  fields: ["attempt", "earlier"],
  ...(form === "jsonl.gz" && { compression: { format: "gzip" } }),
  existing: "continue",
}).start();
await using earlier = await new JsonLinesAggregator({
  results: `${out}/earlier.jsonl`,
  files: `${out}/earlier`,
  fields: ["attempt"],
  allowDuplicate: true,
  existing: "continue",
}).start();
await using local = await new LocalProvisioner({
  maxRemotes: Number(systems),
}).start();
await using pool = image === undefined
  ? undefined
  : await new PodmanProvisioner({
    image,
    maxRemotes: Number(containers),
    runOptions: ["--network=none"],
  }).start();
const provisioners: Provisioner[] = [local, ...pool ? [pool] : []];
await using orchestrated = new AdHocOrchestrator({
  platform: "here",
  tests: Object.keys(functions),
  provisioners,
  executor: (remote) => new FunctionExecutor(remote, { tests: functions }),
  aggregator: new Noted(results),
  earlier,
  rerun: reruns(1),
  destructive: ({ exitCode }) => exitCode !== 0 && Math.random() < 0.3,
  journal: `${out}/run.journal`,
}).run();
console.log("begun");
const { passed, failed, notRun, ingested } = await orchestrated.finished;
console.log(
  JSON.stringify({ passed, failed, notRun, ingested: ingested.size }),
);
