/** Prints how many bytes an aggregator keeps of each test that it stored; needs `--v8-flags=--expose-gc`. */
import { JsonLinesAggregator } from "../../aggregators/jsonl.ts";

const FROM = 1_000;
const TO = 5_000;
const { gc } = globalThis as unknown as { gc: () => void };
const directory = Deno.makeTempDirSync({ prefix: "atex-test-" });
const heaps: number[] = [];
try {
  await using aggregator = await new JsonLinesAggregator({
    results: `${directory}/results.jsonl`,
    files: `${directory}/files`,
  }).start();
  const artifacts = `${directory}/artifacts`;
  for (let n = 1; n <= TO; n++) {
    Deno.mkdirSync(`${artifacts}/files`, { recursive: true });
    Deno.writeTextFileSync(`${artifacts}/files/log`, "");
    Deno.writeTextFileSync(
      `${artifacts}/results`,
      '{"status": "pass", "files": ["log"]}\n',
    );
    await aggregator.ingest("here", `/suite/test${n}`, artifacts);
    if (n !== FROM && n !== TO) continue;
    gc();
    heaps.push(Deno.memoryUsage().heapUsed);
  }
} finally {
  Deno.removeSync(directory, { recursive: true });
}
console.log((heaps[1] - heaps[0]) / (TO - FROM));
