/** Every form of results with which a later process can go on. */
import type { Aggregator } from "../../aggregators/aggregator.ts";
import { JsonLinesAggregator } from "../../aggregators/jsonl.ts";
import { JUnitAggregator } from "../../aggregators/junit.ts";
import { MultiAggregator } from "../../aggregators/multi.ts";
import { readResults } from "../../aggregators/reader.ts";
import { YamlAggregator } from "../../aggregators/yaml.ts";
import { parseReport } from "./_junit.ts";

export const CONTINUED_FORMS = [
  "gzip",
  "zstd",
  "xz",
  "yaml",
  "yaml.gz",
  "junit",
  "multi",
] as const;
/** A form, or several at once. */
export type ContinuedForm = typeof CONTINUED_FORMS[number];

/** Those that are made when several are at once. */
const SEVERAL = ["junit", "gzip", "yaml"] as const;

const SUFFIXES: Partial<Record<ContinuedForm, string>> = {
  gzip: ".gz",
  zstd: ".zst",
  xz: ".xz",
  "yaml.gz": ".gz",
};

/** An aggregator that goes on with what is in a directory. */
export function continuedOf(form: ContinuedForm, root: string): Aggregator {
  const results = `${root}/${form}/results`;
  const paths = {
    results,
    files: `${root}/${form}/files`,
    existing: "continue" as const,
  };
  switch (form) {
    case "yaml":
      return new YamlAggregator(paths);
    case "yaml.gz":
      return new YamlAggregator({ ...paths, compression: { format: "gzip" } });
    case "junit":
      return new JUnitAggregator({ target: results, existing: "continue" });
    case "multi":
      return new MultiAggregator(SEVERAL.map((one) => continuedOf(one, root)));
    default:
      return new JsonLinesAggregator({
        ...paths,
        compression: { format: form },
      });
  }
}

/** What is in finished results: the names of tests, once for each of their results. */
export async function namesIn(
  form: ContinuedForm,
  root: string,
): Promise<string[][]> {
  if (form === "multi") {
    const all = await Promise.all(SEVERAL.map((one) => namesIn(one, root)));
    return all.flat();
  }
  const results = `${root}/${form}/results`;
  return [
    form === "junit"
      ? parseReport(results).children
        .flatMap(({ children }) => children)
        .map(({ attributes }) => attributes.name!.split(" / ")[0]!)
      : await Array.fromAsync(readResults(results), ({ test }) => test),
  ];
}

/** What must be there, and nothing else, when all tests are stored. */
export function leftOf(
  form: ContinuedForm,
  tests: readonly string[],
): string[] {
  if (form === "multi") return SEVERAL.flatMap((one) => leftOf(one, tests));
  if (form === "junit") return ["junit/results", "junit/results.part"];
  const suffix = SUFFIXES[form] ?? "";
  return [
    ...tests.flatMap((test) =>
      ["d/log", "log"].map((file) => `${form}/files/p/${test}/${file}${suffix}`)
    ),
    `${form}/results`,
  ];
}
