/**
 * `deno task bench [NAME…] [OPTION…]`: runs the benchmarks of those names in `bench/`, or all of them, one after the
 * other, each with the options that follow. Prints a table; the JSON that they print is in `out/bench/NAME.json`.
 *
 * A benchmark that cannot be run, or whose result is not that of the other implementation (`--against`), makes the
 * exit status 1. A goal that is missed does not: figures depend on the machine.
 */
import type { Comparison, Measurement } from "../bench/_compare.ts";
import type { Goal } from "../bench/_goals.ts";
import { alignColumns } from "./_columns.ts";

const root = new URL("../", import.meta.url);
const folder = new URL("bench/", root);
const out = new URL("out/bench/", root);
const all = [...Deno.readDirSync(folder)].map(({ name }) => name)
  .filter((name) => /^[^_].*\.ts$/.test(name))
  .map((name) => name.replace(/\.ts$/, "")).sort();

const firstOption = Deno.args.findIndex((arg) => arg.startsWith("-"));
const split = firstOption < 0 ? Deno.args.length : firstOption;
const names = Deno.args.slice(0, split);
const unknown = names.filter((name) => !all.includes(name));
if (unknown.length > 0) {
  console.error(
    `no benchmark ${unknown.join(", ")}: there are ${all.join(", ")}`,
  );
  Deno.exit(2);
}

Deno.mkdirSync(out, { recursive: true });
for (const name of names.length > 0 ? names : all) {
  const file = new URL(`${name}.ts`, folder);
  const micro = Deno.readTextFileSync(file).includes("Deno.bench(");
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: micro
      ? ["bench", "-qA", "--no-check", "--json", file.pathname]
      : ["run", "-qA", file.href, ...Deno.args.slice(split)],
    stdin: "null",
    stderr: "inherit",
  }).output();
  if (!success) Deno.exitCode = 1;
  const text = new TextDecoder().decode(stdout);
  if (text === "") {
    console.log(`${name}: failed\n`);
    continue;
  }
  Deno.writeTextFileSync(new URL(`${name}.json`, out), text);
  const lines = micro ? microTable(JSON.parse(text)) : tableOf(text);
  console.log(`${name}\n${lines.map((line) => `  ${line}\n`).join("")}`);
}

type Found =
  | (Measurement & { goals?: Goal[]; table?: string[][] })
  | Comparison;

function isComparison(found: Found): found is Comparison {
  return "same" in found;
}

/** What a benchmark found, line by line. */
function tableOf(text: string): string[] {
  const found: Found = JSON.parse(text);
  const options = Object.entries(found.options)
    .filter(([, value]) => value !== "")
    .map(([option, value]) => `${option} ${value}`).join(", ");
  if (isComparison(found)) return [options, ...comparisonTable(found)];
  const { wall_ms, cpu_ms, children_cpu_ms, peak_mib } = found;
  const costs = [
    `wall ${number(wall_ms)} ms`,
    `CPU ${number(cpu_ms)} ms + ${number(children_cpu_ms)} ms of children`,
    ...peak_mib > 0 ? [`memory ${number(peak_mib)} MiB`] : [],
  ];
  return [
    `${options}: ${costs.join(", ")}`,
    ...alignColumns(found.table ?? []),
    ...goalsTable(found.goals ?? []),
  ];
}

function goalsTable(goals: readonly Goal[]): string[] {
  if (goals.length === 0) return [];
  return alignColumns([
    ["", "value", "floor here", "ratio", "goal", ""],
    ...goals.map(({ what, value, unit, floor, floor_is, ratio, goal, met }) => [
      what,
      `${number(value)} ${unit}`.trim(),
      floor_is === "" ? "" : `${floor_is} = ${number(floor)} ${unit}`.trim(),
      floor_is === "" ? "" : number(ratio),
      goal,
      met ? "met" : "MISSED",
    ]),
  ]);
}

function comparisonTable(
  { wall, cpu, peak, counts, pairs, same, check }: Comparison,
): string[] {
  if (!same) return [`void: the results differ (${check} here)`];
  return alignColumns([
    [`ours / theirs, ${pairs} pairs`, "median", "least", "most"],
    ...Object.entries({ wall, CPU: cpu, memory: peak, ...counts }).map((
      [what, { median, min, max }],
    ) => [what, ...[median, min, max].map(number)]),
  ]);
}

/** What `deno bench --json` prints, as far as it is used here. */
interface Micro {
  benches: {
    group: string | null;
    name: string;
    baseline: boolean;
    results: { ok?: { avg: number; p75: number; p99: number } }[];
  }[];
}

function microTable({ benches }: Micro): string[] {
  const time = (one: Micro["benches"][number]) => one.results[0].ok!.avg;
  return alignColumns([
    ["", "each", "75 of 100", "99 of 100", "ratio"],
    ...benches.map((one) => {
      const base = benches.find(({ group, baseline }) =>
        baseline && group === one.group
      );
      const { avg, p75, p99 } = one.results[0].ok!;
      const times = [avg, p75, p99].map((ns) => `${number(ns / 1e6)} ms`);
      const ratio = base ? number(time(one) / time(base)) : "";
      return [`${one.group}: ${one.name}`, ...times, ratio];
    }),
  ]);
}

/** Three digits are more than a machine can repeat. */
function number(value: number): string {
  if (!Number.isFinite(value)) return "?";
  if (value === 0) return "0";
  return Math.abs(value) >= 100
    ? String(Math.round(value))
    : String(Number(value.toPrecision(3)));
}
