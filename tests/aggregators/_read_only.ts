/** Ingests artifacts that cannot be moved, since their file system became read-only. */
import { JsonLinesAggregator } from "../../aggregators/jsonl.ts";
import { contents, layOut } from "./_artifacts.ts";

const [disk, elsewhere] = Deno.args as [string, string];
const results = `${elsewhere}/results.jsonl`;
const withFiles = layOut(`${disk}/a`, [{ status: "pass" }], { f: "1" });
const without = layOut(`${disk}/b`, [{ status: "pass" }]);
const before = JSON.stringify(contents(disk));
const { success } = new Deno.Command("mount", {
  args: ["-o", "remount,ro", disk],
}).outputSync();
if (!success) throw new Error("cannot make the file system read-only");

const aggregator = new JsonLinesAggregator({
  results,
  files: `${elsewhere}/files`,
});
await aggregator.start();
const errors = [];
for (const [name, directory] of [["/a", withFiles], ["/b", without]]) {
  errors.push(
    await aggregator.ingest("p", name!, directory!)
      .then(() => null, (error) => error.name),
  );
}
await aggregator.stop();
console.log(JSON.stringify({
  errors,
  intact: JSON.stringify(contents(disk)) === before,
  target: Deno.readTextFileSync(results),
  files: contents(`${elsewhere}/files`),
}));
