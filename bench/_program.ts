/**
 * What all benchmarks have in common: their options, `--against`, and the line of
 * JSON that they print.
 */
import { parseArgs } from "@std/cli/parse-args";
import { alignColumns } from "../dev/_columns.ts";
import { compare, type Measured, type Measurement } from "./_compare.ts";
import type { Goal } from "./_goals.ts";
import { temporaryDirectory } from "./_once.ts";
import type { Units } from "./_units.ts";

/** Options of a benchmark: numbers are positive, texts are free or one of a list. */
type Options = Record<string, string | number>;

/** A measured benchmark that is ready to be measured again. */
export interface Benchmark {
  /** Measures once. */
  ours(): Promise<Measured>;
  /**
   * Whether to do it once before, so that caches are warm.
   *
   * @default {true}
   */
  warm?: boolean;
  /** Makes everything as it was, before another implementation has its turn. */
  beforeTheirs?: () => void;
  /** Options for another implementation beside those that were given: where the input is. */
  theirs?: readonly string[];
  /** Measures units and compares; only without another implementation. */
  goals?(
    measured: Measured,
  ): Promise<{ units?: Units; goals: Goal[]; [count: string]: unknown }>;
}

/** A benchmark program. */
export interface Program<O extends Options> {
  name: string;
  /** The options, with what they are if nothing else is asked for. */
  defaults: O;
  /** What options can be. */
  choices?: { [K in keyof O]?: readonly O[K][] };
  /** Makes the input; the directory, in memory where possible, is removed at the end. */
  prepare(
    options: O,
    context: { directory: string; resources: AsyncDisposableStack },
  ): Benchmark | Promise<Benchmark>;
}

/** What another implementation is told beside the options; that of ours is made anew. */
const INPUTS = ["stream", "tree", "system", "artifacts", "out", "root"];

/**
 * Reads the options, measures, and prints. With `--table`, people get a table, where
 * a benchmark has one.
 *
 * With `--bare` it measures just once and compares nothing, as another state of this
 * repository does for `--against`.
 */
export async function benchmark<O extends Options>(
  { name, defaults, choices = {}, prepare }: Program<O>,
): Promise<void> {
  const usage = (message: string): never => {
    console.error(`${name}.ts: ${message}`);
    Deno.exit(2);
  };
  const parsed = parseArgs(Deno.args, {
    string: [...INPUTS, ...Object.keys(defaults), "against", "pairs"],
    boolean: ["bare", "table"],
    unknown: (arg) => usage(`unknown argument ${arg}`),
  });
  const positive = (option: string, text: string): number => {
    const number = Number(text);
    if (!(number >= 0) || text === "") usage(`--${option} must be a number`);
    return number;
  };
  const options = Object.fromEntries(
    Object.entries(defaults).map(([option, usual]) => {
      const given = parsed[option];
      if (given === undefined) return [option, usual];
      const value = typeof usual === "number" ? positive(option, given) : given;
      const allowed = choices[option as keyof O] as
        | readonly unknown[]
        | undefined;
      if (allowed && !allowed.includes(value)) {
        usage(`--${option} must be one of ${allowed.join(", ")}`);
      }
      return [option, value];
    }),
  ) as O;
  const pairs = positive("pairs", parsed.pairs ?? "5");

  await using resources = new AsyncDisposableStack();
  const directory = temporaryDirectory();
  resources.defer(() => Deno.remove(directory, { recursive: true }));
  const { ours, warm = true, beforeTheirs, theirs = [], goals } = await prepare(
    options,
    { directory, resources },
  );
  const once = async (): Promise<Measurement> => ({
    name,
    options,
    ...await ours(),
  });
  if (parsed.against === undefined) {
    if (warm && !parsed.bare) await once();
    const measured = await once();
    const compared = parsed.bare ? {} : await goals?.(measured);
    const found: Measurement & { table?: string[][] } = {
      ...measured,
      ...compared,
    };
    const isForPeople = parsed.table && found.table;
    console.log(
      isForPeople
        ? alignColumns(found.table!).join("\n")
        : JSON.stringify(found),
    );
    return;
  }
  const args = Object.entries(options)
    .filter(([, value]) => value !== "")
    .flatMap(([option, value]) => [`--${option}`, String(value)]);
  const comparison = await compare(once, {
    command: parsed.against,
    args: [...args, ...theirs],
    before: beforeTheirs,
  }, pairs);
  console.log(JSON.stringify(comparison));
  Deno.exitCode = comparison.same ? 0 : 1;
}
