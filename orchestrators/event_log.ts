/**
 * What happened in a run, kept in a file: a line of JSON for each event. Whatever
 * takes events can be given them again later.
 *
 * @example Keep the events of a run
 * ```ts no-run
 * import { writeEventLog } from "jsr:@atex/atex/orchestrators/event-log";
 * import type { Run } from "jsr:@atex/atex/orchestrators/orchestrator";
 * import { showProgress } from "jsr:@atex/atex/orchestrators/progress";
 *
 * declare const run: Run;
 * await Promise.all([showProgress(run), writeEventLog(run, "out/events.jsonl")]);
 * ```
 *
 * @example Show a run of yesterday
 * ```ts
 * import { replayRun } from "jsr:@atex/atex/orchestrators/event-log";
 * import { showProgress } from "jsr:@atex/atex/orchestrators/progress";
 *
 * await showProgress(replayRun("out/events.jsonl"));
 * ```
 *
 * @module
 */
import { dirname } from "@std/path/posix/dirname";
import { checkKind, checkOptions, type Known, pathOf } from "../options.ts";
import type { Run, RunEvent, RunStatus, RunSummary } from "./orchestrator.ts";
import { abortedEnding, incomplete } from "./_ending.ts";
import { encodeEvent } from "./_event_json.ts";
import { Tally } from "./_tally.ts";

/** An event as it is in a log. */
export type LoggedEvent = RunEvent & {
  /** Which run, counted from 0, in the log of several. */
  readonly run?: number | undefined;
};

/** Options of {@linkcode writeEventLog}. */
export interface EventLogOptions {
  /**
   * What to do if the file is there already: with `"continue"`, events are added to
   * it, for a run that goes on after it was killed.
   *
   * @default {"fail"}
   */
  existing?: "fail" | "replace" | "continue" | undefined;
}

const OPTIONS: Known<EventLogOptions> = {
  existing: ["fail", "replace", "continue"],
};

/**
 * Writes the events of a run, or of several by `runAll()`, to a file until
 * they are over. Each event is in the file at once: what a killed script leaves is
 * the log up to then. Call it in the same turn as `run()`, to miss nothing.
 *
 * Of errors, their names, messages, causes and the output of commands are kept.
 *
 * Needs `--allow-write` for the file, and `--allow-read` to continue one.
 * Directories on the way are made.
 *
 * @throws {Deno.errors.AlreadyExists} if the file is there already, and neither to be replaced nor
 * continued
 */
export async function writeEventLog(
  run: AsyncIterable<RunEvent> | Iterable<RunEvent>,
  path: string | URL,
  options: EventLogOptions = {},
): Promise<void> {
  checkKind("writeEventLog()", "run", run, "a run");
  checkKind("writeEventLog()", "path", path, "a path or a URL");
  checkOptions("writeEventLog()", options, OPTIONS);
  const { existing = "fail" } = options;
  const name = pathOf(path);
  using file = existing === "continue"
    ? reopen(name)
    : create(name, existing === "replace");
  const encoder = new TextEncoder();
  for await (const event of run) {
    let bytes = encoder.encode(`${encodeEvent(event)}\n`);
    while (bytes.length > 0) bytes = bytes.subarray(file.writeSync(bytes));
  }
  await file.sync();
}

function create(path: string, replace: boolean): Deno.FsFile {
  try {
    Deno.mkdirSync(dirname(path), { recursive: true });
    return Deno.openSync(path, {
      write: true,
      ...(replace
        ? { create: true, truncate: true }
        : { append: true, createNew: true }),
    });
  } catch (cause) {
    if (!(cause instanceof Deno.errors.AlreadyExists)) throw cause;
    throw new Deno.errors.AlreadyExists(
      `Cannot write the event log "${path}": it is there already; choose another path or remove it`,
      { cause },
    );
  }
}

/** Opens a log behind its last whole line: a killed script may have left part of one. */
function reopen(path: string): Deno.FsFile {
  Deno.mkdirSync(dirname(path), { recursive: true });
  const file = Deno.openSync(path, { read: true, append: true, create: true });
  const block = new Uint8Array(65_536);
  for (let end = file.statSync().size; end > 0;) {
    const start = Math.max(0, end - block.length);
    file.seekSync(start, Deno.SeekMode.Start);
    const count = file.readSync(block.subarray(0, end - start)) ?? 0;
    const newline = block.subarray(0, count).lastIndexOf(10);
    if (newline >= 0 || start === 0) {
      file.truncateSync(start + newline + 1);
      break;
    }
    end = start;
  }
  return file;
}

/**
 * Reads the events in a log, in order. A last line that is not complete, as a
 * killed script leaves it, is ignored.
 *
 * Needs `--allow-read` for the file.
 *
 * @throws {SyntaxError} if another line is not an event; the message names file and line
 *
 * @example
 * ```ts
 * import { readEventLog } from "jsr:@atex/atex/orchestrators/event-log";
 *
 * for await (const event of readEventLog("out/events.jsonl")) {
 *   if (event.type === "test-finished") console.log(event.test, event.ms);
 * }
 * ```
 */
export async function* readEventLog(
  path: string | URL,
): AsyncGenerator<LoggedEvent> {
  checkKind("readEventLog()", "path", path, "a path or a URL");
  const name = pathOf(path);
  const { decodeEvent } = await import("./_event_schema.ts");
  const decode = (text: string): LoggedEvent => {
    try {
      return decodeEvent(text);
    } catch (cause) {
      throw new SyntaxError(
        `Cannot read the event log "${name}": line ${line} ${
          (cause as Error).message
        }`,
        { cause },
      );
    }
  };
  let line = 0;
  let rest = "";
  const file = await Deno.open(name);
  for await (const part of file.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + part).split("\n");
    rest = lines.pop()!;
    for (const text of lines) {
      line++;
      if (text.trim() !== "") yield decode(text);
    }
  }
}

/** Options of {@linkcode replayRun}. */
export interface ReplayOptions {
  /**
   * Which run, counted from 0, if the log is of several.
   *
   * @default {0}
   */
  run?: number | undefined;
}

const REPLAY_OPTIONS: Known<ReplayOptions> = {
  run: "optional",
};

/**
 * A run that is over, from its log. Each iteration gives its events from the
 * beginning, as fast as they are taken; `status` is that of the last event
 * given. `finished` settles as that of the run did, and rejects if the log ends
 * before the run.
 *
 * Needs `--allow-read` for the file, from the first use on.
 */
export function replayRun(
  path: string | URL,
  options: ReplayOptions = {},
): Run {
  checkKind("replayRun()", "path", path, "a path or a URL");
  checkOptions("replayRun()", options, REPLAY_OPTIONS);
  const { run = 0 } = options;
  return new LoggedRun(pathOf(path), run);
}

class LoggedRun implements Run {
  readonly #path: string;
  readonly #run: number;
  #tally = new Tally();
  #finished: Promise<RunSummary> | undefined;

  constructor(path: string, run: number) {
    this.#path = path;
    this.#run = run;
  }

  get status(): RunStatus {
    return this.#tally.status;
  }

  get finished(): Promise<RunSummary> {
    this.#finished ??= this.#readEnd();
    return this.#finished;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<RunEvent, undefined> {
    const tally = new Tally();
    for await (const event of this.#events()) {
      tally.take(event);
      this.#tally = tally;
      yield event;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  async *#events(): AsyncGenerator<RunEvent> {
    for await (const event of readEventLog(this.#path)) {
      if ((event.run ?? 0) === this.#run) yield event;
    }
  }

  async #readEnd(): Promise<RunSummary> {
    let draining: RunEvent & { type: "draining" } | undefined;
    let aborting: RunEvent & { type: "aborting" } | undefined;
    let end: RunEvent & { type: "run-finished" } | undefined;
    for await (const event of this.#events()) {
      if (event.type === "run-started") draining = aborting = end = undefined; // it goes on
      else if (event.type === "draining") draining ??= event;
      else if (event.type === "aborting") aborting ??= event;
      else if (event.type === "run-finished") end = event;
    }
    if (!end) {
      throw new Error(
        `Cannot tell how the run ended: there is no end of it in "${this.#path}"`,
      );
    }
    const { kind, summary } = end;
    if (kind === null) return summary;
    const failure = draining &&
      { kind: draining.kind, why: draining.why, cause: draining.error };
    if (kind === "Aborted") {
      throw incomplete(abortedEnding(aborting?.reason, failure), summary);
    }
    throw incomplete(
      { why: `it ended as ${kind}`, ...failure, kind },
      summary,
    );
  }
}
