/** `atex report`: what came out of a run. */
import { basename } from "@std/path/posix/basename";
import { dirname } from "@std/path/posix/dirname";
import { relative } from "@std/path/posix/relative";
import { resolve } from "@std/path/posix/resolve";
import type { ComparedTest } from "../aggregators/compare.ts";
import {
  isFailing,
  NO_RESULT,
  resultsByTest,
  type StoredResult,
} from "../aggregators/reader.ts";
import { type Call, type Command, print, UsageError } from "./_command.ts";
import { findResults, readAll, type Stored } from "./_results.ts";

/** Shows stored results, or makes reports of them. */
export const report: Command = {
  name: "report",
  purpose:
    "Shows stored results: JSON lines or YAML documents, compressed or not.",
  operands: "RESULTS…",
  arity: [1, Infinity],
  options: [
    {
      name: "failed",
      about: "list only tests that failed, and what failed of them",
    },
    {
      name: "compare",
      value: "OLD",
      about: "show what changed since these results instead",
    },
    { name: "html", value: "PATH", about: "make an HTML page of them instead" },
    { name: "junit", value: "PATH", about: "make JUnit XML of them instead" },
    {
      name: "replace",
      about: "let --html and --junit replace what is there",
    },
    { name: "summary", about: "print a summary in Markdown instead" },
    {
      name: "files",
      value: "DIR",
      about:
        "where files of tests are, for the page as seen from it; for the summary a URL; default: beside RESULTS",
    },
    {
      name: "exit-code",
      about: "exit with 1 if a test failed, or if there is none",
    },
    { name: "json", about: "a JSON object a line" },
  ],
  details:
    `RESULTS are files, or directories with a results.jsonl or results.yaml in them; of
several, tests with the same name are different ones. Of a directory with results-2.jsonl
and so on, those with the highest number are taken: the last run's. What a killed run left
to be compressed (results.jsonl.gz.part) is read as well.
OLD is one, too; with --html the page shows what changed.`,
  permissions:
    "--allow-read; for results compressed with xz --allow-run=xz; for --html and --junit --allow-write",
  example: "atex report out/results.jsonl --failed",
  async run(call) {
    refuseInVain(call);
    const find = async (path: string) => {
      const found = await findResults(path);
      if (found.earlier) {
        call.note(
          `"${path}": ${basename(found.path)} is shown, not ${
            found.earlier.join(", ")
          }`,
        );
      }
      return found;
    };
    const all: Stored[] = [];
    for (const path of call.operands) all.push(await find(path));
    const page = call.get("html");
    const junit = call.get("junit");
    const compared = call.get("compare");
    const old = compared === undefined ? undefined : await find(compared);
    await refuseToReplace(
      call,
      [...all, ...(old ? [old] : [])].map(({ path }) => path),
    );
    const tally: Tally = new Map();
    const tests = () => counted(readAll(all, call.signal), tally);
    const results = () => resultsOf(tests());
    if (page !== undefined) await makePage(call, page, all, results(), old);
    if (junit !== undefined) await makeJUnit(call, junit, all, results());
    if (call.has("summary")) await summarise(call, results());
    const isMade = page !== undefined || junit !== undefined ||
      call.has("summary");
    if (!isMade && old !== undefined) await compare(call, old, results());
    else if (!isMade) await list(call, tests());
    call.note(summaryOf(tally));
    if (junit !== undefined) call.note(`JUnit:   ${junit}`);
    if (page !== undefined) call.note(`Report:  ${page}`);
    const isBad = tally.size === 0 || failures(tally) > 0;
    return call.has("exit-code") && isBad ? 1 : 0;
  },
};

/** How many tests ended how, by status. */
type Tally = Map<string, number>;

function failures(tally: Tally): number {
  let sum = 0;
  for (const [status, count] of tally) if (isFailing(status)) sum += count;
  return sum;
}

/** Reports count what passed, too, and most show no changes. */
function refuseInVain(call: Call): void {
  const page = ["html", "junit"].find((name) => call.get(name) !== undefined);
  if (call.has("replace") && page === undefined) {
    throw new UsageError(
      'Cannot use "--replace" without "--html" or "--junit": it is for the file that they name',
    );
  }
  const made = page ?? (call.has("summary") ? "summary" : undefined);
  if (made === undefined) return;
  const refuse = (option: string, why: string) => {
    throw new UsageError(
      `Cannot use "--${option}" with "--${made}", which ${why}: leave it out`,
    );
  };
  if (call.has("failed")) refuse("failed", "needs all tests");
  if (call.get("compare") !== undefined && made !== "html") {
    refuse("compare", "does not show what changed");
  }
  const files = call.get("files");
  if (made === "summary" && files !== undefined && !URL.canParse(files)) {
    throw new UsageError(
      `Cannot link to files in "${files}" from a summary: "--files" must be a URL, to which they are uploaded`,
    );
  }
}

/** A report is not to take the place of what it is made of, nor of another one, nor of anything unless it is told to. */
async function refuseToReplace(
  call: Call,
  results: readonly string[],
): Promise<void> {
  const names = ["html", "junit"] as const;
  const [page, junit] = names.map((name) => call.get(name));
  if (
    page !== undefined && junit !== undefined &&
    resolve(page) === resolve(junit)
  ) {
    throw new UsageError(
      `Cannot write both "--html" and "--junit" to "${page}": give each a file of its own`,
    );
  }
  for (const name of names) {
    const path = call.get(name);
    if (path === undefined) continue;
    const there = await identityOf(path);
    if (there === undefined) continue;
    for (const result of results) {
      if (await identityOf(result) !== there) continue;
      throw new UsageError(
        `Cannot write "--${name}" to "${path}": these are the results that it is made of; choose another path`,
      );
    }
    if (call.has("replace")) continue;
    throw new UsageError(
      `Cannot write "--${name}" to "${path}": it is there already; choose another path, or add "--replace"`,
    );
  }
}

/** Which file it is, whatever it is called; undefined if there is none. */
async function identityOf(path: string): Promise<string | undefined> {
  try {
    const { dev, ino } = await Deno.stat(path);
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}

function summaryOf(tally: Tally): string {
  const parts = [...tally].sort().map(([status, count]) =>
    `${count} ${status}`
  );
  return parts.length > 0 ? parts.join(", ") : "no results";
}

/** A test: all that was stored of it, and the status that counts. */
interface Told {
  readonly results: readonly StoredResult[];
  readonly status: string;
}

/** Puts together what was stored of each test, and counts it, anew each time. */
async function* counted(
  stored: AsyncIterable<StoredResult>,
  tally: Tally,
): AsyncGenerator<Told> {
  tally.clear();
  for await (const results of resultsByTest(stored)) {
    const status = statusOf(results);
    tally.set(status, (tally.get(status) ?? 0) + 1);
    yield { results, status };
  }
}

function statusOf(results: readonly StoredResult[]): string {
  const own = results.filter(({ subtest }) => !subtest);
  if (own.length === 0) return NO_RESULT;
  return own.findLast(({ status }) => status !== undefined)?.status || "none";
}

async function* resultsOf(
  tests: AsyncIterable<Told>,
): AsyncGenerator<StoredResult> {
  for await (const { results } of tests) yield* results;
}

async function list(call: Call, tests: AsyncIterable<Told>): Promise<void> {
  for await (const { results, status } of tests) {
    if (call.has("failed") && !isFailing(status)) continue;
    for (const result of results) {
      if (!call.has("failed") || isFailing(result.status)) show(call, result);
    }
    if (status !== NO_RESULT) continue;
    const { platform, test } = results[0]!;
    show(call, { platform, test, status, files: [] });
  }
}

function show(call: Call, result: StoredResult): void {
  const { platform, test, subtest, note } = result;
  const status = result.status || "none";
  const name = subtest ? `${test} / ${subtest}` : test;
  const more = note ? [`(${note})`] : [];
  print(
    call,
    result,
    [status.padEnd(5), platform, name, ...more].join("  "),
    isFailing(status) ? "bad" : undefined,
  );
}

/** What is worse than before, and what is better. */
const TONES: Partial<Record<ComparedTest["change"], "bad" | "good">> = {
  broken: "bad",
  failing: "bad",
  fixed: "good",
};

async function compare(
  call: Call,
  old: Stored,
  results: AsyncIterable<StoredResult>,
): Promise<void> {
  const { compareResults } = await import("../aggregators/compare.ts");
  const earlier = readAll([old], call.signal);
  let changes = 0;
  for await (const found of compareResults(results, earlier)) {
    const { platform, test, change, before = "", status = "" } = found;
    if (call.has("failed") && !isFailing(status)) continue;
    changes++;
    const how = before && status && before !== status
      ? `${before} → ${status}`
      : status || before;
    print(
      call,
      found,
      [change.padEnd(7), platform, test, how].join("  "),
      TONES[change],
    );
  }
  if (changes === 0) call.note("nothing changed");
}

async function summarise(
  call: Call,
  results: AsyncIterable<StoredResult>,
): Promise<void> {
  const { gitHubSummary } = await import("../aggregators/github.ts");
  const files = call.get("files");
  const isUrl = files !== undefined && URL.canParse(files);
  console.log(await gitHubSummary(results, { ...(isUrl && { files }) }));
}

async function makePage(
  call: Call,
  page: string,
  all: readonly Stored[],
  results: AsyncIterable<StoredResult>,
  old?: Stored,
): Promise<void> {
  const { writeHtmlReport } = await import("../aggregators/html.ts");
  const known = filesOf(all);
  const files = call.get("files") ??
    (known === undefined ? null : relative(dirname(page), known));
  await writeHtmlReport(results, {
    report: page,
    existing: existing(call),
    files,
    ...(old && { compareWith: readAll([old], call.signal) }),
  });
}

async function makeJUnit(
  call: Call,
  target: string,
  all: readonly Stored[],
  results: AsyncIterable<StoredResult>,
): Promise<void> {
  const { writeJUnit } = await import("../aggregators/junit.ts");
  const files = call.get("files") ?? filesOf(all);
  await writeJUnit(results, {
    target,
    existing: existing(call),
    ...(files !== undefined && { files, attachments: files }),
  });
}

const existing = (call: Call) => call.has("replace") ? "replace" : "fail";

/** The directory of all files, if there is one. */
function filesOf(all: readonly Stored[]): string | undefined {
  const [first, ...others] = new Set(all.map(({ files }) => files));
  return others.length === 0 ? first : undefined;
}
