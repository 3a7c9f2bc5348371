/**
 * Measures what a rule for the next test costs:
 *
 *     bench/scheduler_rules.ts [--rule priority|duration|none] [--tests N] [--remotes N]
 *                              [--against COMMAND] [--pairs N]
 *
 * Without options: longest first, 10 000 tests that end at once, on 100 systems.
 * `cpu_of_none` is the CPU time divided by that of the same without a rule, the
 * median of the pairs. The check is the order on one system.
 */
import { parseArgs } from "@std/cli/parse-args";
import { compare, type Measurement } from "./_compare.ts";
import { measureOnce } from "./_once.ts";

const RULES = ["priority", "duration", "none"];

const usage = (message: string): never => {
  console.error(`scheduler_rules.ts: ${message}`);
  Deno.exit(2);
};

const options = parseArgs(Deno.args, {
  string: ["rule", "tests", "remotes", "against", "pairs"],
  default: { rule: "duration", tests: "10000", remotes: "100", pairs: "5" },
  unknown: (arg) => usage(`unknown argument ${arg}`),
});
const { rule } = options;
if (!RULES.includes(rule)) usage(`--rule must be one of ${RULES.join(", ")}`);
const [tests, remotes, pairs] = [options.tests, options.remotes, options.pairs]
  .map(Number);
if (!(tests > 0 && remotes > 0 && pairs > 0)) {
  usage("--tests, --remotes and --pairs must be numbers");
}

async function ours(rule: string): Promise<Measurement> {
  const args = [String(tests), String(remotes), "0", rule];
  return {
    name: "scheduler_rules",
    options: { rule, tests, remotes },
    n: tests,
    ...await measureOnce("./_scheduler_once.ts", args),
  };
}

if (options.against) {
  const comparison = await compare(() => ours(rule), options.against, [
    "--rule",
    rule,
    "--tests",
    String(tests),
    "--remotes",
    String(remotes),
  ], pairs);
  console.log(JSON.stringify(comparison));
  Deno.exitCode = comparison.same ? 0 : 1;
} else {
  const ratios: number[] = [];
  let last = await ours(rule);
  for (let i = 0; i < pairs; i++) {
    const { cpu_ms } = await ours("none");
    last = await ours(rule);
    ratios.push(last.cpu_ms / cpu_ms);
  }
  ratios.sort((a, b) => a - b);
  const cpu_of_none = ratios[Math.floor(ratios.length / 2)];
  console.log(JSON.stringify({ ...last, cpu_of_none }));
}
