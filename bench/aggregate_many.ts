/** Measures 10 000 tests with 10 results and 3 files each: see `_aggregate.ts` for the options. */
import { aggregateBenchmark } from "./_aggregate.ts";

const log = Array.from(
  { length: 70 },
  (_, i) =>
    `line ${i}: the quick brown fox jumps over the lazy dog ${
      7919 * i % 1000
    }\n`,
).join("").slice(0, 4096);

const results = [
  ...Array.from(
    { length: 9 },
    (_, i) => ({ status: "pass", name: `sub/${i}` }),
  ),
  { status: "pass", files: ["a.log", "b.log", "c.log"] },
].map((result) => `${JSON.stringify(result)}\n`).join("");

await aggregateBenchmark({
  name: "aggregate_many",
  count: 10_000,
  test: "/suite/test%05d",
  write(directory, count) {
    for (let n = 0; n < count; n++) {
      const test = `${directory}/test${String(n).padStart(5, "0")}`;
      Deno.mkdirSync(`${test}/files`, { recursive: true });
      Deno.writeTextFileSync(`${test}/results`, results);
      for (const name of ["a.log", "b.log", "c.log"]) {
        Deno.writeTextFileSync(`${test}/files/${name}`, log);
      }
    }
  },
  check: (count) =>
    `${count * 10} results, ${count * 3} files, ${
      count * 3 * log.length
    } bytes`,
});
