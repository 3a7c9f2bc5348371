/**
 * Ingests in a form from a disk that became read-only, onto another one, and tries to
 * start on the first one; prints what was seen.
 */
import { contents, layOut } from "./_artifacts.ts";
import { aggregatorOf, find, type Form } from "./_forms.ts";

const [disk, elsewhere, form] = Deno.args as [string, string, Form];
const artifacts = layOut(`${disk}/a/b`, [{ status: "pass" }], { f: "1" });
const before = JSON.stringify(contents(disk));
const { success } = new Deno.Command("mount", {
  args: ["-o", "remount,ro", disk],
}).outputSync();
if (!success) throw new Error("cannot make the file system read-only");

const start = await aggregatorOf(form, disk).start()
  .then(() => null, (error) => error.message);
const aggregator = await aggregatorOf(form, elsewhere).start();
const ingest = await aggregator.ingest("p", "/t", artifacts)
  .then(() => null, (error) => error.message);
await aggregator.stop();
const found = await find(form, elsewhere);
console.log(JSON.stringify({
  start,
  ingest,
  intact: JSON.stringify(contents(disk)) === before,
  found: found.map(({ form, counts, file }) => [
    form,
    counts.get("/t") ?? 0,
    file("/t", "f"),
  ]),
}));
