/** The XML of a JUnit report, made from the lines that were written during the run. */
import { BadResultsError } from "../executors/results.ts";
import {
  caseElement,
  type JUnitCase,
  type JUnitHeader,
  type JUnitOutcome,
  outcomeOf,
  seconds,
} from "./_junit_case.ts";
import type { Made } from "./_part.ts";
import { JUNIT_FORMAT } from "./_part_kind.ts";
import { writeAll } from "./_spool.ts";
import { xmlAttributes } from "./_xml_text.ts";

const BLOCK = 256 * 1024;

/** The first line of a part. */
export function headerLine(
  { name, statusMap, continued }: JUnitHeader,
): string {
  const header = { format: JUNIT_FORMAT, name, statusMap, continued };
  return `${JSON.stringify(header)}\n`;
}

/** Cases, added up. */
class Totals {
  readonly counts: Record<JUnitOutcome, number> = {
    passed: 0,
    failure: 0,
    error: 0,
    skipped: 0,
  };
  ms = 0;

  add({ counts, ms }: Totals): void {
    for (const outcome of Object.keys(counts) as JUnitOutcome[]) {
      this.counts[outcome] += counts[outcome];
    }
    this.ms += ms;
  }

  get attributes(): Record<string, string | number> {
    const { passed, failure, error, skipped } = this.counts;
    return {
      tests: passed + failure + error + skipped,
      failures: failure,
      errors: error,
      skipped,
      time: seconds(this.ms),
    };
  }
}

/** Cases of one platform, and where in the part they are. */
class Suite extends Totals {
  startedAt = Infinity;
  readonly #ranges: [start: number, end: number][] = [];

  get ranges(): Iterable<[start: number, end: number]> {
    return this.#ranges;
  }

  addRange(start: number, end: number): void {
    const last = this.#ranges.at(-1);
    if (last?.[1] === start) last[1] = end;
    else this.#ranges.push([start, end]);
  }

  get timestamp(): string | undefined {
    const date = new Date(this.startedAt);
    return Number.isNaN(date.getTime())
      ? undefined
      : date.toISOString().slice(0, 19);
  }
}

/**
 * Writes the XML of a part to a new file. A test that is not complete, as a killed
 * script leaves it, is left out.
 *
 * @throws {BadResultsError} if the part is not that of a JUnit report
 */
export async function writeReport(part: string, to: string): Promise<Made> {
  using source = await Deno.open(part);
  using target = await Deno.open(to, { write: true, createNew: true });
  const { header, suites } = await survey(source, part);
  const { name, statusMap, continued = false } = header;
  const all = new Totals();
  for (const suite of suites.values()) all.add(suite);

  let xml = `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites${
    xmlAttributes({ name, ...all.attributes })
  }>\n`;
  const flush = async () => {
    await writeAll(target, new TextEncoder().encode(xml));
    xml = "";
  };
  for (const [platform, suite] of suites) {
    const { attributes, timestamp } = suite;
    xml += `  <testsuite${
      xmlAttributes({ name: platform, ...attributes, timestamp })
    }>\n`;
    for (const [start, end] of suite.ranges) {
      for await (const { text } of lines(source, start, end)) {
        xml += caseElement(JSON.parse(text), statusMap);
        if (xml.length > BLOCK) await flush();
      }
    }
    xml += "  </testsuite>\n";
  }
  xml += "</testsuites>\n";
  await flush();
  return { keepsPart: continued };
}

/** What is in a part. */
interface Survey {
  header: JUnitHeader;
  suites: Map<string, Suite>;
  /** Platform and name of each whole test. */
  tests: (readonly [platform: string, name: string])[];
  /** Bytes of whole tests. */
  length: number;
}

/**
 * Reads a part once, for what comes before the cases in the XML.
 *
 * @throws {BadResultsError} if the part is not that of a JUnit report
 */
export async function survey(
  file: Deno.FsFile,
  path: string,
): Promise<Survey> {
  let header: JUnitHeader | undefined;
  const suites = new Map<string, Suite>();
  const tests: Survey["tests"] = [];
  let length = 0;
  let number = 0;
  /** Cases of the test that is not complete yet. */
  let test = new Totals();
  let testStart = 0;
  for await (const { text, start, end } of lines(file)) {
    number++;
    if (!header) {
      header = parseHeader(text, path);
      length = end;
      continue;
    }
    const it = parseCase(text, path, number);
    if (testStart === 0) testStart = start;
    test.counts[outcomeOf(it, header.statusMap)]++;
    test.ms += it.durationMs ?? 0;
    if (it.subtest !== undefined) continue;
    let suite = suites.get(it.platform);
    if (!suite) suites.set(it.platform, suite = new Suite());
    suite.add(test);
    suite.addRange(testStart, end);
    suite.startedAt = Math.min(suite.startedAt, it.startedAt ?? Infinity);
    tests.push([it.platform, it.test]);
    length = end;
    test = new Totals();
    testStart = 0;
  }
  // the script was killed before it had begun
  return { header: header ?? { name: "atex" }, suites, tests, length };
}

function parseHeader(text: string, path: string): JUnitHeader {
  const header = parse(text);
  if (header?.format === JUNIT_FORMAT && typeof header.name === "string") {
    return header as unknown as JUnitHeader;
  }
  throw new BadResultsError(path, 1, "is not that of a JUnit report");
}

function parseCase(text: string, path: string, line: number): JUnitCase {
  const it = parse(text);
  if (typeof it?.platform === "string" && typeof it.test === "string") {
    return it as unknown as JUnitCase;
  }
  throw new BadResultsError(path, line, "is not a test case");
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(text) ?? undefined;
  } catch {
    return undefined;
  }
}

/** A line without its end, and where it is. */
interface Line {
  text: string;
  start: number;
  end: number;
}

/** The whole lines between two places of a file. */
async function* lines(
  file: Deno.FsFile,
  start = 0,
  end = Infinity,
): AsyncGenerator<Line> {
  const block = new Uint8Array(Math.min(BLOCK, end - start));
  const decoder = new TextDecoder();
  /** What came of a line that has not ended. */
  let text = "";
  let lineStart = start;
  file.seekSync(start, Deno.SeekMode.Start);
  for (let at = start; at < end;) {
    const free = block.subarray(0, Math.min(BLOCK, end - at));
    // for a few bytes, the way to another thread and back takes longest
    const count = block.length < BLOCK
      ? file.readSync(free)
      : await file.read(free);
    if (count === null) return;
    const bytes = free.subarray(0, count);
    let from = 0;
    for (
      let newline;
      (newline = bytes.indexOf(10, from)) !== -1;
      from = newline + 1
    ) {
      text += decoder.decode(bytes.subarray(from, newline));
      const lineEnd = at + newline + 1;
      yield { text, start: lineStart, end: lineEnd };
      text = "";
      lineStart = lineEnd;
    }
    text += decoder.decode(bytes.subarray(from), { stream: true });
    at += count;
  }
}
