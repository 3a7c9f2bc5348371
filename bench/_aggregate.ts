/**
 * Measures an aggregator of JSON lines, from its start to its stop:
 *
 *     bench/aggregate_….ts [--count N] [--against COMMAND] [--pairs N]
 *
 * COMMAND gets `--count N --artifacts DIRECTORY --out DIRECTORY`, both directories
 * ready, and prints the same line of JSON.
 */
import { parseArgs } from "@std/cli/parse-args";
import { compare, type Measurement } from "./_compare.ts";
import { measureOnce, temporaryDirectory } from "./_once.ts";

/** A benchmark of aggregators. */
export interface AggregateBenchmark {
  name: string;
  /** How many results or tests there are if nothing else is asked for. */
  count: number;
  /** What the names of tests begin with, before the names of directories. */
  prefix: string;
  /** Makes directories of artifacts in a directory. */
  write(directory: string, count: number): void;
  /** What is to come of them. */
  check(count: number): string;
}

/** Runs the benchmark. */
export async function aggregateBenchmark(
  { name, count: usual, prefix, write, check }: AggregateBenchmark,
): Promise<void> {
  const options = parseArgs(Deno.args, {
    string: ["count", "against", "pairs"],
    default: { count: String(usual), pairs: "5" },
    unknown: (arg) => {
      console.error(`${name}.ts: unknown argument ${arg}`);
      Deno.exit(2);
    },
  });
  const count = Number(options.count);
  const pairs = Number(options.pairs);
  if (!Number.isSafeInteger(count) || count < 1 || !(pairs > 0)) {
    console.error(`${name}.ts: --count and --pairs must be numbers`);
    Deno.exit(2);
  }

  const root = temporaryDirectory();
  try {
    const artifacts = `${root}/artifacts`;
    const out = `${root}/out`;
    const prepare = () => {
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
    const ours = async (): Promise<Measurement> => {
      prepare();
      const cost = await measureOnce("./_aggregate_once.ts", [
        artifacts,
        out,
        prefix,
      ]);
      if (cost.check !== check(count)) {
        throw new Error(`there are ${cost.check}, not ${check(count)}`);
      }
      if (options.against) prepare();
      return { ...cost, name, options: { count }, n: count };
    };
    if (options.against) {
      const args = ["--count", String(count)];
      args.push("--artifacts", artifacts, "--out", out);
      const comparison = await compare(ours, options.against, args, pairs);
      console.log(JSON.stringify(comparison));
      Deno.exitCode = comparison.same ? 0 : 1;
    } else {
      await ours(); // warms the caches
      console.log(JSON.stringify(await ours()));
    }
  } finally {
    Deno.removeSync(root, { recursive: true });
  }
}
