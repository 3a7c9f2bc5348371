/**
 * Comparing a benchmark with another implementation of the same.
 */

/** What a process cost. */
export interface ProcessCost {
  wall_ms: number;
  cpu_ms: number;
  children_cpu_ms: number;
  peak_mib: number;
}

/** What work cost, and what came of it. */
export interface Cost extends ProcessCost {
  /** Proves that the work was done: equal for all implementations. */
  check: string | number;
  [count: string]: unknown;
}

/** What a benchmark measures. */
export interface Measured extends Cost {
  /** How many tests, results, … */
  n: number;
}

/** What every benchmark prints, as one line of JSON. */
export interface Measurement extends Measured {
  name: string;
  options: Record<string, unknown>;
}

/** The median of the ratios of pairs, with the smallest and the largest. */
export interface Ratio {
  median: number;
  min: number;
  max: number;
}

/** Result of {@linkcode compare}. */
export interface Comparison {
  name: string;
  options: Record<string, unknown>;
  pairs: number;
  /** Ours divided by theirs. */
  wall: Ratio;
  cpu: Ratio;
  peak: Ratio;
  /** The same of what else both sides count. */
  counts: Record<string, Ratio>;
  /** What each side took: the median of all pairs. */
  medians: Record<"ours" | "theirs", Record<string, number>>;
  check: string | number;
  same: boolean;
}

/** Another implementation of a benchmark. */
export interface Foreign {
  /** What starts it, for a shell. */
  command: string;
  /** What is appended to that. */
  args: readonly string[];
  /** Is called each time before it is started. */
  before?: () => void;
}

async function runForeign(
  { command, args, before }: Foreign,
): Promise<Measurement> {
  before?.();
  const { success, stdout } = await new Deno.Command("sh", {
    args: ["-c", `${command} "$@"`, "sh", ...args],
    stdin: "null",
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`${command} failed`);
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** What a comparison has in a place of its own, and how much work there was. */
const COMPARED = new Set([
  "n",
  "wall_ms",
  "cpu_ms",
  "children_cpu_ms",
  "peak_mib",
]);

const middle = (sorted: readonly number[]) =>
  sorted[Math.floor(sorted.length / 2)];

/** Measures in turn, ours and theirs, after one pair that does not count. */
export async function compare(
  ours: () => Promise<Measurement>,
  theirs: Foreign,
  pairs = 5,
): Promise<Comparison> {
  const measured: [Measurement, Measurement][] = [];
  for (let i = 0; i <= pairs; i++) {
    const pair: [Measurement, Measurement] = [
      await ours(),
      await runForeign(theirs),
    ];
    if (i > 0) measured.push(pair);
  }
  const ratio = (of: (one: Measurement) => number): Ratio => {
    const ratios = measured.map(([a, b]) => of(a) / of(b)).sort((a, b) =>
      a - b
    );
    return { median: middle(ratios), min: ratios[0], max: ratios.at(-1)! };
  };
  const [[{ name, options, check }]] = measured;
  const numbers = Object.keys(measured[0][0]).filter((key) =>
    key !== "check" &&
    measured.every((pair) => pair.every((one) => Number.isFinite(one[key])))
  );
  const counts = numbers.filter((key) =>
    !COMPARED.has(key) && measured.every(([, theirs]) => theirs[key] !== 0)
  );
  const medians = (side: 0 | 1) =>
    Object.fromEntries(numbers.map((key) => {
      const values = measured.map((pair) => pair[side][key] as number);
      return [key, middle(values.sort((a, b) => a - b))];
    }));
  return {
    name,
    options,
    pairs,
    wall: ratio((one) => one.wall_ms),
    cpu: ratio((one) => one.cpu_ms + one.children_cpu_ms),
    peak: ratio((one) => one.peak_mib),
    counts: Object.fromEntries(
      counts.map((key) => [key, ratio((one) => one[key] as number)]),
    ),
    medians: { ours: medians(0), theirs: medians(1) },
    check,
    same: measured.every(([a, b]) => a.check === b.check),
  };
}
