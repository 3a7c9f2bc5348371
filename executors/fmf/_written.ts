/** What is written of a result, in the file `results`. */
import type { Result } from "../results.ts";
import type { Report } from "./control.ts";
import type { Chain } from "./_partial.ts";
import { compareText } from "./metadata/value.ts";

/** What is written of a result that was reported as a whole. */
export function plainResult({ values, files, testout }: Report): Result {
  if ("partial" in values) delete values.partial;
  if ("testout" in values) delete values.testout;
  if (files?.length === 1 && !testout) values.files = [files[0]!.name];
  else if (files || testout) {
    values.files = listOf(files?.map(({ name }) => name), testout);
  } else if ("files" in values) delete values.files;
  return values as Result;
}

/** What is written of a result that was reported in pieces. */
export function resultOf({ values, files, testout }: Chain): Result {
  if (files || testout) values.files = listOf(files, testout);
  return values as Result;
}

/** The output first, then the others in the order of their code points. */
function listOf(
  files: Iterable<string> | undefined,
  testout: string | null | undefined,
): string[] {
  const names = new Set(files);
  if (testout) names.delete(testout);
  const sorted = [...names].sort(compareText);
  return testout ? [testout, ...sorted] : sorted;
}
