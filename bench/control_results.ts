/** Measures 100 000 small results: see `_control.ts` for the options. */
import { controlBenchmark } from "./_control.ts";

await controlBenchmark("results");
