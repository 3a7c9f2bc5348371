/** Measures a test that prints 1 GiB, in blocks of 64 KiB: see `_control.ts` for the options. */
import { controlBenchmark } from "./_control.ts";

await controlBenchmark("output");
