/**
 * Measures discovery, as a process of its own:
 *
 *     bench/discover.ts [--shape SHAPE] [--tests N] [--root DIR] [--against COMMAND] [--pairs N]
 *
 * SHAPE is one of flat, wide (the default), adjust, deep; N is 1 000 if not given.
 * `--root` measures an existing tree instead.
 */
import { parseArgs } from "@std/cli/parse-args";
import { compare, type Measurement } from "./_compare.ts";
import { temporaryDirectory } from "./_once.ts";
import { type Shape, SHAPES, writeTree } from "./_trees.ts";

const usage = (message: string): never => {
  console.error(`discover.ts: ${message}`);
  Deno.exit(2);
};

const options = parseArgs(Deno.args, {
  string: ["shape", "tests", "root", "against", "pairs"],
  default: { shape: "wide", tests: "1000", pairs: "5" },
  unknown: (arg) => usage(`unknown argument ${arg}`),
});
const shape = SHAPES.find((one) => one === options.shape) ??
  usage(`--shape must be one of ${SHAPES.join(", ")}`);
const count = Number(options.tests);
const pairs = Number(options.pairs);
if (!(count > 0)) usage("--tests must be a number");
if (!(pairs > 0)) usage("--pairs must be a number");

async function child<T>(...args: string[]): Promise<T> {
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--no-check",
      import.meta.resolve("./_discover_once.ts"),
      ...args,
    ],
    stdin: "null",
    stderr: "inherit",
  }).output();
  if (!success) throw new Error("the measured process failed");
  return JSON.parse(new TextDecoder().decode(stdout));
}

type Cost = Pick<Measurement, "n" | "cpu_ms" | "peak_mib">;

const measured = (root: string, check: string) => async () => {
  const start = performance.now();
  const cost = await child<Cost>(root);
  const wall = performance.now() - start;
  const result: Measurement = {
    name: "discover",
    options: options.root ? { root: options.root } : { shape, tests: count },
    wall_ms: wall,
    children_cpu_ms: 0,
    check,
    ...cost,
  };
  return result;
};

function makeTree(shape: Shape, count: number): string {
  const root = temporaryDirectory();
  writeTree(root, shape, count);
  return root;
}

const root = options.root ?? makeTree(shape, count);
try {
  // Warms the caches, too.
  const { check } = await child<{ check: string }>(root, "--check");
  const ours = measured(root, check);
  if (options.against) {
    const comparison = await compare(
      ours,
      options.against,
      options.root
        ? ["--root", root]
        : ["--shape", shape, "--tests", String(count)],
      pairs,
    );
    console.log(JSON.stringify(comparison));
    Deno.exitCode = comparison.same ? 0 : 1;
  } else console.log(JSON.stringify(await ours()));
} finally {
  if (!options.root) Deno.removeSync(root, { recursive: true });
}
