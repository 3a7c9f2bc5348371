/** What is to be in an HTML report, and where its data comes from. */
import { dirname } from "@std/path/posix/dirname";
import { join } from "@std/path/posix/join";
import { type Known, pathOf } from "../options.ts";
import { EarlierResults } from "./_compare.ts";
import { Excerpts } from "./_html_logs.ts";
import { ReportModel } from "./_html_model.ts";
import type { StoredTest } from "./_stored_tests.ts";
import type { Timeline } from "./_html_timeline.ts";
import { placeFor } from "./_paths.ts";
import type { StoredResult } from "./_stored_result.ts";

/** What reports have in common, however they are made. */
export interface HtmlReportOptions {
  /** The file for the page. */
  report: string | URL;
  /**
   * What it is about.
   *
   * @default {"Test results"}
   */
  title?: string | undefined;
  /**
   * Where the files of tests are, as the page is to link to them: the directory
   * of `JsonLinesAggregator`, relative to the page, or the URL to which it is
   * uploaded. `null` if they cannot be linked to: during a run those that are compressed
   * cannot, but `writeHtmlReport()` knows their names afterwards.
   *
   * @default {"files"}
   */
  files?: string | null | undefined;
  /**
   * Results to compare with: those of the run before, for example, as
   * `readResults()` gives them.
   *
   * @default nothing is compared
   */
  compareWith?:
    | AsyncIterable<StoredResult>
    | Iterable<StoredResult>
    | undefined;
  /**
   * How many bytes of what tests printed are put into the page, where they can be
   * read without opening a file: of each file the beginning and the end, those of
   * failed tests with more room than others.
   *
   * @default {4194304}
   */
  excerpts?: number | undefined;
  /**
   * Tests and subtests that make up a page of usual size. Beyond it subtests that
   * passed are left out, and beyond twice as many all subtests; they are counted.
   *
   * @default {100000}
   */
  maxRows?: number | undefined;
}

/** All of them. */
export const REPORT_OPTIONS: Known<HtmlReportOptions> = {
  report: "a path or a URL",
  title: "a string, if given",
  files: "a string or null, if given",
  compareWith: "what readResults() gives, if given",
  excerpts: "a number, if given",
  maxRows: "a number, if given",
};

/** The options that have defaults. */
export interface Complete {
  title: string;
  files: string | null;
  excerpts: number;
  maxRows: number;
}

const DEFAULTS: Complete = {
  title: "Test results",
  files: "files",
  excerpts: 4 * 1024 * 1024,
  maxRows: 100_000,
};

/** The options with their defaults. */
export function complete<O extends HtmlReportOptions>(
  options: O,
): O & Complete {
  const given = Object.entries(options)
    .filter(([, value]) => value !== undefined);
  const all = { ...DEFAULTS, ...Object.fromEntries(given) } as
    & O
    & Complete;
  atLeastZero("excerpts", all.excerpts);
  atLeastZero("maxRows", all.maxRows);
  return all;
}

/** Checks a number. */
export function atLeastZero(option: string, value: number): number {
  if (value >= 0) return value;
  throw new RangeError(
    `Cannot make a report with ${option} ${value}: it must be a number that is not negative`,
  );
}

/** Begins a report: reads what is to be compared with. */
export async function openModel(
  options: HtmlReportOptions & Complete,
  refresh: number,
): Promise<ReportModel> {
  const { title, files, maxRows, excerpts, compareWith } = options;
  return new ReportModel({
    title,
    files: files === null ? null : urlOf(files),
    refresh,
    maxRows,
    excerpts: new Excerpts(excerpts),
    earlier: compareWith && await EarlierResults.read(compareWith),
  });
}

/** Where links begin: a URL as it is, or a path, which becomes one. */
function urlOf(files: string): string {
  return isUrl(files)
    ? files
    : files.split("/").map(encodeURIComponent).join("/");
}

function isUrl(files: string): boolean {
  return /^https?:\/\//.test(files);
}

/** Where files can be read, if they are on this computer. */
function filesDirectory(
  report: string,
  files: string | null,
): string | undefined {
  if (files === null || isUrl(files)) return undefined;
  return files.startsWith("/") ? files : join(dirname(report), files);
}

/** Adds stored results, with what events tell of them. */
export async function addStored(
  model: ReportModel,
  tests: AsyncIterable<StoredTest>,
  { report, files }: Pick<HtmlReportOptions, "report"> & Complete,
  runs: readonly Timeline[] = [],
): Promise<void> {
  const place = filesDirectory(pathOf(report), files);
  for await (const stored of tests) {
    const { platform, test } = stored;
    const last = runs.findLast((run) =>
      run.platform === platform && run.tests.has(test)
    )?.tests.get(test);
    model.add({
      ...(last?.state === "ended" && { ...last, remote: last.system }),
      ...stored,
      directory: place && below(place, platform, test),
    });
  }
}

/** Where the files of a test are; results from elsewhere may have names of which no path can be made. */
function below(
  place: string,
  platform: string,
  test: string,
): string | undefined {
  try {
    return `${place}/${placeFor(platform, test)}`;
  } catch {
    return undefined;
  }
}
