/**
 * Results for [ReportPortal](https://reportportal.io): a launch, in it an item for each
 * platform, in that a step for each test, and in that steps for what tests reported.
 *
 * @example
 * ```ts no-run
 * import {
 *   ReportPortalAggregator,
 *   ReportPortalApi,
 * } from "jsr:@atex/atex/aggregators/report-portal";
 *
 * // URL, project and token are in the environment: ATEX_REPORTPORTAL_URL …
 * using api = new ReportPortalApi();
 * await using aggregator = await new ReportPortalAggregator({
 *   api,
 *   launch: "nightly",
 * }).start();
 * await aggregator.ingest("fedora-42@x86_64", "/smoke", "artifacts/smoke");
 * ```
 *
 * @example Run again only what failed
 * ```ts no-run
 * import { existingTests, ReportPortalApi } from "jsr:@atex/atex/aggregators/report-portal";
 *
 * using api = new ReportPortalApi();
 * const launch = "0d0c1111-2222-3333-4444-555566667777";
 * const tests = await Array.fromAsync(
 *   existingTests(api, launch, "fedora-42@x86_64", { statuses: ["failed", "interrupted"] }),
 * );
 * ```
 *
 * @module
 */
import { readArtifacts } from "../executors/results.ts";
import { checkOptions, type Known, pathOf, wrongKind } from "../options.ts";
import type { Aggregator, IngestInfo } from "./aggregator.ts";
import type { ReportPortalApi } from "./_report_portal_api.ts";
import type { ReportPortalAggregatorOptions } from "./_report_portal_options.ts";
import {
  keyOf,
  type OpenLaunch,
  type Reporting,
  Steps,
} from "./_report_portal_steps.ts";
import { Turns } from "./_turns.ts";
import { notStarted, UnderWay } from "./_under_way.ts";

export {
  type Attachment,
  type Item,
  type ItemFilter,
  type Launch,
  type LogEntry,
  ReportPortalApi,
  type ReportPortalApiOptions,
} from "./_report_portal_api.ts";
export { ReportPortalError } from "./_report_portal_http.ts";
export type {
  FileChoice,
  ReportedFile,
  ReportPortalAggregatorOptions,
} from "./_report_portal_options.ts";

const OPTIONS: Known<ReportPortalAggregatorOptions> = {
  api: "an object",
  launch: "anything",
  attributes: "an object, if given",
  description: "a string, if given",
  joinSubtest: "a string, if given",
  subtest: "a function, if given",
  file: "a function, if given",
  maxFileSize: "a number, if given",
  onWarning: "a function, if given",
};

function checkLaunch(launch: ReportPortalAggregatorOptions["launch"]): void {
  const of = "ReportPortalAggregator";
  if (typeof launch === "string" && launch !== "") return;
  const right = 'a name, or an object with "rerunOf",';
  if (typeof launch !== "object") throw wrongKind(of, "launch", launch, right);
  checkOptions(`"launch" of ${of}`, launch, { rerunOf: "a string" });
}

/**
 * Reports results to ReportPortal. A test that is ingested again becomes a retry of
 * the one before. If a call fails for good, `ingest()` rejects, the artifacts stay, and the
 * test can be ingested again.
 *
 * Needs what {@linkcode ReportPortalApi} does, and `--allow-read` and `--allow-write` for
 * artifacts.
 */
export class ReportPortalAggregator implements Aggregator {
  readonly #options: ReportPortalAggregatorOptions;
  readonly #api: ReportPortalApi;
  readonly #steps: Steps;
  readonly #turns = new Turns();
  readonly #underWay = new UnderWay();
  /** What was promised before the start. */
  #later: [platform: string, tests: string[]][] = [];
  #launch: OpenLaunch | undefined;
  #starting = false;
  #stopped: Promise<void> | undefined;

  /**
   * Stores the options.
   *
   * @throws {TypeError} if `api` or `launch` is missing, or an option cannot be used
   * @throws {RangeError} if `maxFileSize` is negative
   */
  constructor(options: ReportPortalAggregatorOptions) {
    checkOptions("ReportPortalAggregator", options, OPTIONS);
    const { api, launch, maxFileSize = 0 } = options;
    if (typeof api.startLaunch !== "function") {
      const right = "a ReportPortalApi";
      throw wrongKind("ReportPortalAggregator", "api", api, right);
    }
    checkLaunch(launch);
    if (!(maxFileSize >= 0)) {
      throw new RangeError(
        `Cannot send ${maxFileSize} bytes of a file: "maxFileSize" must be 0 or more`,
      );
    }
    this.#options = options;
    this.#api = api;
    this.#steps = new Steps(options);
  }

  /** The id of the launch; absent before `start()` and after `stop()`. */
  get launchUuid(): string | undefined {
    return this.#launch?.uuid;
  }

  /** Whether it takes tests. */
  get started(): boolean {
    return this.#launch !== undefined;
  }

  /**
   * Starts the launch, and what was promised.
   *
   * @throws {ReportPortalError} if that fails
   * @throws {TypeError} if URL, project or token are missing
   */
  async start(): Promise<this> {
    if (this.#launch || this.#starting) {
      throw new Error("Cannot start a launch twice");
    }
    this.#starting = true;
    try {
      const { launch, attributes, description } = this.#options;
      const startedAt = Date.now();
      const uuid = await this.#api.startLaunch(
        typeof launch === "string" ? { name: launch } : launch,
        {
          startTime: startedAt,
          ...(attributes && { attributes }),
          ...(description !== undefined && { description }),
        },
      );
      const open: OpenLaunch = {
        uuid,
        startedAt,
        platforms: new Map(),
        promised: new Map(),
        begun: new Set(),
      };
      try {
        for (const [platform, tests] of this.#later) {
          await this.#keep(open, platform, tests);
        }
      } catch (error) {
        await this.#api.finishLaunch(uuid).catch(() => {});
        throw error;
      }
      this.#later = [];
      this.#stopped = undefined;
      this.#launch = open;
    } finally {
      this.#starting = false;
    }
    return this;
  }

  /**
   * Says which tests will come: they are shown as in progress at once, or from `start()` on.
   *
   * @throws {ReportPortalError} if that fails
   */
  async promise(platform: string, tests: Iterable<string>): Promise<void> {
    if (this.#launch) await this.#keep(this.#launch, platform, tests);
    else this.#later.push([platform, [...tests]]);
  }

  async #keep(
    launch: OpenLaunch,
    platform: string,
    tests: Iterable<string>,
  ): Promise<void> {
    const parent = await this.#steps.platform(launch, platform);
    const keep = async (test: string) => {
      const key = keyOf(platform, test);
      using turn = this.#turns.take(key);
      await turn.comes;
      if (launch.promised.has(key) || launch.begun.has(key)) return;
      const uuid = await this.#steps.start(launch, parent, {
        name: test,
        // it may turn out to have begun earlier than now
        startTime: launch.startedAt,
      });
      launch.promised.set(key, uuid);
    };
    // the client bounds how many calls are made at once; all have to end
    const kept = await Promise.allSettled([...tests].map(keep));
    const failed = kept.find(({ status }) => status === "rejected");
    if (failed?.status === "rejected") throw failed.reason;
  }

  /**
   * Reports a test; then its results and files are removed.
   *
   * @throws {ReportPortalError} if a call fails for good; the artifacts are as they were
   * @throws {BadResultsError} if the results file cannot be understood
   * @throws {Deno.errors.NotFound} if there is no results file
   */
  ingest(
    platform: string,
    test: string,
    artifacts: string | URL,
    info: IngestInfo = {},
  ): Promise<void> {
    const launch = this.#launch;
    if (!launch) return Promise.reject(notStarted(platform, test));
    return this.#underWay.add(
      this.#ingest(launch, platform, test, pathOf(artifacts), info),
    );
  }

  async #ingest(
    launch: OpenLaunch,
    platform: string,
    test: string,
    artifacts: string,
    { startedAt = Date.now(), finishedAt = Date.now() }: IngestInfo,
  ): Promise<void> {
    using turn = this.#turns.take(keyOf(platform, test));
    await turn.comes;
    // what cannot be understood is not reported in part
    for await (const _ of readArtifacts(artifacts));
    const parent = await this.#steps.platform(launch, platform);
    const startTime = Math.max(startedAt, launch.startedAt);
    const reporting: Reporting = {
      launch,
      platform,
      test,
      artifacts,
      parent,
      startTime,
      endTime: Math.max(startTime, finishedAt),
      open: [],
    };
    await this.#steps.report(reporting);
    await Deno.remove(`${artifacts}/results`);
    await Deno.remove(`${artifacts}/files`, { recursive: true })
      .catch((error) => {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      });
  }

  /**
   * Waits for ingests under way, then finishes the launch; the server closes what is open
   * in it.
   *
   * @throws {ReportPortalError} if that fails
   */
  stop(): Promise<void> {
    const launch = this.#launch;
    this.#launch = undefined;
    if (launch) {
      this.#stopped = this.#underWay.ended().then(() =>
        this.#api.finishLaunch(launch.uuid)
      );
    }
    return this.#stopped ?? Promise.resolve();
  }

  /** The same as {@linkcode ReportPortalAggregator.stop}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** Options of {@linkcode existingTests}. */
export interface ExistingTestsOptions {
  /**
   * Only tests of these statuses: `passed`, `failed`, `interrupted`, `skipped`, `in_progress` …
   *
   * @default all
   */
  statuses?: readonly string[] | undefined;
}

/**
 * Gives the names of the tests of a platform that are in a launch.
 *
 * @throws {ReportPortalError} if there is no such launch, or it cannot be read
 */
export async function* existingTests(
  api: ReportPortalApi,
  launchUuid: string,
  platform: string,
  { statuses }: ExistingTestsOptions = {},
): AsyncGenerator<string> {
  const { id: launchId } = await api.readLaunch(launchUuid);
  const platforms = api.items({ launchId, type: "test", name: platform });
  for await (const { id: parentId } of platforms) {
    const filter = { launchId, parentId, type: "step" };
    const tests = api.items({ ...filter, ...(statuses && { statuses }) });
    for await (const { name } of tests) yield name;
  }
}
