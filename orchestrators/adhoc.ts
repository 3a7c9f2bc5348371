/**
 * Many tests on a pool of systems: each system takes the next test as soon as it
 * is free.
 *
 * @example
 * ```ts
 * import { discover, FmfExecutor } from "jsr:@atex/atex/executors/fmf";
 * import { JsonLinesAggregator } from "jsr:@atex/atex/aggregators/jsonl";
 * import { AdHocOrchestrator } from "jsr:@atex/atex/orchestrators/adhoc";
 * import { byPriority, longestFirst, reruns } from "jsr:@atex/atex/orchestrators/policies";
 * import { PodmanProvisioner } from "jsr:@atex/atex/provisioners/podman";
 *
 * await using tests = await discover("./suite", { plan: "/plans/nightly" });
 * await using results = await new JsonLinesAggregator({
 *   results: "out/results.jsonl",
 *   files: "out/files",
 * }).start();
 * await using pool = await new PodmanProvisioner({
 *   image: "fedora:42",
 *   pull: "missing",
 *   maxRemotes: 8,
 * }).start();
 * await using run = new AdHocOrchestrator({
 *   platform: "fedora-42@x86_64",
 *   tests: tests.data.keys(),
 *   provisioners: [pool],
 *   executor: (remote) => new FmfExecutor(remote, { tests }),
 *   aggregator: results,
 *   next: [byPriority(tests), longestFirst(tests)],
 *   rerun: reruns(2),
 * }).run();
 * for await (const event of run) {
 *   if (event.type === "test-finished") console.log(event.test, event.exitCode ?? event.error);
 * }
 * Deno.exitCode = (await run.finished).failed === 0 ? 0 : 1;
 * ```
 *
 * @module
 */
import type { SignalOptions } from "../connections/connection.ts";
import type { Orchestrator, Run } from "./orchestrator.ts";
import { startAdHoc } from "./_adhoc_run.ts";
import { environment } from "./_environment.ts";
import { type AdHocOptions, type Settings, settingsOf } from "./_settings.ts";

export type { AdHocOptions, Concurrency } from "./_settings.ts";
export type { TimeLimits } from "./_time_limits.ts";

/**
 * Runs tests on a pool of systems. It asks the provisioners for as many systems
 * as there is use for, prepares them, and gives each the next test as soon as it
 * is free; a test is never waited for by another one. A system that a test left
 * unusable is given back and replaced. Results are stored while further tests
 * run. Every system that it took is given back, whatever happens.
 *
 * - A failing test is data: it can be run again (`rerun`), and counts as failed.
 * - An error of an executor is a failed test with a result of status `infra`.
 * - Failed reservations and setups are tried again, up to a limit. Beyond it,
 *   what runs comes to its end and is stored, and `finished` rejects.
 * - What can be told before is told before a system is taken: that results of the
 *   tests are stored already, or that there is no place for artifacts. A test that the
 *   executor does not have is told when the first system is there, before it is prepared.
 * - Results that cannot be stored stay where they are; `finished` rejects and
 *   names the directory.
 * - An abort ends what runs; what has ended by itself is stored. If its reason is an
 *   error with a signal `insisted`, as that of `runMain()` is, then that signal ends all
 *   waiting but that for systems to be given back.
 * - With a `journal`, a run that was aborted or killed goes on when the same script
 *   is started again.
 *
 * Needs `--allow-write` and `--allow-read` for the directory of artifacts, and for
 * that of the journal.
 *
 * @example A run that goes on after it was interrupted
 * ```ts
 * import { JsonLinesAggregator } from "jsr:@atex/atex/aggregators/jsonl";
 * import { CommandExecutor } from "jsr:@atex/atex/executors/command";
 * import { AdHocOrchestrator } from "jsr:@atex/atex/orchestrators/adhoc";
 * import { LocalProvisioner } from "jsr:@atex/atex/provisioners/local";
 *
 * const tests = { "/boots": ["true"], "/disk": ["df", "/"] };
 * await using results = await new JsonLinesAggregator({
 *   results: "out/results.jsonl",
 *   files: "out/files",
 *   existing: "continue",
 * }).start();
 * await using pool = await new LocalProvisioner().start();
 * await using run = new AdHocOrchestrator({
 *   platform: "here",
 *   tests: Object.keys(tests),
 *   provisioners: [pool],
 *   executor: (remote) => new CommandExecutor(remote, { tests }),
 *   aggregator: results,
 *   journal: "out/run.journal",
 * }).run();
 * await run.finished;
 * ```
 */
export class AdHocOrchestrator implements Orchestrator {
  readonly #settings: Settings;
  #ran = false;

  /**
   * Stores the options.
   *
   * @throws {RangeError} if there are no tests or provisioners, one is there twice, or a number makes no sense
   * @throws {TypeError} if something is missing, misspelt or of the wrong kind, or there is a
   * `journal`, but an aggregator that cannot go on
   */
  constructor(options: AdHocOptions) {
    this.#settings = settingsOf(options);
  }

  /**
   * Begins to run everything; to be called once.
   *
   * @throws {TypeError} if it was called before, if another run has one of the provisioners and has not ended, or if a
   * rule ranks a test as something that is not a number
   */
  run(options: SignalOptions = {}): Run {
    if (this.#ran) {
      throw new TypeError("Cannot run tests: run() was called before");
    }
    const run = startAdHoc(this.#settings, options, environment);
    this.#ran = true;
    return run;
  }
}
