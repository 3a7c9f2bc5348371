import { join } from "@std/path/posix/join";
import { checkKind, checkOptions, type Known, pathOf } from "../options.ts";
import type { JUnitCase, JUnitOutcome } from "./_junit_case.ts";
import { checkReportOptions, REPORT_OPTIONS } from "./_junit_options.ts";
import { outputOf } from "./_junit_output.ts";
import { headerLine, writeReport } from "./_junit_report.ts";
import { makeTarget, partOf, startPart } from "./_part.ts";
import { placeFor } from "./_paths.ts";
import { Spool } from "./_spool.ts";
import type { StoredResult } from "./_stored_result.ts";
import {
  durationOf,
  readStoredTests,
  type StoredTest,
} from "./_stored_tests.ts";

/** Options of {@linkcode writeJUnit}. */
export interface WriteJUnitOptions {
  /** The file for the XML. Directories on the way are made. */
  target: string | URL;
  /**
   * What to do if the file is there already. What a killed run left beside it, in
   * `TARGET.part`, is never replaced.
   *
   * @default {"fail"}
   */
  existing?: "fail" | "replace" | undefined;
  /**
   * Name of the whole.
   *
   * @default {"atex"}
   */
  name?: string | undefined;
  /**
   * Whether the parts of a test are cases of their own, named `<test> / <part>`.
   *
   * @default {"separate"}
   */
  subtests?: "separate" | "none" | undefined;
  /**
   * The directory of the files of tests, from which the end of what a test printed is
   * taken; those that are compressed are left out.
   *
   * @default output is not taken over
   */
  files?: string | URL | undefined;
  /**
   * Names the files of each case for Jenkins and GitLab: the path of that directory,
   * as seen from where the CI service looks.
   *
   * @default files are not named
   */
  attachments?: string | undefined;
  /**
   * How many characters to take from the end of what a test printed.
   *
   * @default {65536}
   */
  outputTail?: number | undefined;
  /** What becomes of a status that is not to be what it usually is, as for `JUnitAggregator`. */
  statusMap?: Readonly<Record<string, JUnitOutcome>> | undefined;
}

const OPTIONS: Known<WriteJUnitOptions> = {
  target: "a path or a URL",
  existing: ["fail", "replace"],
  files: "a path or a URL, if given",
  ...REPORT_OPTIONS,
};

/** Characters before they are written. */
const BLOCK = 64 * 1024;

/**
 * Makes JUnit XML of results that were stored.
 *
 * Needs `--allow-read` and `--allow-write` for the target, and `--allow-read` for
 * files.
 *
 * @param results as `readResults()` gives them
 * @throws {RangeError} if `outputTail` is no number of characters
 * @throws {TypeError} if `target` is missing, or another option cannot be used
 * @throws {Deno.errors.AlreadyExists} if the target is there already, and not to be replaced
 *
 * @example
 * ```ts
 * import { writeJUnit } from "jsr:@atex/atex/aggregators/junit";
 * import { readResults } from "jsr:@atex/atex/aggregators/reader";
 *
 * const stored = readResults("out/results.jsonl");
 * await writeJUnit(stored, { target: "out/stored.xml" });
 * ```
 */
export async function writeJUnit(
  results: AsyncIterable<StoredResult> | Iterable<StoredResult>,
  options: WriteJUnitOptions,
): Promise<void> {
  checkKind("writeJUnit()", "results", results, "what readResults() gives");
  checkOptions("writeJUnit()", options, OPTIONS);
  checkReportOptions("writeJUnit()", options);
  const { name = "atex", statusMap } = options;
  const target = pathOf(options.target);
  const replace = options.existing === "replace";
  const part = startPart(target, "finishJUnit", { replace });
  let failed = true;
  try {
    let lines = headerLine({ name, statusMap });
    for await (const test of readStoredTests(results)) {
      for (const it of casesOf(test, options)) {
        lines += `${JSON.stringify(it)}\n`;
      }
      if (lines.length < BLOCK) continue;
      await append(lines);
      lines = "";
    }
    await append(lines);
    failed = false;
  } finally {
    await part.close();
    // It can be made anew at any time, unlike that of a run.
    if (failed) await Deno.remove(partOf(target)).catch(() => {});
  }
  await makeTarget(target, {
    by: "finishJUnit",
    make: writeReport,
    replace,
  });

  async function append(text: string): Promise<void> {
    using spool = new Spool();
    await spool.add(text);
    await part.append(spool);
  }
}

function casesOf(
  stored: StoredTest,
  options: WriteJUnitOptions,
): JUnitCase[] {
  const { platform, test, own, subtests, startedAt } = stored;
  const { attempt, earlier, remote, exitCode } = stored;
  const parts = options.subtests === "none" ? [] : subtests.map((
    { name, status, note, files },
  ): JUnitCase => ({
    platform,
    test,
    subtest: name,
    status,
    note,
    output: outputFor(stored, { name, files }, options),
  }));
  return [...parts, {
    platform,
    test,
    noResult: own ? undefined : true,
    status: own?.status,
    note: own?.note,
    exitCode,
    attempt,
    earlier,
    remote,
    startedAt,
    durationMs: durationOf(stored),
    output: outputFor(stored, { files: own?.files }, options),
  }];
}

function outputFor(
  { platform, test }: StoredTest,
  { name, files = [] }: {
    name?: string;
    files?: readonly string[] | undefined;
  },
  options: WriteJUnitOptions,
): string | undefined {
  const { files: directory, outputTail = 65536, attachments } = options;
  let place: string;
  try {
    place = placeFor(platform, test);
  } catch {
    return undefined; // a name of elsewhere that can be no place here
  }
  const output = outputOf(
    directory === undefined ? "" : join(pathOf(directory), place),
    { files: [...files], ...(name !== undefined && { name }) },
    {
      tail: directory === undefined ? 0 : outputTail,
      attachments: attachments === undefined
        ? undefined
        : `${attachments.replace(/\/+$/, "")}/${place}`,
    },
  );
  return output || undefined;
}
