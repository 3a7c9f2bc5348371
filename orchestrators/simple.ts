/**
 * One system, one test after the other.
 *
 * @example
 * ```ts
 * import { JsonLinesAggregator } from "jsr:@atex/atex/aggregators/jsonl";
 * import { discover, FmfExecutor } from "jsr:@atex/atex/executors/fmf";
 * import { SimpleOrchestrator } from "jsr:@atex/atex/orchestrators/simple";
 * import { LocalProvisioner } from "jsr:@atex/atex/provisioners/local";
 *
 * await using tests = await discover("./suite");
 * await using results = await new JsonLinesAggregator({
 *   results: "out/results.jsonl",
 *   files: "out/files",
 * }).start();
 * await using local = await new LocalProvisioner().start();
 * await using run = new SimpleOrchestrator({
 *   platform: "here",
 *   tests: tests.data.keys(),
 *   provisioner: local,
 *   executor: (remote) => new FmfExecutor(remote, { tests }),
 *   aggregator: results,
 * }).run();
 * const { passed, failed } = await run.finished;
 * console.log({ passed, failed });
 * ```
 *
 * @module
 */
import type { SignalOptions } from "../connections/connection.ts";
import type { Orchestrator, Run } from "./orchestrator.ts";
import { environment } from "./_environment.ts";
import { startSimple } from "./_simple_run.ts";
import {
  type SimpleOptions,
  type SimpleSettings,
  simpleSettings,
} from "./_simple_settings.ts";

export type { SimpleOptions } from "./_simple_settings.ts";
export type { TimeLimits } from "./_time_limits.ts";

/**
 * Runs tests one after the other on one system. Exit codes do not matter to the
 * order of things, nothing is run again, and the results of a test are stored
 * before the next one begins.
 *
 * Needs `--allow-write` and `--allow-read` for the directory of artifacts.
 */
export class SimpleOrchestrator implements Orchestrator {
  readonly #settings: SimpleSettings;
  #ran = false;

  /**
   * Stores the options.
   *
   * @throws {RangeError} if `platform` or `tests` is empty, a test is there twice, or a time makes no sense
   * @throws {TypeError} if something is missing, misspelt or of the wrong kind
   */
  constructor(options: SimpleOptions) {
    this.#settings = simpleSettings(options);
  }

  /**
   * Begins to run everything; to be called once.
   *
   * @throws {TypeError} if it was called before, or if another run has the provisioner and has not ended
   */
  run(options: SignalOptions = {}): Run {
    if (this.#ran) {
      throw new TypeError("Cannot run tests: run() was called before");
    }
    const run = startSimple(this.#settings, options, environment);
    this.#ran = true;
    return run;
  }
}
