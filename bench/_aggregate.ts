/**
 * Measures an aggregator, from its start to its stop:
 *
 *     bench/aggregate_….ts [--count N] [--format plain|gzip|zstd|xz] [--against COMMAND] [--pairs N]
 *
 * COMMAND gets `--count N --format FORMAT --artifacts DIRECTORY --out DIRECTORY`,
 * both directories ready, and prints the same line of JSON.
 */
import type { Measured } from "./_compare.ts";
import { withinOf } from "./_goals.ts";
import { measureOnce } from "./_once.ts";
import { benchmark } from "./_program.ts";

/** A benchmark of aggregators. */
export interface AggregateBenchmark {
  name: string;
  /** What it makes. */
  form?: "jsonl" | "yaml";
  /** How many results or tests there are if nothing else is asked for. */
  count: number;
  /** The name of the only test, or, with `%05d` for a number, those of so many. */
  test: string;
  /** Makes directories of artifacts in a directory. */
  write(directory: string, count: number): void;
  /** What is to come of them. */
  check(count: number): string;
}

/** Runs the benchmark. */
export async function aggregateBenchmark(
  { name, form = "jsonl", count: usual, test, write, check }:
    AggregateBenchmark,
): Promise<void> {
  await benchmark({
    name,
    defaults: { count: usual, format: "plain" },
    choices: { format: ["plain", "gzip", "zstd", "xz"] },
    prepare({ count, format }, { directory }) {
      const artifacts = `${directory}/artifacts`;
      const out = `${directory}/out`;
      const refill = (count: number) => {
        for (const directory of [artifacts, out]) {
          try {
            Deno.removeSync(directory, { recursive: true });
          } catch {
            // it is the first time
          }
          Deno.mkdirSync(directory);
        }
        write(artifacts, count);
      };
      const run = async (count: number): Promise<Measured> => {
        refill(count);
        const cost = await measureOnce("./_aggregate_once.ts", [
          artifacts,
          out,
          test,
          test.includes("%") ? count : 1,
          form,
          format,
        ]);
        if (cost.check !== check(count)) {
          throw new Error(`there are ${cost.check}, not ${check(count)}`);
        }
        return { n: count, ...cost };
      };
      return {
        ours: () => run(count),
        beforeTheirs: () => refill(count),
        theirs: ["--artifacts", artifacts, "--out", out],
        async goals(measured) {
          const quarter = await run(Math.ceil(count / 4));
          return {
            goals: [
              withinOf(16, {
                what: "memory with 4 times the results",
                value: measured.peak_mib,
                unit: "MiB",
                floor: quarter.peak_mib,
                floor_is: "memory",
              }),
            ],
          };
        },
      };
    },
  });
}

/** Makes a directory of artifacts of one test with many results. */
export function writeResults(directory: string, count: number): void {
  Deno.mkdirSync(`${directory}/files`, { recursive: true });
  using file = Deno.openSync(`${directory}/results`, {
    write: true,
    createNew: true,
  });
  const encoder = new TextEncoder();
  let lines = "";
  for (let n = 0; n < count; n++) {
    lines += `{"status": "pass", "name": "sub/test/number/${
      String(n).padStart(7, "0")
    }", "note": "note ${n}"}\n`;
    if (lines.length < 1024 * 1024 && n < count - 1) continue;
    const bytes = encoder.encode(lines);
    for (let done = 0; done < bytes.length;) {
      done += file.writeSync(bytes.subarray(done));
    }
    lines = "";
  }
}
