/**
 * Results as YAML documents in one file, one for each test, and files in a
 * directory beside it: for people to read.
 *
 * What is absent or empty is left out, and everything is text, to readers of YAML
 * 1.1 as well as 1.2.
 *
 * ```yaml
 * ---
 * platform: 10.1@s390x
 * name: /net/sockets
 * status: fail
 * files:
 * - output.txt
 * subtests:
 * - name: connect
 *   status: fail
 *   files:
 *   - trace.txt
 *   note: errno 98, address in use
 * ```
 *
 * @example
 * ```ts
 * import { YamlAggregator } from "jsr:@atex/atex/aggregators/yaml";
 *
 * await using aggregator = await new YamlAggregator({
 *   results: "out/results.yaml",
 *   files: "out/files",
 * }).start();
 * await aggregator.ingest("fedora-42@x86_64", "/smoke", "artifacts/smoke");
 * ```
 *
 * @module
 */
import { readResultBatches, type Result } from "../executors/results.ts";
import { checkOptions, type Known } from "../options.ts";
import type { Aggregator, IngestInfo, Stored } from "./aggregator.ts";
import { Collector } from "./_collector.ts";
import type { Compression } from "./_compression.ts";
import { OwnResult } from "./_own_result.ts";
import { inLine, inLines } from "./_yaml_text.ts";
import { dispose, undoStartBy } from "./_undo_start.ts";

export type { Compression, CompressionFormat } from "./_compression.ts";
export { finishResults } from "./_finish_results.ts";

/** Options of {@linkcode YamlAggregator}. */
export interface YamlAggregatorOptions {
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
   * of a test that was being stored is taken back, and all others stay. Each
   * document then begins with a line `--- ` (with the blank) and ends with a line `...`.
   *
   * @default {"fail"}
   */
  existing?: "fail" | "continue" | undefined;
  /**
   * Compress results and files. Results are compressed at the end: until then they
   * are in a file beside `results`, whose name has `.part` at its end. See
   * {@linkcode finishResults} for what to do if a script did not get that far.
   *
   * @default nothing is compressed
   */
  compression?: Compression | undefined;
}

const OPTIONS: Known<YamlAggregatorOptions> = {
  results: "a path or a URL",
  files: "a path or a URL",
  allowDuplicate: "true or false, if given",
  existing: "optional",
  compression: "an object, if given",
};

/**
 * Collects results as YAML documents.
 *
 * Needs `--allow-read` and `--allow-write` for artifacts, results and files.
 */
export class YamlAggregator implements Aggregator {
  /** Whether it was told to go on with what is there. */
  readonly continues: boolean;
  /** Whether it takes a test that is stored once more. */
  readonly allowDuplicate: boolean;
  readonly #collector: Collector;
  /** What stands before and after each document. */
  readonly #marks: readonly [before: string, after: string];

  /**
   * Stores the options.
   *
   * @throws {TypeError} if `results` or `files` is missing, or there is no such compression, or no such choice
   * @throws {RangeError} if there is no such level of it
   */
  constructor(options: YamlAggregatorOptions) {
    checkOptions("YamlAggregator", options, OPTIONS);
    this.continues = options.existing === "continue";
    this.allowDuplicate = options.allowDuplicate ?? false;
    this.#collector = new Collector({
      ...options,
      loadFinder: async () =>
        (await import("./_continued_yaml.ts")).findDocuments,
    });
    undoStartBy(this, () => this.#collector.undoStart());
    this.#marks = this.continues ? ["--- \n", "...\n"] : ["---\n", ""];
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
   * Appends a document for a test, and moves its files to
   * `<files>/<platform>/<test>`, both made safe by `normalisePath()`. Several
   * results of the test itself become one: the last status and the last note count.
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
    _info?: IngestInfo,
  ): Promise<Stored> {
    return this.#collector.ingest(
      platform.toWellFormed(), // as it can be told from the file
      test.toWellFormed(),
      artifacts,
      async (name, text, listed) => {
        const [before, after] = this.#marks;
        const own = new OwnResult();
        let first = true;
        for await (const results of readResultBatches(artifacts)) {
          let subtests = "";
          for (const result of results) {
            const named = { ...result, files: listed(result) };
            if (!own.take(named)) subtests += `- ${fields(named, "  ")}`;
          }
          if (subtests !== "" && first) {
            subtests = `subtests:\n${subtests}`;
            first = false;
          }
          await text.add(subtests);
        }
        text.addBefore(
          `${before}platform: ${inLine(platform)}\n${
            fields({ ...own, name }, "")
          }`,
        );
        await text.add(after);
      },
    );
  }

  /** Whether it takes tests. */
  get started(): boolean {
    return this.#collector.started;
  }

  /** How often a test is stored, also by processes before this one. */
  count(platform: string, test: string): number {
    return this.#collector.count(platform.toWellFormed(), test.toWellFormed());
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

/** The fields of a result that are there, each on lines of its own; all but the first behind `indent`. */
function fields(
  { name, status, files, note }: Result,
  indent: string,
): string {
  let text = `name: ${inLine(name!)}\n`;
  if (status) text += `${indent}status: ${inLine(status)}\n`;
  if (files?.length) {
    text += `${indent}files:\n`;
    for (const file of files) text += `${indent}- ${inLine(file)}\n`;
  }
  if (note) text += `${indent}note: ${inLines(note, `${indent}  `)}\n`;
  return text;
}
