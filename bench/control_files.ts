/** Measures 10 000 results with a small file each: see `_control.ts` for the options. */
import { controlBenchmark } from "./_control.ts";

await controlBenchmark("files");
