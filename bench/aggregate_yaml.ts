/** Measures YAML documents, one test with 20 000 results: see `_aggregate.ts` for the options. */
import { aggregateBenchmark, writeResults } from "./_aggregate.ts";

await aggregateBenchmark({
  name: "aggregate_yaml",
  form: "yaml",
  count: 20_000,
  test: "/one",
  write: (directory, count) => writeResults(`${directory}/one`, count),
  check: (count) => `${count} results, 0 files, 0 bytes`,
});
