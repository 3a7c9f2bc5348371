/**
 * Ingests a test, and then another one, in results that can be continued. Kills itself
 * before it changes the file system for the STEP-th time after the first one.
 */
import { JsonLinesAggregator } from "../../aggregators/jsonl.ts";
import { dieAfter } from "./_die_at.ts";

const [root, artifacts, first, second, step] = Deno.args as string[];
const aggregator = await new JsonLinesAggregator({
  results: `${root}/out/results.jsonl`,
  files: `${root}/out/files`,
  existing: "continue",
}).start();
await aggregator.ingest("p", first!, `${artifacts}/first`);
dieAfter(Number(step));
await aggregator.ingest("p", second!, `${artifacts}/second`);
await aggregator.stop();
console.log("stopped");
