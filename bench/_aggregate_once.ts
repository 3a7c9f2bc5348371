/**
 * Ingests tests, one after the other, in a process of its own:
 *
 *     _aggregate_once.ts ARTIFACTS OUT TEST COUNT FORM FORMAT
 *
 * prints what it cost and what came of it. TEST is the name of each: `%05d` in it
 * is a number from 0 on. The last part of the name is its directory.
 */
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import type { CompressionFormat } from "../aggregators/jsonl.ts";
import { readResults } from "../aggregators/reader.ts";
import { measure } from "./_once.ts";

type Format = CompressionFormat | "plain";

const [artifacts, out, pattern, count, form, format] = Deno.args as [
  string,
  string,
  string,
  string,
  "jsonl" | "yaml",
  Format,
];
const results = `${out}/results`;
const files = `${out}/files`;
const options = {
  results,
  files,
  ...(format !== "plain" && { compression: { format } }),
};

const cost = measure();
const aggregator = form === "yaml"
  ? new (await import("../aggregators/yaml.ts")).YamlAggregator(options)
  : new (await import("../aggregators/jsonl.ts")).JsonLinesAggregator(options);
await aggregator.start();
for (let n = 0; n < Number(count); n++) { // a list of names would take memory
  const test = pattern.replace("%05d", String(n).padStart(5, "0"));
  await aggregator.ingest(
    "plat@x86_64",
    test,
    `${artifacts}/${test.slice(test.lastIndexOf("/") + 1)}`,
  );
}
await aggregator.stop();
const measured = cost();

let found = 0;
for await (const _result of readResults(results)) found++;
const paths = filesIn(files);
const bytes = plainSize(paths);
console.log(JSON.stringify({
  ...measured,
  target_bytes: Deno.statSync(results).size,
  check: `${found} results, ${paths.length} files, ${bytes} bytes`,
}));

function filesIn(directory: string): string[] {
  return [...Deno.readDirSync(directory)].flatMap(({ name, isDirectory }) =>
    isDirectory ? filesIn(`${directory}/${name}`) : [`${directory}/${name}`]
  );
}

/** How many bytes there are in files when they are not compressed. */
function plainSize(paths: string[]): number {
  let size = 0;
  if (format === "xz") {
    for (let at = 0; at < paths.length; at += 1000) {
      const { stdout } = new Deno.Command("xz", {
        args: ["--robot", "--list", ...paths.slice(at, at + 1000)],
      }).outputSync();
      size += Number(
        /^totals\t\d+\t\d+\t\d+\t(\d+)/m
          .exec(new TextDecoder().decode(stdout))?.[1],
      );
    }
    return size;
  }
  for (const path of paths) {
    const bytes = Deno.readFileSync(path);
    size += (format === "gzip"
      ? gunzipSync(bytes)
      : format === "zstd"
      ? zstdDecompressSync(bytes)
      : bytes).length;
  }
  return size;
}
