/**
 * Shows a run to the person who started it.
 *
 * Needs no permission: Deno lets every script read `NO_COLOR`.
 *
 * @example
 * ```ts no-run
 * import { showProgress } from "jsr:@atex/atex/orchestrators/progress";
 * import type { Run } from "jsr:@atex/atex/orchestrators/orchestrator";
 *
 * declare const run: Run;
 * await showProgress(run);
 * ```
 *
 * @module
 */
import { checkKind, checkOptions, type Known, wrongKind } from "../options.ts";
import { isInterruption } from "./_interrupted.ts";
import { OrchestratorError, type Run } from "./orchestrator.ts";
import { type Line, Progress, type Tone } from "./_progress.ts";
import { besideScreens, type Block, screenOf } from "./_screen.ts";
import { printableLines } from "./_text.ts";

export { formatDuration, printable } from "./_text.ts";

/** Options of {@linkcode showProgress}. */
export interface ProgressOptions {
  /**
   * Where text goes.
   *
   * @default standard output
   */
  write?: ((text: string) => void) | undefined;
  /**
   * Whether a live block is kept at the end of the output: counts, and the tests
   * that run, with the time since they began and their systems. Otherwise there is a
   * line for each ended test.
   *
   * @default whether standard output is a terminal
   */
  live?: boolean | undefined;
  /**
   * Whether lines are coloured.
   *
   * @default `live`, unless the environment variable `NO_COLOR` is set
   */
  color?: boolean | undefined;
  /**
   * Size of the terminal.
   *
   * @default that of standard output; 80 × 24 if it has none
   */
  size?: (() => { columns: number; rows: number }) | undefined;
}

const OPTIONS: Known<ProgressOptions> = {
  write: "optional",
  live: "optional",
  color: "optional",
  size: "optional",
};

const CODES: Record<Tone, string> = {
  good: "32",
  bad: "31",
  notice: "33",
  dim: "2",
  plain: "",
};
const MAX_BLOCK_ROWS = 12;

/**
 * Shows what happens in a run until it is over: on a terminal a live block below
 * a line for each ended test, elsewhere only the lines. At the end it lists
 * the failed tests, each with its exit code, attempts, system and the path of its
 * output, and the totals.
 *
 * Of several runs, what `runAll()` gives, each line tells the platform, and at their
 * end each incomplete one is told with its error, which nobody else throws. Of a list of
 * runs, each line tells the platform, too; what each comes to is in its `finished`.
 *
 * Names and messages come from tests and are not trusted: control characters
 * never reach the terminal. Runs that are shown by calls of their own, with the same
 * `write`, have their live blocks below each other. Does not reject when a run fails: ask
 * `run.finished`; it rejects with what `write` throws. Call it in the same turn as `run()`, to miss nothing.
 *
 * @param run a run, what `runAll()` gives, or a list of runs
 *
 * @throws {TypeError} if it is none of these, an empty list, or an option is wrong
 *
 * @example Several runs
 * ```ts no-run
 * import type { Orchestrator } from "jsr:@atex/atex/orchestrators/orchestrator";
 * import { showProgress } from "jsr:@atex/atex/orchestrators/progress";
 * import { runAll } from "jsr:@atex/atex/orchestrators/run-all";
 *
 * declare const fedora: Orchestrator, centos: Orchestrator;
 *
 * await using all = runAll([fedora, centos]);
 * await showProgress(all);
 * Deno.exitCode = (await all.finished).exitCode;
 * ```
 */
export async function showProgress(
  run:
    | Run
    | (AsyncIterable<unknown> & { readonly runs: readonly Run[] })
    | readonly Run[],
  options: ProgressOptions = {},
): Promise<void> {
  checkKind("showProgress()", "run", run, "a run");
  const several = runsOf(run);
  checkOptions("showProgress()", options, OPTIONS);
  const live = options.live ?? Deno.stdout.isTerminal();
  const color = options.color ?? (live && !Deno.env.get("NO_COLOR"));
  const write = options.write ?? writeToStdout;
  const paint = ({ tone, text }: Line) =>
    color && CODES[tone] ? `\x1b[${CODES[tone]}m${text}\x1b[0m` : text;
  const print = (lines: Iterator<Line>) => {
    const text = Iterator.from(lines).map((line) => `${paint(line)}\n`)
      .toArray().join("");
    if (text !== "") screenOf(write).print(text);
  };
  const follow = async (run: Run, progress: Progress) => {
    const block: Block = (index, count) => {
      const size = blockSize(options.size, index, count);
      const named = several !== undefined || count > 1;
      return progress.block(run.status, Date.now(), { ...size, named })
        .map(paint).toArray();
    };
    if (live) screenOf(write).add(block);
    try {
      for await (const event of run) {
        print(progress.take(event));
        if (live) screenOf(write).changed();
      }
    } finally {
      if (live) screenOf(write).remove(block);
    }
  };
  if (several === undefined) {
    const progress = new Progress();
    await follow(run as Run, progress);
    return print(progress.end());
  }
  const all = several.map((run) => ({
    run,
    progress: new Progress({ named: true }),
  }));
  await Promise.all(all.map(({ run, progress }) => follow(run, progress)));
  for (const { run: one, progress } of all) {
    print(progress.end("runs" in run ? await whyIncomplete(one) : undefined));
  }
}

/**
 * Several runs, unless it is one.
 *
 * @throws {TypeError} if it is a list of something else, or an empty one
 */
function runsOf(
  run: Parameters<typeof showProgress>[0],
): readonly Run[] | undefined {
  if ("runs" in run) return run.runs;
  if (Symbol.asyncIterator in run) return undefined;
  const all = [...run];
  if (all.length === 0) {
    throw new TypeError(
      'Cannot use an empty list as "run" of showProgress(): a run, or a list of some, would be right',
    );
  }
  for (const [index, one] of all.entries()) {
    const isRun = typeof one === "object" && one !== null &&
      Symbol.asyncIterator in one && !("runs" in one);
    if (!isRun) {
      throw wrongKind("showProgress()", `run[${index}]`, one, "a run");
    }
  }
  return all;
}

/** Why a run is incomplete, unless somebody wanted it. */
async function whyIncomplete({ finished }: Run): Promise<Error | undefined> {
  const error = await finished.then(() => undefined, (error) => error);
  return error instanceof OrchestratorError && !isInterruption(error)
    ? error
    : undefined;
}

/**
 * Writes lines for people to standard error: above what {@linkcode showProgress} keeps
 * at the end of a terminal, which a line of `console.error()` would tear apart. Control
 * characters never reach the terminal. Never throws: what cannot be written is lost.
 *
 * @param text what happened, in one line or several
 *
 * @example Tell what hosts are waited for
 * ```ts
 * import { note } from "jsr:@atex/atex/orchestrators/progress";
 * import { HostsProvisioner } from "jsr:@atex/atex/provisioners/hosts";
 *
 * export const pool = new HostsProvisioner({
 *   hosts: ["root@10.0.0.7"],
 *   onEvent: (event) => {
 *     if (event.type === "waiting") note(event.reason);
 *   },
 * });
 * ```
 */
export function note(text: string): void {
  besideScreens(() => {
    try {
      console.error(printableLines(text));
    } catch {
      // The disk of a log is full, for example: no reason to end the run.
    }
  });
}

/** The room of a live block, of several that share it. */
function blockSize(
  size = terminalSize,
  index: number,
  count: number,
): { columns: number; rows: number } {
  const { columns, rows } = size();
  const share = Math.floor((Math.max(2, rows - 4) + count - 1 - index) / count);
  return {
    // The last column stays free: some terminals begin a new line when it is filled.
    columns: Math.max(20, columns - 1),
    rows: Math.min(MAX_BLOCK_ROWS, share),
  };
}

function terminalSize(): { columns: number; rows: number } {
  let columns = 0;
  let rows = 0;
  try {
    ({ columns, rows } = Deno.consoleSize());
  } catch {
    // It is no terminal.
  }
  // That of a terminal may be unknown, too: then it is told as 0.
  return { columns: columns || 80, rows: rows || 24 };
}

const encoder = new TextEncoder();

function writeToStdout(text: string): void {
  let bytes = encoder.encode(text);
  try {
    while (bytes.length > 0) {
      bytes = bytes.subarray(Deno.stdout.writeSync(bytes));
    }
  } catch {
    // Whoever read has gone, the terminal was closed, the disk is full: no reason to end the run.
  }
}
