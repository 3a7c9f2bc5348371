/** Stored results, put together to tests. */
import type { EarlierAttempt } from "./aggregator.ts";
import { OwnResult } from "./_own_result.ts";
import type { StoredResult } from "./_stored_result.ts";

/** What a test said, and what is known of its run. */
export interface StoredTest {
  platform: string;
  test: string;
  /** See {@linkcode StoredResult.source}. */
  source?: string | undefined;
  /** Absent if the test said nothing about itself. */
  own?: {
    status?: string | undefined;
    note?: string | undefined;
    files: readonly string[];
  };
  subtests: readonly {
    name: string;
    status?: string | undefined;
    note?: string | undefined;
    files?: readonly string[] | undefined;
  }[];
  attempt?: number | undefined;
  earlier?: readonly EarlierAttempt[] | undefined;
  remote?: string | undefined;
  startedAt?: number | undefined;
  finishedAt?: number | undefined;
  /** How long it ran: also known if the times are not. */
  durationMs?: number | undefined;
  exitCode?: number | undefined;
}

/** What is said of a test that says nothing of itself, if that is known. */
export function exitCodeNote(exitCode: number | undefined): string | undefined {
  return exitCode === undefined ? undefined : `exit code ${exitCode}`;
}

/** How long a test ran, if that is known. */
export function durationOf(
  { durationMs, startedAt, finishedAt }: Pick<
    StoredTest,
    "durationMs" | "startedAt" | "finishedAt"
  >,
): number | undefined {
  const ms = startedAt === undefined || finishedAt === undefined
    ? durationMs
    : finishedAt - startedAt;
  return ms === undefined ? undefined : Math.max(0, ms); // clocks can be set back
}

/**
 * Puts together what was stored of each test: at least one result.
 *
 * @param results as `readResults()` gives them
 *
 * @example How many tests are there, whatever parts they have?
 * ```ts
 * import { readResults, resultsByTest } from "jsr:@atex/atex/aggregators/reader";
 *
 * const tests = await Array.fromAsync(resultsByTest(readResults("out/results.jsonl.gz")));
 * console.log(tests.length);
 * ```
 */
export async function* resultsByTest(
  results: AsyncIterable<StoredResult> | Iterable<StoredResult>,
): AsyncGenerator<StoredResult[]> {
  let together: StoredResult[] = [];
  for await (const result of results) {
    const [first = result] = together;
    if (
      first.platform !== result.platform || first.test !== result.test ||
      first.source !== result.source
    ) {
      yield together;
      together = [];
    }
    together.push(result);
  }
  if (together.length > 0) yield together;
}

/** Puts together what was stored before a run, as {@linkcode readStoredTests}; a file that is missing counts as an empty one. */
export async function* readStoredBefore(
  results: AsyncIterable<StoredResult> | Iterable<StoredResult>,
): AsyncGenerator<StoredTest> {
  try {
    yield* readStoredTests(results);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Puts together what was stored of each test. */
export async function* readStoredTests(
  results: AsyncIterable<StoredResult> | Iterable<StoredResult>,
): AsyncGenerator<StoredTest> {
  for await (const together of resultsByTest(results)) yield merged(together);
}

function merged(results: readonly StoredResult[]): StoredTest {
  const { platform, test, source } = results[0]!;
  const own = new OwnResult();
  const subtests = [];
  let fields: Record<string, unknown> = {};
  for (const { subtest, status, files, note, fields: more } of results) {
    if (more) fields = { ...fields, ...more };
    const result = { status, files, note };
    if (subtest) subtests.push({ name: subtest, ...result });
    else {
      own.take({
        files,
        ...(status !== undefined && { status }),
        ...(note !== undefined && { note }),
      });
    }
  }
  return {
    platform,
    test,
    ...(source !== undefined && { source }),
    ...(own.found && { own }),
    subtests,
    ...known(fields),
  };
}

/** What was stored of the run of a test, if it was; tests can store anything there. */
function known(fields: Record<string, unknown>): Partial<StoredTest> {
  const {
    attempt,
    remote,
    startedAt,
    finishedAt,
    durationMs,
    exitCode,
    earlier,
  } = fields;
  const isNumber = (value: unknown) => Number.isFinite(value);
  return {
    ...(isNumber(attempt) && { attempt: attempt as number }),
    ...(typeof remote === "string" && { remote }),
    ...(isNumber(startedAt) && { startedAt: startedAt as number }),
    ...(isNumber(finishedAt) && { finishedAt: finishedAt as number }),
    ...(isNumber(durationMs) && { durationMs: durationMs as number }),
    ...(isNumber(exitCode) && { exitCode: exitCode as number }),
    ...(Array.isArray(earlier) && { earlier: earlier.filter(isEarlier) }),
  };
}

function isEarlier(value: unknown): value is EarlierAttempt {
  const { status, note } = (value ?? {}) as Record<string, unknown>;
  return (status === "fail" || status === "infra") &&
    (note === undefined || typeof note === "string");
}
