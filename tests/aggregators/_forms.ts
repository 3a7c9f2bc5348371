/** Every form of results: how it is made, and what is in it afterwards. */
import type { Aggregator } from "../../aggregators/aggregator.ts";
import {
  type CompressionFormat,
  finishResults,
  JsonLinesAggregator,
} from "../../aggregators/jsonl.ts";
import { finishJUnit, JUnitAggregator } from "../../aggregators/junit.ts";
import { MultiAggregator } from "../../aggregators/multi.ts";
import { readResults } from "../../aggregators/reader.ts";
import { Tally } from "../../aggregators/tally.ts";
import { YamlAggregator } from "../../aggregators/yaml.ts";
import { decompressed } from "./_decompressed.ts";
import { parseReport } from "./_junit.ts";

/** A form, or several at once. */
export type Form = CompressionFormat | "jsonl" | "yaml" | "junit" | "multi";

/** Those that are made when several are at once; each must find a test complete. */
const SEVERAL = ["gzip", "junit", "yaml"] as const;

const SUFFIXES: Partial<Record<Form, string>> = {
  gzip: ".gz",
  zstd: ".zst",
  xz: ".xz",
};

/** An aggregator with its results in a directory. */
export function aggregatorOf(form: Form, root: string): Aggregator {
  const results = targetOf(form, root);
  const paths = { results, files: `${root}/files-${form}` };
  switch (form) {
    case "jsonl":
      return new JsonLinesAggregator(paths);
    case "yaml":
      return new YamlAggregator(paths);
    case "junit":
      return new JUnitAggregator({ target: results });
    case "multi":
      return new MultiAggregator([
        new Tally(),
        ...SEVERAL.map((form) => aggregatorOf(form, root)),
      ]);
    default:
      return new JsonLinesAggregator({
        ...paths,
        compression: { format: form },
      });
  }
}

/** Where the results of a form are. */
export function targetOf(form: Form, root: string): string {
  return `${root}/results-${form}`;
}

/** What is in results. */
export interface Found {
  form: Form;
  /** How many results each test has. */
  counts: Map<string, number>;
  /** A file of a test, if this form keeps files and has it. */
  file(test: string, path: string): string | undefined;
}

/** Finishes results if that was not done, and reads them. */
export async function find(form: Form, root: string): Promise<Found[]> {
  if (form === "multi") {
    const all = await Promise.all(SEVERAL.map((form) => find(form, root)));
    return all.flat();
  }
  const target = targetOf(form, root);
  if (exists(`${target}.part`)) {
    if (form === "junit") await finishJUnit(`${target}.part`);
    else {
      await finishResults(`${target}.part`, {
        format: form as CompressionFormat,
      });
    }
  }
  const names = !exists(target)
    ? []
    : form === "junit"
    ? parseReport(target).children
      .flatMap(({ children }) => children)
      .map(({ attributes }) => attributes.name!.split(" / ")[0]!)
    : await Array.fromAsync(readResults(target), ({ test }) => test);
  const suffix = SUFFIXES[form];
  return [{
    form,
    counts: new Map(
      [...Map.groupBy(names, (name) => name)]
        .map(([name, list]) => [name, list.length]),
    ),
    file(test, path) {
      const file = `${root}/files-${form}/p/${test}/${path}${suffix ?? ""}`;
      if (!exists(file)) return undefined;
      return suffix
        ? decompressed(file, form as CompressionFormat)
        : Deno.readTextFileSync(file);
    },
  }];
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}
