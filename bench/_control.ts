/**
 * Measures a stream through the control channel, from a pipe into artifacts:
 *
 *     bench/control_….ts [--count N] [--against COMMAND] [--pairs N]
 *
 * COMMAND gets the options and `--stream FILE`, and prints the same line of JSON.
 */
import { parseArgs } from "@std/cli/parse-args";
import { compare, type Measurement } from "./_compare.ts";
import { measureOnce, temporaryDirectory } from "./_once.ts";
import {
  checkOf,
  countOf,
  type Stream,
  writeStream,
} from "./_control_streams.ts";

/** Runs the benchmark of one kind of stream. */
export async function controlBenchmark(stream: Stream): Promise<void> {
  const name = `control_${stream}`;
  const options = parseArgs(Deno.args, {
    string: ["count", "against", "pairs"],
    default: { count: String(countOf(stream)), pairs: "5" },
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
    const path = `${root}/stream`;
    writeStream(path, stream, count);
    const ours = async (): Promise<Measurement> => {
      const artifacts = `${root}/artifacts`;
      await Deno.mkdir(artifacts);
      const cost = await measureOnce("./_control_once.ts", [path, artifacts]);
      await Deno.remove(artifacts, { recursive: true });
      const expected = checkOf(stream, count);
      if (cost.check !== expected) {
        throw new Error(`there are ${cost.check}, not ${expected}`);
      }
      return { ...cost, name, options: { count }, n: count };
    };
    if (options.against) {
      const args = ["--count", String(count), "--stream", path];
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
