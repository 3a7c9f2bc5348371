/**
 * Measures the orchestrator with systems that only pretend:
 *
 *     bench/scheduler.ts [--tests N] [--remotes N] [--ms N] [--against COMMAND] [--pairs N]
 *
 * Without options: 1 000 tests of 130 ms on 100 systems. `gap_…` is the time from
 * the end of a test to the start of the next one on the same system;
 * `efficiency` is 1 if nothing but tests takes time.
 */
import { parseArgs } from "@std/cli/parse-args";
import { compare, type Measurement } from "./_compare.ts";
import { measureOnce } from "./_once.ts";

const usage = (message: string): never => {
  console.error(`scheduler.ts: ${message}`);
  Deno.exit(2);
};

const options = parseArgs(Deno.args, {
  string: ["tests", "remotes", "ms", "against", "pairs"],
  default: { tests: "1000", remotes: "100", ms: "130", pairs: "5" },
  unknown: (arg) => usage(`unknown argument ${arg}`),
});
const [tests, remotes, ms, pairs] = [
  options.tests,
  options.remotes,
  options.ms,
  options.pairs,
].map(Number);
if (!(tests > 0 && remotes > 0 && ms >= 0 && pairs > 0)) {
  usage("--tests, --remotes, --ms and --pairs must be numbers");
}

async function ours(): Promise<Measurement> {
  const args = [tests, remotes, ms, "none"].map(String);
  return {
    name: "scheduler",
    options: { tests, remotes, ms },
    n: tests,
    ...await measureOnce("./_scheduler_once.ts", args),
  };
}

if (options.against) {
  const comparison = await compare(ours, options.against, [
    "--tests",
    String(tests),
    "--remotes",
    String(remotes),
    "--ms",
    String(ms),
  ], pairs);
  console.log(JSON.stringify(comparison));
  Deno.exitCode = comparison.same ? 0 : 1;
} else console.log(JSON.stringify(await ours()));
