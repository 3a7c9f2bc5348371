/** Ingests all directories below `ROOT/artifacts`, eight at a time, and prints the name of each when it is done. */
import { JsonLinesAggregator } from "../../aggregators/jsonl.ts";

const [root] = Deno.args as [string];
const names = [...Deno.readDirSync(`${root}/artifacts`)].map(({ name }) =>
  name
);
const aggregator = new JsonLinesAggregator({
  results: `${root}/results.jsonl`,
  files: `${root}/files`,
});
await aggregator.start();
await Promise.all(Array.from({ length: 8 }, async () => {
  for (let name = names.pop(); name; name = names.pop()) {
    await aggregator.ingest("p", name, `${root}/artifacts/${name}`);
    Deno.stdout.writeSync(new TextEncoder().encode(`${name}\n`));
  }
}));
await aggregator.stop();
