/** Runs files of tests side by side. */
import type { TestRun } from "./_deno_test.ts";

/** What came of a file. */
export interface LaneResult {
  path: string;
  /** The last one. */
  run: TestRun;
  /** It failed beside others, and passed alone. */
  isFlaky: boolean;
}

/** For each processor: most files wait for half of their time or longer. */
const LANES = 1.5;
/** How many files may be tried again: if more fail, it is not for want of time. */
const TRIED_AGAIN = 4;

/**
 * Runs the paths side by side. One that failed, and may be tried again, is run once
 * more when nothing runs beside it.
 */
export async function inLanes(
  paths: readonly string[],
  run: (path: string) => Promise<TestRun>,
  mayTryAgain: (path: string) => boolean,
): Promise<LaneResult[]> {
  const rest = paths.values();
  const results: LaneResult[] = [];
  async function lane() {
    for (const path of rest) {
      results.push({ path, run: await run(path), isFlaky: false });
    }
  }
  await Promise.all(
    Array.from({ length: LANES * navigator.hardwareConcurrency }, lane),
  );
  const again = results.filter(({ path, run }) =>
    run.failed > 0 && mayTryAgain(path)
  );
  if (again.length > TRIED_AGAIN) return results;
  for (const result of again) {
    console.log(`\nonce more, alone: ${result.path}`);
    result.run = await run(result.path);
    result.isFlaky = result.run.failed === 0;
  }
  return results;
}
