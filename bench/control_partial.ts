/** Measures 100 000 partial results of 1 000 names: see `_control.ts` for the options. */
import { controlBenchmark } from "./_control.ts";

await controlBenchmark("partial");
