/**
 * Results as JUnit XML, which CI services such as Jenkins and GitLab show.
 *
 * There is a suite for each platform, a case for each test, and one for each part
 * that a test reported. It only reads the artifacts: give it to a `MultiAggregator`
 * beside one that keeps the files.
 *
 * @example
 * ```ts
 * import { JUnitAggregator } from "jsr:@atex/atex/aggregators/junit";
 *
 * await using aggregator = await new JUnitAggregator({ target: "out/junit.xml" }).start();
 * await aggregator.ingest("fedora-42@x86_64", "/smoke", "artifacts/smoke");
 * ```
 *
 * @module
 */
import { Semaphore } from "@std/async/unstable-semaphore";
import { readResultBatches } from "../executors/results.ts";
import { checkOptions, type Known, pathOf } from "../options.ts";
import type { Aggregator, IngestInfo } from "./aggregator.ts";
import type { JUnitCase, JUnitHeader, JUnitOutcome } from "./_junit_case.ts";
import { checkReportOptions, REPORT_OPTIONS } from "./_junit_options.ts";
import { outputOf } from "./_junit_output.ts";
import { headerLine, survey, writeReport } from "./_junit_report.ts";
import { lookAt } from "./_move.ts";
import { Names } from "./_names.ts";
import { OwnResult } from "./_own_result.ts";
import {
  cannotGoOn,
  checkExisting,
  makeTarget,
  openLeftover,
  partOf,
  startPart,
} from "./_part.ts";
import { makeParents, placeFor, unmake } from "./_paths.ts";
import { Spool } from "./_spool.ts";
import { durationOf } from "./_stored_tests.ts";
import { Target } from "./_target.ts";
import { dispose, undoStartBy } from "./_undo_start.ts";
import { notStarted, UnderWay } from "./_under_way.ts";

export type { JUnitOutcome } from "./_junit_case.ts";
export { writeJUnit, type WriteJUnitOptions } from "./_junit_stored.ts";
export type { StoredResult } from "./_stored_result.ts";

/** Options of {@linkcode JUnitAggregator}. */
export interface JUnitAggregatorOptions {
  /**
   * The file for the XML. It must not exist, unless `existing` says so; directories on
   * the way are made. It is
   * written at the end: until then everything is in a file beside it, whose name
   * has `.part` at its end. See {@linkcode finishJUnit} for what to do if a script did
   * not get that far.
   */
  target: string | URL;
  /**
   * What to do if there is an XML, or a part of it, already. With `"continue"`, which
   * must be given from the first time on, a script that was killed or aborted goes on:
   * the part stays also at the end, and the XML is made anew from it each time.
   *
   * @default {"fail"}
   */
  existing?: "fail" | "continue" | undefined;
  /**
   * Name of the whole.
   *
   * @default {"atex"}
   */
  name?: string | undefined;
  /**
   * Whether the parts of a test are cases of their own, named `<test> / <part>`.
   *
   * @default {"separate"}
   */
  subtests?: "separate" | "none" | undefined;
  /**
   * Names the files of each case for Jenkins and GitLab, which then show them: the
   * path, as seen from where the CI service looks, of the directory in which
   * `JsonLinesAggregator` or `YamlAggregator` keeps files, without compression.
   *
   * @default files are not named
   */
  attachments?: string | undefined;
  /**
   * How many characters to take from the end of what a test printed, which is in
   * the file `output.txt`; 0 for none.
   *
   * @default {65536}
   */
  outputTail?: number | undefined;
  /**
   * What becomes of a status that is not to be what it usually is. Usually `pass`,
   * `info` and `warn` are passed, `fail` is a failure, `error` and `infra` are errors, and
   * everything else is skipped.
   */
  statusMap?: Readonly<Record<string, JUnitOutcome>> | undefined;
  /**
   * Take a test of a platform that was ingested before once more, under its name
   * with ` (1)`, ` (2)` and so on.
   *
   * @default {false}
   */
  allowDuplicate?: boolean | undefined;
}

const OPTIONS: Known<JUnitAggregatorOptions> = {
  target: "a path or a URL",
  existing: "optional",
  ...REPORT_OPTIONS,
  allowDuplicate: "true or false, if given",
};

/** Tests that are read at once. */
const AT_ONCE = 16;

/** What there is between the start and the stop. */
interface Started {
  part: Target;
  names: Names;
  /** What the start made, if a later one would not go on with it. */
  made: readonly string[];
  /** Bytes of the part before the first test. */
  begin: number;
}

/** A result of a test, or of a part of it. */
interface NamedResult {
  name?: string;
  status?: string | undefined;
  note?: string | undefined;
  files?: string[];
}

/** A test, and what is known of its run. */
interface About {
  platform: string;
  test: string;
  info: IngestInfo;
}

/**
 * Collects results as JUnit XML. Whatever is in names, notes and output, the XML
 * can be parsed: sequences that control a terminal are removed, and what XML does not
 * allow becomes U+FFFD.
 *
 * Needs `--allow-read` for artifacts, `--allow-read` and `--allow-write` for the target.
 */
export class JUnitAggregator implements Aggregator {
  /** It leaves the artifacts where they are. */
  readonly readsOnly = true;
  /** Whether it was told to go on with what is there. */
  readonly continues: boolean;
  /** Whether it takes a test that is in the report once more. */
  readonly allowDuplicate: boolean;
  readonly #target: string;
  readonly #header: JUnitHeader;
  readonly #subtests: boolean;
  readonly #attachments: string | undefined;
  readonly #outputTail: number;
  readonly #slots = new Semaphore(AT_ONCE);
  readonly #underWay = new UnderWay();
  #started: Started | undefined;
  #stopped: Promise<void> | undefined;
  /** Whether it was given anything. */
  #used = false;

  /**
   * Stores the options.
   *
   * @throws {RangeError} if `outputTail` is no number of characters
   * @throws {TypeError} if `target` is missing, or another option cannot be used
   */
  constructor(options: JUnitAggregatorOptions) {
    checkOptions("JUnitAggregator", options, OPTIONS);
    checkReportOptions("JUnitAggregator", options);
    const {
      target,
      existing = "fail",
      name = "atex",
      subtests = "separate",
      attachments,
      outputTail = 65536,
      statusMap,
      allowDuplicate = false,
    } = options;
    this.#target = pathOf(target);
    this.continues = checkExisting(existing);
    this.#header = {
      name,
      statusMap,
      continued: this.continues || undefined,
    };
    this.#subtests = subtests === "separate";
    this.#attachments = attachments?.replace(/\/+$/, "");
    this.#outputTail = outputTail;
    this.allowDuplicate = allowDuplicate;
    undoStartBy(this, () => this.#undoStart());
  }

  /** Whether it takes tests. */
  get started(): boolean {
    return this.#started !== undefined;
  }

  /**
   * Makes the file for what comes during the run, or opens it to go on.
   *
   * @throws {Deno.errors.AlreadyExists} if it, or the target, is there already, and cannot be continued
   * @throws {Deno.errors.Busy} if it is to be continued, and another process writes to it
   */
  async start(): Promise<this> {
    if (this.#started) {
      throw new Error(`Cannot start writing to "${this.#target}" twice`);
    }
    const made: string[] = [];
    const { part, names } = this.continues ? await this.#continue() : {
      part: startPart(this.#target, "finishJUnit", { made }),
      names: new Names(this.allowDuplicate),
    };
    try {
      if (part.length === 0) {
        using text = new Spool();
        await text.add(headerLine(this.#header));
        await part.append(text);
      }
    } catch (error) {
      await part.close().catch(() => {});
      unmake(made);
      throw error;
    }
    this.#stopped = undefined;
    this.#started = { part, names, made, begin: part.length };
    return this;
  }

  /** Stops; if nothing was taken over, what the start made is gone. */
  async #undoStart(): Promise<void> {
    await this.#underWay.ended();
    const started = this.#started;
    if (!started) return this.stop();
    const { part, made, begin } = started;
    if (made.length === 0 || part.length > begin) return this.stop();
    this.#started = undefined;
    await part.close();
    unmake(made);
  }

  /** Opens what is there. */
  async #continue(): Promise<Pick<Started, "part" | "names">> {
    const { countNames, keyOf } = await import("./_continued.ts");
    const target = this.#target;
    const path = partOf(target);
    makeParents(target, []);
    if (lookAt(target) && !lookAt(path)) {
      const cause = new Error('it was not written with existing: "continue"');
      throw cannotGoOn(target, cause);
    }
    const keys: string[] = [];
    const part = await Target.reopen(path, async (file) => {
      try {
        const { header, tests, length } = await survey(file, path);
        const [found, wanted] = [header, this.#header].map(headerLine);
        if (length > 0 && found !== wanted) {
          throw new Error(
            'it is of a report with another "name" or "statusMap", or one that was not to be continued',
          );
        }
        for (const [platform, name] of tests) keys.push(keyOf(platform, name));
        return length;
      } catch (cause) {
        throw cannotGoOn(path, cause as Error);
      }
    });
    const counts = countNames(keys, this.allowDuplicate);
    return { part, names: new Names(this.allowDuplicate, counts) };
  }

  /**
   * Takes over what is to be known of a test; the artifacts stay.
   *
   * @throws {DuplicateResultError} if this test of this platform was ingested before
   * @throws {BadResultsError} if the results file cannot be understood
   * @throws {Deno.errors.NotFound} if there is no results file
   */
  ingest(
    platform: string,
    test: string,
    artifacts: string | URL,
    info: IngestInfo = {},
  ): Promise<void> {
    const started = this.#started;
    if (!started) return Promise.reject(notStarted(platform, test));
    this.#used = true;
    return this.#underWay.add(
      this.#ingest({ platform, test, info }, pathOf(artifacts), started),
    );
  }

  async #ingest(
    { platform, test, info }: About,
    artifacts: string,
    { part, names }: Started,
  ): Promise<void> {
    using turn = await names.take(platform, test);
    using _slot = await this.#slots.acquire();
    using text = new Spool();
    const lineOf = this.#encoder(platform, turn.name, artifacts);
    const own = new OwnResult();
    for await (const results of readResultBatches(artifacts)) {
      let lines = "";
      for (const result of results) {
        if (!own.take(result) && this.#subtests) lines += lineOf(result);
      }
      await text.add(lines);
    }
    const { attempt, earlier, remote, startedAt, exitCode } = info;
    await text.add(lineOf(own, {
      noResult: !own.found || undefined,
      exitCode,
      attempt,
      earlier,
      remote,
      startedAt,
      durationMs: durationOf(info),
    }));
    await part.append(text);
    turn.keep();
  }

  /** How each result of a test becomes a line. */
  #encoder(
    platform: string,
    test: string,
    artifacts: string,
  ): (
    result: NamedResult,
    more?: Partial<JUnitCase>,
  ) => string {
    const attachments = this.#attachments === undefined
      ? undefined
      : `${this.#attachments}/${placeFor(platform, test)}`;
    const tail = this.#outputTail;
    return (result, more) => {
      const { name, status, note } = result;
      const output = outputOf(`${artifacts}/files`, result, {
        tail,
        attachments,
      });
      const it: JUnitCase = {
        platform,
        test,
        subtest: name,
        status,
        note,
        ...more,
        output: output || undefined,
      };
      return `${JSON.stringify(it)}\n`;
    };
  }

  /** How often a test is in the report, also by processes before this one. */
  count(platform: string, test: string): number {
    return this.#started?.names.count(platform, test) ?? 0;
  }

  /**
   * Waits for ingests under way, and writes the XML.
   *
   * @throws {Error} if it cannot be written; all that is needed stays in its `.part`
   */
  stop(): Promise<void> {
    const started = this.#started;
    this.#started = undefined;
    if (started) this.#stopped = this.#finish(started.part);
    return this.#stopped ?? Promise.resolve();
  }

  async #finish(part: Target): Promise<void> {
    await this.#underWay.ended();
    await part.close();
    await makeReport(this.#target);
  }

  /** Stops; if it was given nothing, what its start made is gone. */
  [Symbol.asyncDispose](): Promise<void> {
    return dispose(this, { used: this.#used });
  }
}

/**
 * Makes the XML that a script could not write, since it was killed or the disk was
 * full, from what it left beside it: a file whose name has `.part` at its end. A test
 * that had not been taken over completely is left out.
 *
 * Needs `--allow-read` and `--allow-write` for the directory.
 *
 * @param part path of that file; it is gone at the end, unless it was written with
 * `existing: "continue"`
 * @returns the path of the XML
 * @throws {TypeError} if it is no part, or one of results
 * @throws {Deno.errors.NotFound} if there is no such file
 * @throws {Deno.errors.Busy} if a run is still writing to it
 * @throws {Deno.errors.AlreadyExists} if there is another file at that path
 *
 * @example
 * ```ts
 * import { finishJUnit } from "jsr:@atex/atex/aggregators/junit";
 *
 * console.log(await finishJUnit("out/junit.xml.part"));
 * ```
 */
export async function finishJUnit(part: string | URL): Promise<string> {
  using leftover = openLeftover(pathOf(part), "finishJUnit");
  await makeReport(leftover.target);
  return leftover.target;
}

function makeReport(target: string): Promise<void> {
  return makeTarget(target, { by: "finishJUnit", make: writeReport });
}
