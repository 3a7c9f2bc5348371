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
import { checkKind, checkOptions, type Known } from "../options.ts";
import type { Run } from "./orchestrator.ts";
import { type Line, Progress, type Tone } from "./_progress.ts";
import { printableLines } from "./_text.ts";

export { printable, span } from "./_text.ts";

/** Options of {@linkcode showProgress}. */
export interface ProgressOptions {
  /**
   * Where text goes.
   *
   * @default standard output
   */
  write?: (text: string) => void;
  /**
   * Whether a live block is kept at the end of the output: counts, and the tests
   * that run, with the time since they began and their systems. Otherwise there is a
   * line for each ended test.
   *
   * @default whether standard output is a terminal
   */
  live?: boolean;
  /**
   * Whether lines are coloured.
   *
   * @default `live`, unless the environment variable `NO_COLOR` is set
   */
  color?: boolean;
  /**
   * Size of the terminal.
   *
   * @default that of standard output; 80 × 24 if it has none
   */
  size?: () => { columns: number; rows: number };
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
/** Between two drawings of the live block that no event caused. */
const REDRAW_MS = 1000;
/** Between two drawings that events caused: a fast run must not be held up by its picture. */
const FRAME_MS = 50;
const MAX_BLOCK_ROWS = 12;

/**
 * Shows what happens in a run until it is over: on a terminal a live block below
 * a line for each ended test, elsewhere only the lines. At the end it lists
 * the failed tests, each with its exit code, attempts, system and the path of its
 * output, and the totals.
 *
 * Names and messages come from tests and are not trusted: control characters
 * never reach the terminal. Does not reject when the run fails: ask
 * `run.finished`. Call it in the same turn as `run()`, to miss nothing.
 */
export async function showProgress(
  run: Run,
  options: ProgressOptions = {},
): Promise<void> {
  checkKind("showProgress()", "run", run, "a run");
  checkOptions("showProgress()", options, OPTIONS);
  const live = options.live ?? Deno.stdout.isTerminal();
  const color = options.color ?? (live && !Deno.env.get("NO_COLOR"));
  const write = options.write ?? writeToStdout;
  const paint = ({ tone, text }: Line) =>
    color && CODES[tone] ? `\x1b[${CODES[tone]}m${text}\x1b[0m` : text;

  const progress = new Progress();
  const screen = live
    ? new LiveBlock(
      write,
      () =>
        progress.block(run.status, Date.now(), blockSize(options.size))
          .map(paint).toArray(),
    )
    : { print: (text: string) => write(text), changed() {}, stop() {} };
  try {
    for await (const event of run) {
      const lines = progress.take(event).map((line) => `${paint(line)}\n`)
        .toArray();
      if (lines.length > 0) screen.print(lines.join(""));
      screen.changed();
    }
  } finally {
    screen.stop();
  }
  for (const line of progress.end()) write(`${paint(line)}\n`);
}

/** The live blocks that are shown now. */
const blocks = new Set<LiveBlock>();

/**
 * Writes lines for people to standard error: above what {@linkcode showProgress} keeps
 * at the end of a terminal, which a line of `console.error()` would tear apart. Control
 * characters never reach the terminal.
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
  for (const block of blocks) block.erase();
  console.error(printableLines(text));
  for (const block of blocks) block.print("");
}

/** A block of lines that stays at the end of the output. */
class LiveBlock {
  readonly #write: (text: string) => void;
  readonly #lines: () => string[];
  readonly #ticker: ReturnType<typeof setInterval>;
  #frame: ReturnType<typeof setTimeout> | undefined;
  #height = 0;

  constructor(write: (text: string) => void, lines: () => string[]) {
    this.#write = write;
    this.#lines = lines;
    this.#ticker = setInterval(() => this.#draw(), REDRAW_MS);
    blocks.add(this);
  }

  /** Writes whole lines above the block. */
  print(text: string): void {
    this.#draw(text);
  }

  /** Says that the block should be drawn again soon. */
  changed(): void {
    this.#frame ??= setTimeout(() => this.#draw(), FRAME_MS);
  }

  /** Removes the block. */
  stop(): void {
    blocks.delete(this);
    clearInterval(this.#ticker);
    clearTimeout(this.#frame);
    this.erase();
  }

  /** Removes the block until it is drawn again. */
  erase(): void {
    this.#write(this.#erased());
    this.#height = 0;
  }

  #draw(above = ""): void {
    clearTimeout(this.#frame);
    this.#frame = undefined;
    const lines = this.#lines();
    const block = lines.map((line) => `${line}\n`).join("");
    this.#write(this.#erased() + above + block);
    this.#height = lines.length;
  }

  /** Moves to where the block began and clears from there. */
  #erased(): string {
    return this.#height > 0 ? `\x1b[${this.#height}A\r\x1b[J` : "";
  }
}

function blockSize(size = terminalSize): { columns: number; rows: number } {
  const { columns, rows } = size();
  // The last column stays free: some terminals begin a new line when it is filled.
  return {
    columns: Math.max(20, columns - 1),
    rows: Math.max(2, Math.min(MAX_BLOCK_ROWS, rows - 4)),
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
