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
 * ```ts no-run
 * import { replayRun } from "jsr:@atex/atex/orchestrators/event-log";
 * import { showProgress } from "jsr:@atex/atex/orchestrators/progress";
 *
 * await showProgress(replayRun("out/events.jsonl"));
 * ```
 *
 * @module
 */
import { dirname } from "@std/path/dirname";
import { fromFileUrl } from "@std/path/from-file-url";
import {
  OrchestratorError,
  type Run,
  type RunEvent,
  type RunStatus,
  type RunSummary,
} from "./orchestrator.ts";
import { encodeEvent } from "./_event_json.ts";
import { Tally } from "./_tally.ts";

/** An event as it is in a log. */
export type LoggedEvent = RunEvent & {
  /** Which run, counted from 0, in the log of several. */
  readonly run?: number;
};

/**
 * Writes the events of a run, or of several by `runAll()`, to a new file until
 * they are over. Each event is in the file at once: what a killed script leaves is
 * the log up to then. Call it in the same turn as `run()`, to miss nothing.
 *
 * Of errors, their names, messages, causes and the output of commands are kept.
 *
 * Needs `--allow-write` for the file. Directories on the way are made.
 *
 * @throws {Deno.errors.AlreadyExists} if the file is there already
 */
export async function writeEventLog(
  run: AsyncIterable<RunEvent>,
  path: string | URL,
): Promise<void> {
  using file = create(pathOf(path));
  const encoder = new TextEncoder();
  for await (const event of run) {
    let bytes = encoder.encode(`${encodeEvent(event)}\n`);
    while (bytes.length > 0) bytes = bytes.subarray(file.writeSync(bytes));
  }
  await file.sync();
}

function create(path: string): Deno.FsFile {
  try {
    Deno.mkdirSync(dirname(path), { recursive: true });
    return Deno.openSync(path, { write: true, append: true, createNew: true });
  } catch (cause) {
    if (!(cause instanceof Deno.errors.AlreadyExists)) throw cause;
    throw new Deno.errors.AlreadyExists(
      `Cannot write the event log "${path}": it is there already; choose another path or remove it`,
      { cause },
    );
  }
}

/**
 * Reads the events in a log, in order. A last line that is not complete, as a
 * killed script leaves it, is ignored.
 *
 * Needs `--allow-read` for the file.
 *
 * @throws {SyntaxError} if another line is not an event; the message names file and line
 */
export async function* readEventLog(
  path: string | URL,
): AsyncGenerator<LoggedEvent> {
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
  run?: number;
}

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
  { run = 0 }: ReplayOptions = {},
): Run {
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
    let why: Error | undefined;
    for await (const event of this.#events()) {
      if (event.type === "draining") why ??= event.error;
      if (event.type !== "run-finished") continue;
      const { kind, summary } = event;
      if (kind === null) return summary;
      throw new OrchestratorError(
        `Cannot complete the run on "${summary.platform}": ${
          why?.message ?? `it ended as ${kind}`
        }`,
        kind,
        summary,
        { cause: why },
      );
    }
    throw new Error(
      `Cannot tell how the run ended: there is no end of it in "${this.#path}"`,
    );
  }
}

function pathOf(path: string | URL): string {
  return typeof path === "string" ? path : fromFileUrl(path);
}
