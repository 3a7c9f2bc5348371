/**
 * Reading back results that an aggregator stored, whatever their form: JSON lines
 * or YAML documents, compressed by gzip, zstd or xz, or not.
 *
 * @example Which tests failed in a run
 * ```ts
 * import { failedTests, readResults } from "jsr:@atex/atex/aggregators/reader";
 *
 * for await (const { test, status } of failedTests(readResults("out/results.jsonl.gz"))) {
 *   console.log(test, status);
 * }
 * ```
 *
 * @module
 */
import { checkKind, pathOf } from "../options.ts";
import { textOf } from "./_decompress.ts";
import { parseJsonLines } from "./_jsonl_reader.ts";
import { lookAt } from "./_move.ts";
import { partOf } from "./_part.ts";
import type { StoredResult } from "./_stored_result.ts";

export { type FailedTest, failedTests } from "./_failed_tests.ts";
export { isFailing, NO_RESULT } from "./_statuses.ts";
export type { StoredResult } from "./_stored_result.ts";
export { resultsByTest } from "./_stored_tests.ts";

/**
 * Reads results one by one, of each test all together. What is at the end and is
 * not complete, as a killed script leaves it, is ignored: part of a line, or the
 * YAML document that it belongs to. Results that are compressed at the end of the
 * run are read from where they are until then, `PATH.part`.
 *
 * Needs `--allow-read` for the file, and `--allow-run=xz` if it is one of xz.
 *
 * @throws {BadResultsError} if a line or a document cannot be understood
 * @throws {Deno.errors.NotFound} if there is no such file
 */
export async function* readResults(
  path: string | URL,
): AsyncGenerator<StoredResult> {
  checkKind("readResults()", "path", path, "a path or a URL");
  const name = presentOf(pathOf(path));
  const text = textOf(name);
  try {
    let start = "";
    while (start.trim() === "") {
      const { done, value } = await text.next();
      if (done) return;
      start += value;
    }
    const whole = joined(start, text);
    if (start.trimStart().startsWith("[")) yield* parseJsonLines(whole, name);
    else {
      // it takes long to load, and most files are something else
      const { parseYaml } = await import("./_yaml_reader.ts");
      yield* parseYaml(whole, name);
    }
  } finally {
    await text.return(undefined);
  }
}

/** Where the results for a path are. */
function presentOf(path: string): string {
  const part = partOf(path);
  return !lookAt(path) && lookAt(part) ? part : path;
}

async function* joined(
  start: string,
  rest: AsyncIterable<string>,
): AsyncGenerator<string> {
  yield start;
  yield* rest;
}
