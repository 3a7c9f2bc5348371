/**
 * Measures an aggregator, from its start to its stop:
 *
 *     bench/aggregate_….ts [--count N] [--format plain|gzip|zstd|xz] [--against COMMAND] [--pairs N]
 *
 * COMMAND gets `--count N --format FORMAT --artifacts DIRECTORY --out DIRECTORY`,
 * both directories ready, and prints the same line of JSON.
 */
import { parseArgs } from "@std/cli/parse-args";
import { compare, type Measurement } from "./_compare.ts";
import { measureOnce, temporaryDirectory } from "./_once.ts";

/** A benchmark of aggregators. */
export interface AggregateBenchmark {
  name: string;
  /** What it makes. */
  form?: "jsonl" | "yaml";
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
  { name, form = "jsonl", count: usual, prefix, write, check }:
    AggregateBenchmark,
): Promise<void> {
  const options = parseArgs(Deno.args, {
    string: ["count", "format", "against", "pairs"],
    default: { count: String(usual), format: "plain", pairs: "5" },
    unknown: (arg) => {
      console.error(`${name}.ts: unknown argument ${arg}`);
      Deno.exit(2);
    },
  });
  const count = Number(options.count);
  const pairs = Number(options.pairs);
  const { format } = options;
  if (!Number.isSafeInteger(count) || count < 1 || !(pairs > 0)) {
    console.error(`${name}.ts: --count and --pairs must be numbers`);
    Deno.exit(2);
  }
  if (!["plain", "gzip", "zstd", "xz"].includes(format)) {
    console.error(`${name}.ts: unknown format ${format}`);
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
        form,
        format,
      ]);
      if (cost.check !== check(count)) {
        throw new Error(`there are ${cost.check}, not ${check(count)}`);
      }
      if (options.against) prepare();
      return { ...cost, name, options: { count, format }, n: count };
    };
    if (options.against) {
      const args = ["--count", String(count), "--format", format];
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
