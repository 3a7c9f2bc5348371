/** Ingests onto a small disk: what fails, and what is left of it. */
import { JsonLinesAggregator } from "../../aggregators/jsonl.ts";
import { contents, layOut } from "./_artifacts.ts";

const [disk, elsewhere, what] = Deno.args as [string, string, string];
const results = `${disk}/results.jsonl`;
const aggregator = new JsonLinesAggregator({ results, files: `${disk}/files` });
await aggregator.start();

const small = layOut(`${elsewhere}/small`, [{ status: "pass" }], { f: "1" });
await aggregator.ingest("p", "/small", small);
const before = Deno.readTextFileSync(results);

const note = "x".repeat(1000);
const many = Array.from({ length: what === "lines" ? 15_000 : 300 }, () => ({
  note,
}));
const large = layOut(
  // files are renamed, or they have to be copied
  what === "files" ? `${elsewhere}/large` : `${disk}/large`,
  what === "files" ? [{ status: "pass" }] : [],
  { "a/f": "2", "a/g": "x".repeat(what === "files" ? 2_000_000 : 10) },
);
if (what !== "files") {
  // the results of a test need not be on the small disk
  Deno.removeSync(`${large}/results`);
  Deno.writeTextFileSync(
    `${elsewhere}/results`,
    many.map((result) => `${JSON.stringify(result)}\n`).join(""),
  );
  Deno.symlinkSync(`${elsewhere}/results`, `${large}/results`);
}
const artifacts = contents(large);
const error = await aggregator.ingest("p", "/large", large)
  .then(() => undefined, String);
const seen = {
  error,
  target: Deno.readTextFileSync(results) === before,
  files: contents(`${disk}/files`),
  intact: JSON.stringify(contents(large)) === JSON.stringify(artifacts),
};

// what failed can be repeated, and others are not in its way
Deno.writeTextFileSync(`${elsewhere}/results`, '{"status":"fail"}\n');
Deno.writeTextFileSync(`${large}/files/a/g`, "3");
await aggregator.ingest("p", "/large", large);
await aggregator.stop();
console.log(JSON.stringify({
  ...seen,
  lines: Deno.readTextFileSync(results).split("\n").length - 1,
  after: contents(`${disk}/files`),
}));
