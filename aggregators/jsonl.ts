/**
 * Results as lines of JSON in one file, and files in a directory beside it.
 *
 * Each line is a list of six items: platform, status, test, subtest, names of
 * files, note; what is absent is `null`, but there is always a list of files.
 *
 * ```json
 * ["10.1@s390x","fail","/net/sockets","connect",["trace.txt"],"errno 98, address in use"]
 * ["10.1@s390x","pass","/net/sockets",null,["output.txt"],null]
 * ```
 *
 * @example
 * ```ts
 * import { JsonLinesAggregator, readJsonLines } from "jsr:@atex/atex/aggregators/jsonl";
 *
 * {
 *   await using aggregator = await new JsonLinesAggregator({
 *     results: "out/results.jsonl",
 *     files: "out/files",
 *   }).start();
 *   await aggregator.ingest("fedora-42@x86_64", "/smoke", "artifacts/smoke");
 * }
 * for await (const { test, subtest, status } of readJsonLines("out/results.jsonl")) {
 *   console.log(test, subtest ?? "", status);
 * }
 * ```
 *
 * @module
 */
import { readResultBatches, type Result } from "../executors/results.ts";
import { checkOptions, type Known } from "../options.ts";
import type { Aggregator, IngestInfo, Stored } from "./aggregator.ts";
import { Collector } from "./_collector.ts";
import type { Compression } from "./_compression.ts";
import { dispose, undoStartBy } from "./_undo_start.ts";

export type { Compression, CompressionFormat } from "./_compression.ts";
export { finishResults } from "./_finish_results.ts";
export { readJsonLines } from "./_jsonl_reader.ts";
export type { StoredResult } from "./_stored_result.ts";

/** Options of {@linkcode JsonLinesAggregator}. */
export interface JsonLinesAggregatorOptions {
  /**
   * The file for the results. It must not exist, unless `existing` says so;
   * directories on the way are made.
   */
  results: string | URL;
  /**
   * The directory for the files of tests. It must not exist, unless `existing` says
   * so; directories on the way are made.
   */
  files: string | URL;
  /**
   * Take a test of a platform that was ingested before once more, under its name
   * with ` (1)`, ` (2)` and so on.
   *
   * @default {false}
   */
  allowDuplicate?: boolean | undefined;
  /**
   * What to do if results and files are there already. With `"continue"`, which must
   * be given from the first time on, a script that was killed goes on: what there is
   * of a test that was being stored is taken back, and all others stay. Lines are
   * then the same but for a blank before the first and after the last one of each
   * test.
   *
   * @default {"fail"}
   */
  existing?: "fail" | "continue" | undefined;
  /**
   * What else to write, as an object in a seventh item of each line: names of what
   * is known of the run (`attempt`, `earlier`, `remote`, `attributes`,
   * `startedAt`, `finishedAt`, `durationMs` between the two, `exitCode`), or of keys
   * that a test reported.
   *
   * @default no seventh item
   */
  fields?: readonly string[] | undefined;
  /**
   * Compress results and files. Results are compressed at the end: until then they
   * are in a file beside `results`, whose name has `.part` at its end. See
   * {@linkcode finishResults} for what to do if a script did not get that far.
   *
   * @default nothing is compressed
   */
  compression?: Compression | undefined;
}

const OPTIONS: Known<JsonLinesAggregatorOptions> = {
  results: "a path or a URL",
  files: "a path or a URL",
  allowDuplicate: "true or false, if given",
  existing: "optional",
  fields: "a list, if given",
  compression: "an object, if given",
};

/**
 * Collects results as lines of JSON.
 *
 * Needs `--allow-read` and `--allow-write` for artifacts, results and files.
 */
export class JsonLinesAggregator implements Aggregator {
  /** Whether it was told to go on with what is there. */
  readonly continues: boolean;
  /** Whether it takes a test that is stored once more. */
  readonly allowDuplicate: boolean;
  readonly #collector: Collector;
  readonly #fields: readonly string[] | undefined;
  /** What stands before the first line of a test, and after the last one. */
  readonly #mark: "" | " ";

  /**
   * Stores the options.
   *
   * @throws {TypeError} if `results` or `files` is missing, or there is no such compression, or no such choice
   * @throws {RangeError} if there is no such level of it
   */
  constructor(options: JsonLinesAggregatorOptions) {
    checkOptions("JsonLinesAggregator", options, OPTIONS);
    this.continues = options.existing === "continue";
    this.allowDuplicate = options.allowDuplicate ?? false;
    this.#collector = new Collector({
      ...options,
      loadFinder: async () => (await import("./_continued_lines.ts")).findLines,
    });
    undoStartBy(this, () => this.#collector.undoStart());
    const { fields } = options;
    if (fields !== undefined && !Array.isArray(fields)) {
      throw new TypeError(
        `Cannot use ${
          Deno.inspect(fields)
        } as "fields": a list of names would be right`,
      );
    }
    this.#fields = fields;
    this.#mark = this.continues ? " " : "";
  }

  /**
   * Makes the file and the directory, or opens them to go on.
   *
   * @throws {Deno.errors.AlreadyExists} if one of them is there already, and cannot be continued
   * @throws {Deno.errors.Busy} if it is to be continued, and another process writes to it
   * @throws {Deno.errors.NotFound} if the program is not installed that compresses
   */
  async start(): Promise<this> {
    await this.#collector.start();
    return this;
  }

  /**
   * Appends the results of a test, and moves its files to
   * `<files>/<platform>/<test>`, both made safe by `normalisePath()`.
   *
   * @throws {DuplicateResultError} if this test of this platform was ingested before
   * @throws {BadResultsError} if the results file cannot be understood
   * @throws {Deno.errors.NotFound} if there is no results file
   * @throws {Deno.errors.AlreadyExists} if a file would land on another one
   * @throws {TypeError} if nothing of platform or test can be used in a path
   */
  ingest(
    platform: string,
    test: string,
    artifacts: string | URL,
    info: IngestInfo = {},
  ): Promise<Stored> {
    return this.#collector.ingest(
      platform,
      test,
      artifacts,
      async (name, text, listed) => {
        const known = this.#fields && knownFields(info);
        let before: string = this.#mark;
        for await (const results of readResultBatches(artifacts)) {
          let lines = "";
          for (const result of results) {
            const { status, name: subtest, note } = result;
            const files = listed(result);
            const line: unknown[] = [
              platform,
              status ?? null,
              name,
              subtest ?? null,
              files,
              note ?? null,
            ];
            if (known) line.push(pick(this.#fields!, known, result));
            lines += before + JSON.stringify(line);
            before = "\n";
          }
          await text.add(lines);
        }
        if (!text.isEmpty) await text.add(`${this.#mark}\n`);
      },
    );
  }

  /** Whether it takes tests. */
  get started(): boolean {
    return this.#collector.started;
  }

  /** How often a test is stored, also by processes before this one. */
  count(platform: string, test: string): number {
    return this.#collector.count(platform, test);
  }

  /**
   * Waits for ingests under way; then everything is on disk, and compressed if it
   * is to be.
   *
   * @throws {Error} if results cannot be compressed; they stay in their `.part`
   */
  stop(): Promise<void> {
    return this.#collector.stop();
  }

  /** Stops; if it was given nothing, what its start made is gone. */
  [Symbol.asyncDispose](): Promise<void> {
    return dispose(this, this.#collector);
  }
}

function knownFields(info: IngestInfo): Record<string, unknown> {
  const { startedAt, finishedAt } = info;
  return startedAt === undefined || finishedAt === undefined
    ? { ...info }
    : { ...info, durationMs: finishedAt - startedAt };
}

function pick(
  fields: readonly string[],
  known: Record<string, unknown>,
  result: Result,
): Record<string, unknown> {
  return Object.fromEntries(
    fields.map((field) => [
      field,
      Object.hasOwn(known, field)
        ? known[field]
        : Object.hasOwn(result, field)
        ? result[field]
        : undefined,
    ]),
  );
}
