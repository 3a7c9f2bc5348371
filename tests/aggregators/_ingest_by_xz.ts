/** Ingests `ROOT/artifacts/0`, compressed by xz, and prints what went wrong. */
import { JsonLinesAggregator } from "../../aggregators/jsonl.ts";

const [root] = Deno.args as [string];
const aggregator = new JsonLinesAggregator({
  results: `${root}/results.jsonl`,
  files: `${root}/files`,
  compression: { format: "xz" },
});
const outcomes = [];
for (
  const step of [
    () => aggregator.start(),
    () => aggregator.ingest("p", "/t", `${root}/artifacts/0`),
    () => aggregator.stop(),
  ]
) {
  outcomes.push(
    await step().then(() => null, (error) => `${error.name}: ${error.message}`),
  );
}
console.log(JSON.stringify(outcomes));
