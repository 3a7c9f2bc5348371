/** `atex report`: what came out of a run. */
import { readResults, type StoredResult } from "../aggregators/reader.ts";
import { printable } from "../orchestrators/progress.ts";
import type { Call, Command } from "./_command.ts";

/** Shows stored results, or makes reports of them. */
export const report: Command = {
  name: "report",
  purpose:
    "Shows stored results: JSON lines or YAML documents, compressed or not.",
  operands: "RESULTS…",
  arity: [1, Infinity],
  options: [
    { name: "failed", about: "only tests that failed, and subtests of those" },
    { name: "html", value: "PATH", about: "make an HTML page of them instead" },
    {
      name: "files",
      value: "DIR",
      about:
        "where that page finds the files of tests; default: files, beside it",
    },
    {
      name: "compare",
      value: "OLD",
      about: "let that page show what changed since these results",
    },
    { name: "exit-code", about: "exit with 1 if a test failed" },
    { name: "json", about: "a JSON object a line" },
  ],
  permissions:
    "--allow-read; for results compressed with xz --allow-run=xz; for --html --allow-write",
  example: "atex report out/results.jsonl --failed",
  async run(call) {
    const page = call.get("html");
    const tally = page === undefined
      ? await list(call)
      : await makePage(call, page);
    console.error(summaryOf(tally));
    return call.has("exit-code") && failures(tally) > 0 ? 1 : 0;
  },
};

/** How many tests ended how, by status. */
type Tally = Map<string, number>;

const FAILED = new Set(["fail", "error", "infra"]);

const isFailed = (status = "none") => status === "none" || FAILED.has(status);

function failures(tally: Tally): number {
  let sum = 0;
  for (const [status, count] of tally) if (isFailed(status)) sum += count;
  return sum;
}

function summaryOf(tally: Tally): string {
  const parts = [...tally].sort().map(([status, count]) =>
    `${count} ${printable(status)}`
  );
  return parts.length > 0 ? parts.join(", ") : "no results";
}

async function* results(call: Call): AsyncGenerator<StoredResult> {
  for (const path of call.operands) {
    for await (const result of readResults(path)) {
      call.signal.throwIfAborted();
      yield result;
    }
  }
}

/** Counts a test by its own result, and lets every result pass. */
async function* counted(
  stored: AsyncIterable<StoredResult>,
  tally: Tally,
): AsyncGenerator<StoredResult> {
  for await (const result of stored) {
    const { subtest, status = "none" } = result;
    if (subtest === undefined) tally.set(status, (tally.get(status) ?? 0) + 1);
    yield result;
  }
}

async function list(call: Call): Promise<Tally> {
  const tally: Tally = new Map();
  for await (const result of counted(results(call), tally)) {
    if (call.has("failed") && !isFailed(result.status)) continue;
    console.log(call.has("json") ? JSON.stringify(result) : line(result));
  }
  return tally;
}

function line(
  { platform, test, subtest, status = "none", note }: StoredResult,
): string {
  const name = subtest === undefined ? test : `${test} / ${subtest}`;
  const parts = [
    status.padEnd(5),
    platform,
    name,
    ...(note ? [`(${note})`] : []),
  ];
  return printable(parts.join("  "));
}

async function makePage(call: Call, page: string): Promise<Tally> {
  const { writeHtmlReport } = await import("../aggregators/html.ts");
  const tally: Tally = new Map();
  const files = call.get("files");
  const old = call.get("compare");
  await writeHtmlReport(counted(results(call), tally), {
    report: page,
    ...(files !== undefined && { files }),
    ...(old !== undefined && { compareWith: readResults(old) }),
  });
  return tally;
}
