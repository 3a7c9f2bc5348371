/**
 * Ingests all tests in a directory, one after the other, in a process of its own;
 * prints what it cost and what came of it.
 */
import { JsonLinesAggregator } from "../aggregators/jsonl.ts";
import { measure, sizeOf } from "./_once.ts";

const [artifacts, out, prefix] = Deno.args as [string, string, string];
const tests = [...Deno.readDirSync(artifacts)].map(({ name }) => name).sort();
const results = `${out}/results.jsonl`;
const files = `${out}/files`;

const cost = measure();
const aggregator = new JsonLinesAggregator({ results, files });
await aggregator.start();
for (const test of tests) {
  await aggregator.ingest(
    "plat@x86_64",
    prefix + test,
    `${artifacts}/${test}`,
  );
}
await aggregator.stop();
const measured = cost();

let lines = 0;
{
  using file = Deno.openSync(results);
  const block = new Uint8Array(1024 * 1024);
  for (let count; (count = file.readSync(block)) !== null;) {
    for (let at = -1; (at = block.indexOf(10, at + 1)) !== -1 && at < count;) {
      lines++;
    }
  }
}
const moved = sizeOf(files);
console.log(JSON.stringify({
  ...measured,
  check: `${lines} lines, ${moved.files} files, ${moved.bytes} bytes`,
}));
