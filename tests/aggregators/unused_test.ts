/** What is left by a script that has a mistake, and ends before anything is stored. */
import { deepStrictEqual, ok, rejects } from "node:assert/strict";
import type { Aggregator } from "../../aggregators/aggregator.ts";
import { HtmlReportAggregator } from "../../aggregators/html.ts";
import { JsonLinesAggregator } from "../../aggregators/jsonl.ts";
import { JUnitAggregator } from "../../aggregators/junit.ts";
import { MultiAggregator } from "../../aggregators/multi.ts";
import { YamlAggregator } from "../../aggregators/yaml.ts";
import { FunctionExecutor } from "../../executors/function.ts";
import { AdHocOrchestrator } from "../../orchestrators/adhoc.ts";
import { LocalProvisioner } from "../../provisioners/local.ts";
import { Place } from "./_place.ts";

/** One of each kind that makes files, with what it makes. */
function* kinds(place: Place): Generator<[Aggregator, string[]]> {
  const root = `${place.root}/out`;
  const paths = (name: string) => ({
    results: `${root}/${name}`,
    files: `${root}/files`,
  });
  const report = `${root}/r.html`;
  const compression = { format: "gzip" } as const;
  const jsonl = new JsonLinesAggregator(paths("r.jsonl"));
  yield [jsonl, ["files", "r.jsonl"]];
  const gzip = new JsonLinesAggregator({ ...paths("r.gz"), compression });
  yield [gzip, ["files", "r.gz"]];
  yield [new YamlAggregator(paths("r.yaml")), ["files", "r.yaml"]];
  yield [new JUnitAggregator({ target: `${root}/r.xml` }), ["r.xml"]];
  yield [new HtmlReportAggregator({ report }), ["r.html"]];
  const all = new MultiAggregator([
    new HtmlReportAggregator({ report }),
    new JsonLinesAggregator(paths("r.jsonl")),
  ]);
  yield [all, ["files", "r.html", "r.jsonl"]];
}

function names(place: Place): string[] | undefined {
  try {
    return [...Deno.readDirSync(`${place.root}/out`)]
      .map(({ name }) => name).sort();
  } catch {
    return undefined;
  }
}

Deno.test("an aggregator that is disposed of before it was given anything leaves nothing, and can be started again", async () => {
  await using place = new Place();
  for (const [aggregator, made] of kinds(place)) {
    {
      await using _started = await aggregator.start();
      ok(names(place));
    }
    deepStrictEqual(names(place), undefined);
    await aggregator.start();
    await aggregator.stop();
    deepStrictEqual(names(place), made, "stop() says that this is all");
    await aggregator[Symbol.asyncDispose]();
    deepStrictEqual(names(place), made);
    await Deno.remove(`${place.root}/out`, { recursive: true });
  }
});

Deno.test("an aggregator that was given something leaves it, whatever that was", async () => {
  await using place = new Place();
  for (const [aggregator, made] of kinds(place)) {
    await aggregator.start();
    await aggregator.ingest("p", "/silent", place.artifacts([]));
    await aggregator[Symbol.asyncDispose]();
    deepStrictEqual(names(place), made);
    await Deno.remove(`${place.root}/out`, { recursive: true });
  }
});

Deno.test("a mistake in the options of a run is not in the way of the next try", async () => {
  await using place = new Place();
  const tests = { "/a": () => {} };
  const script = async (tested: string) => {
    await using pool = await new LocalProvisioner().start();
    await using results = await new JsonLinesAggregator(place.paths()).start();
    await using run = new AdHocOrchestrator({
      platform: "here",
      tests: [tested],
      provisioners: [pool],
      executor: (remote) => new FunctionExecutor(remote, { tests }),
      aggregator: results,
      artifacts: place.root,
      maxSpares: tested === "/a" ? 0 : -1,
    }).run();
    return (await run.finished).passed;
  };
  await rejects(script("/b"), RangeError);
  deepStrictEqual(await script("/a"), 1);
});
