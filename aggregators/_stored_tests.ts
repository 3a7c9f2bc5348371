/** Stored results, put together to tests. */
import type { EarlierAttempt } from "./aggregator.ts";
import { OwnResult } from "./_own_result.ts";
import type { StoredResult } from "./_stored_result.ts";

/** What a test said, and what is known of its run. */
export interface StoredTest {
  platform: string;
  test: string;
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
}

/** Puts together what was stored of each test, which is in one place. */
export async function* readStoredTests(
  results: AsyncIterable<StoredResult> | Iterable<StoredResult>,
): AsyncGenerator<StoredTest> {
  let together: StoredResult[] = [];
  for await (const result of results) {
    const [first] = together;
    if (
      first &&
      (first.platform !== result.platform || first.test !== result.test)
    ) {
      yield merged(together);
      together = [];
    }
    together.push(result);
  }
  if (together.length > 0) yield merged(together);
}

function merged(results: readonly StoredResult[]): StoredTest {
  const { platform, test } = results[0]!;
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
    ...(own.found && { own }),
    subtests,
    ...known(fields),
  };
}

/** What was stored of the run of a test, if it was; tests can store anything there. */
function known(fields: Record<string, unknown>): Partial<StoredTest> {
  const { attempt, remote, startedAt, finishedAt, earlier } = fields;
  const isNumber = (value: unknown) => Number.isFinite(value);
  return {
    ...(isNumber(attempt) && { attempt: attempt as number }),
    ...(typeof remote === "string" && { remote }),
    ...(isNumber(startedAt) && { startedAt: startedAt as number }),
    ...(isNumber(finishedAt) && { finishedAt: finishedAt as number }),
    ...(Array.isArray(earlier) && { earlier: earlier.filter(isEarlier) }),
  };
}

function isEarlier(value: unknown): value is EarlierAttempt {
  const { status, note } = (value ?? {}) as Record<string, unknown>;
  return (status === "fail" || status === "infra") &&
    (note === undefined || typeof note === "string");
}
