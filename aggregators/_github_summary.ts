/** What a summary of GitHub says of many tests. */
import { normalisePath } from "../executors/results.ts";
import type { EarlierAttempt } from "./aggregator.ts";
import { isFailing, NO_RESULT, PASSED } from "./_statuses.ts";
import { durationOf, exitCodeNote } from "./_stored_tests.ts";
import { code, heading, link } from "./_github_text.ts";

/** What is known of a test. */
export interface SummaryTest {
  platform: string;
  test: string;
  /** Absent if the test did not say. */
  status?: string | undefined;
  /** Whether there is no result but those of subtests. */
  noResult: boolean;
  note?: string | undefined;
  files: readonly string[];
  remote?: string | undefined;
  earlier?: readonly EarlierAttempt[] | undefined;
  startedAt?: number | undefined;
  finishedAt?: number | undefined;
  durationMs?: number | undefined;
  exitCode?: number | undefined;
}

/** Counts of tests. */
interface Counts {
  tests: number;
  failed: number;
  flaky: number;
  passed: number;
  skipped: number;
  other: number;
}

const MAX_SLOW = 10;
/** Links in a cell. */
const MAX_FILES = 5;

const nothing = (): Counts => ({
  tests: 0,
  failed: 0,
  flaky: 0,
  passed: 0,
  skipped: 0,
  other: 0,
});

/** How a test ended, in a word or two. */
function statusOf({ status, noResult }: SummaryTest): string {
  return noResult ? NO_RESULT : status || "none";
}

/** Why somebody has to look at a test, in a few words. */
export function problemOf(test: SummaryTest): string {
  const { note, exitCode } = test;
  if (note) return note;
  return [statusOf(test), exitCodeNote(exitCode)].filter(Boolean).join(", ");
}

/** Adds up tests; keeps only those that are named. */
export class Summary {
  readonly failures: SummaryTest[] = [];
  readonly flaky: SummaryTest[] = [];
  readonly warnings: SummaryTest[] = [];
  #slow: SummaryTest[] = [];
  readonly #platforms = new Map<string, Counts>();
  readonly #systems = new Set<string>();
  #start = Infinity;
  #end = -Infinity;

  /** Takes a test. */
  add(test: SummaryTest): void {
    const { platform, status, remote, earlier = [] } = test;
    const counts = this.#platforms.get(platform) ?? nothing();
    this.#platforms.set(platform, counts);
    counts.tests++;
    if (isFailing(statusOf(test))) {
      counts.failed++;
      this.failures.push(test);
    } else if (PASSED.has(status ?? "")) {
      counts.passed++;
      if (status === "warn") this.warnings.push(test);
      if (earlier.length > 0) {
        counts.flaky++;
        this.flaky.push(test);
      }
    } else if (status === "skip") counts.skipped++;
    else counts.other++;
    if (remote !== undefined) this.#systems.add(remote);
    this.#time(test);
  }

  #time(test: SummaryTest): void {
    const ms = durationOf(test);
    if (ms === undefined) return;
    const { startedAt } = test;
    if (startedAt !== undefined) {
      this.#start = Math.min(this.#start, startedAt);
      this.#end = Math.max(this.#end, startedAt + ms);
    }
    this.#slow.push(test);
    if (this.#slow.length < 10 * MAX_SLOW) return;
    this.#slow = this.slowest;
  }

  /** The tests that took longest. */
  get slowest(): SummaryTest[] {
    return this.#slow.toSorted((a, b) => durationOf(b)! - durationOf(a)!)
      .slice(0, MAX_SLOW);
  }

  /** All in one line: `1 failed, 2 flaky, 24 passed in 3 min 20 s on 4 systems`. */
  get headline(): string {
    const total = nothing();
    for (const counts of this.#platforms.values()) {
      for (const key of Object.keys(total) as (keyof Counts)[]) {
        total[key] += counts[key];
      }
    }
    if (total.tests === 0) return "no results";
    const parts = (["failed", "flaky", "passed", "skipped", "other"] as const)
      .filter((key) => total[key] > 0).map((key) => `${total[key]} ${key}`);
    const { size } = this.#systems;
    const time = this.#end >= this.#start
      ? ` in ${span(this.#end - this.#start)}`
      : "";
    const systems = size > 0 ? ` on ${size} system${size > 1 ? "s" : ""}` : "";
    return parts.join(", ") + time + systems;
  }

  /** All of it as Markdown, which takes at most so many bytes. */
  toMarkdown(
    { title, files, most }: {
      title: string;
      files: string | undefined;
      most: number;
    },
  ): string {
    const several = this.#platforms.size > 1;
    const columns = (test: SummaryTest) => [
      code(test.test),
      ...(several ? [code(test.platform)] : []),
    ];
    const names = several ? ["Test", "Platform"] : ["Test"];
    const attempts = this.failures.some(({ earlier = [] }) =>
      earlier.length > 0
    );
    const head = `## ${heading(title)}\n\n**${this.headline}**\n\n`;
    const lists = [
      platformList(this.#platforms),
      new List(
        "Failed",
        [
          "Status",
          ...names,
          "Note",
          ...(files === undefined ? [] : ["Files"]),
          ...(attempts ? ["Attempts"] : []),
        ],
        this.failures.map((test) => [
          code(statusOf(test)),
          ...columns(test),
          code(test.note || exitCodeNote(test.exitCode) || ""),
          ...(files === undefined ? [] : [links(test, files)]),
          ...(attempts ? [`${(test.earlier?.length ?? 0) + 1}`] : []),
        ]),
      ),
      new List(
        `Flaky: passed, but not at the first attempt`,
        [...names, "Attempts before"],
        this.flaky.map((test) => [
          ...columns(test),
          (test.earlier ?? []).slice(0, 5).map(({ status, note }) =>
            code(note ?? status, 100)
          ).join("<br>"),
        ]),
        true,
      ),
      new List(
        "Slowest",
        [...names, "Time"],
        this.slowest.map((test) => [...columns(test), span(durationOf(test)!)]),
        true,
      ),
    ].filter(({ rows }) => rows.length > 0);
    const room = most - bytesOf(head);
    const limit = shareOf(lists.map(({ size }) => size), room);
    return head + lists.map((list) => list.toMarkdown(limit)).join("");
  }
}

function platformList(platforms: ReadonlyMap<string, Counts>): List {
  const keys = [
    "tests",
    "failed",
    "flaky",
    "passed",
    "skipped",
    "other",
  ] as const;
  const used = keys.filter((key) =>
    [...platforms.values()].some((counts) => counts[key] > 0)
  );
  return new List(
    "",
    ["Platform", ...used.map((key) => key[0]!.toUpperCase() + key.slice(1))],
    [...platforms].map(([platform, counts]) => [
      code(platform),
      ...used.map((key) => `${counts[key]}`),
    ]),
  );
}

/** A table with a heading. */
class List {
  readonly rows: readonly string[];
  readonly #before: string;
  readonly #after: string;

  constructor(
    title: string,
    columns: readonly string[],
    rows: readonly (readonly string[])[],
    folded = false,
  ) {
    this.rows = rows.map((cells) => `| ${cells.join(" | ")} |\n`);
    const heading = folded
      ? `<details><summary>${title} (${rows.length})</summary>\n\n`
      : title === ""
      ? ""
      : `### ${title}\n\n`;
    this.#before = `${heading}| ${columns.join(" | ")} |\n|${
      " --- |".repeat(columns.length)
    }\n`;
    this.#after = folded ? "\n</details>\n\n" : "\n";
  }

  /** Bytes of all of it. */
  get size(): number {
    return this.rows.reduce((sum, row) => sum + bytesOf(row), this.#frame);
  }

  /** Bytes without rows, and with the line that tells of those left out. */
  get #frame(): number {
    return bytesOf(this.#before) + bytesOf(this.#after) + 100;
  }

  /** The rows that fit into so many bytes, and how many do not. */
  toMarkdown(most: number): string {
    let text = this.#before;
    let size = this.#frame;
    for (const [index, row] of this.rows.entries()) {
      size += bytesOf(row);
      if (size > most) {
        const left = this.rows.length - index;
        text += `\n… and ${left} more, for which there is no room here\n`;
        break;
      }
      text += row;
    }
    return text + this.#after;
  }
}

/** The most that each of several may have, so that all together fit: who needs less leaves room for others. */
function shareOf(sizes: readonly number[], room: number): number {
  let left = room;
  const sorted = sizes.toSorted((a, b) => a - b);
  for (const [index, size] of sorted.entries()) {
    const share = left / (sorted.length - index);
    if (size > share) return share;
    left -= size;
  }
  return Infinity;
}

function links({ platform, test, files }: SummaryTest, base: string): string {
  const place = [platform, test].map(normalisePath);
  const list = files.slice(0, MAX_FILES).map((file) => {
    const path = [...place, normalisePath(file)];
    return path.includes("")
      ? code(file, 100) // it can be nowhere
      : link(file, base, path.flatMap((part) => part.split("/")));
  });
  const more = files.length - MAX_FILES;
  return list.join("<br>") + (more > 0 ? `<br>and ${more} more` : "");
}

function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** A time span for people. */
function span(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${whole % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
