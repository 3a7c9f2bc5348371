import type { Aggregator } from "../../aggregators/aggregator.ts";
import { JsonLinesAggregator } from "../../aggregators/jsonl.ts";
import { MultiAggregator } from "../../aggregators/multi.ts";
import { AdHocOrchestrator } from "../../orchestrators/adhoc.ts";
import {
  PretendedAggregator,
  PretendedExecutor,
  PretendedPool,
} from "./_pretend.ts";

/** Where an aggregator is that cannot count, beside one for lines of JSON, and what it does. */
export interface Upload {
  order: "first" | "last";
  works: boolean;
}

/**
 * Runs a test with a journal. Its results go to lines of JSON, and to an aggregator that adds
 * its name to ROOT/uploads, or fails. Tells how the run ended.
 */
export async function runBesideUpload(
  root: string,
  { order, works }: Upload,
  onIngest: () => void = () => {},
): Promise<string> {
  const upload = new PretendedAggregator((test, artifacts) => {
    if (!works) throw new Error("the server is away");
    Deno.writeTextFileSync(`${root}/uploads`, `${test}\n`, { append: true });
    Deno.removeSync(`${artifacts}/results`);
  });
  const lines = new JsonLinesAggregator({
    results: `${root}/results.jsonl`,
    files: `${root}/files`,
    existing: "continue",
  });
  const children: Aggregator[] = order === "first"
    ? [upload, lines]
    : [lines, upload];
  await using aggregator = await new MultiAggregator(children).start();
  const { ingest } = aggregator;
  aggregator.ingest = (...given) => {
    onIngest();
    return ingest.apply(aggregator, given);
  };
  const run = new AdHocOrchestrator({
    platform: "here",
    tests: ["/a"],
    provisioners: [new PretendedPool()],
    executor: (remote) =>
      new PretendedExecutor(remote, (_test, artifacts) => {
        Deno.writeTextFileSync(`${artifacts}/results`, '{"status":"pass"}\n');
        Deno.mkdirSync(`${artifacts}/files`);
        Deno.writeTextFileSync(`${artifacts}/files/log`, "log");
        return 0;
      }),
    aggregator,
    journal: `${root}/run.journal`,
  }).run();
  return await run.finished.then(() => "complete", ({ kind }) => kind);
}
