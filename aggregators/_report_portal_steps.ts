/** Reporting one test to ReportPortal, step by step. */
import { readArtifacts, type Result } from "../executors/results.ts";
import { OwnResult } from "./_own_result.ts";
import { findFile, MAX_INLINE, readLog } from "./_report_portal_files.ts";
import type {
  FileChoice,
  ReportedFile,
  ReportPortalAggregatorOptions,
} from "./_report_portal_options.ts";
import { isFailing } from "./_statuses.ts";

const STATUSES: Readonly<Record<string, string>> = {
  pass: "passed",
  fail: "failed",
  error: "failed",
  warn: "warn",
  infra: "interrupted",
  skip: "skipped",
};
const MAX_FILE_SIZE = 32 * 1024 * 1024;

function statusFor(status: string): string {
  return Object.hasOwn(STATUSES, status) ? STATUSES[status]! : "info";
}

function usualFile(
  { name, size, result: { status } }: ReportedFile,
): FileChoice | undefined {
  if (!isFailing(status)) return undefined;
  const base = name.slice(name.lastIndexOf("/") + 1);
  return { inline: base === "output.txt" && size <= MAX_INLINE };
}

/** A launch under way. */
export interface OpenLaunch {
  readonly uuid: string;
  readonly startedAt: number;
  /** Items of platforms. */
  readonly platforms: Map<string, Promise<string>>;
  /** Steps of tests that were promised and not ingested. */
  readonly promised: Map<string, string>;
  /** Steps of tests, and of subtests beside them, that were begun to be reported. */
  readonly begun: Set<string>;
}

/** What is needed to report a test. */
export interface Reporting {
  readonly launch: OpenLaunch;
  readonly platform: string;
  readonly test: string;
  readonly artifacts: string;
  /** Item of the platform. */
  readonly parent: string;
  readonly startTime: number;
  readonly endTime: number;
  /** Steps that are not finished, innermost last. */
  readonly open: string[];
}

/** Makes the calls for platforms and tests. */
export class Steps {
  readonly #options: ReportPortalAggregatorOptions;
  readonly #api: ReportPortalAggregatorOptions["api"];

  constructor(options: ReportPortalAggregatorOptions) {
    this.#options = options;
    this.#api = options.api;
  }

  /** Reports all of a test; whatever was begun is finished, also if that fails. */
  async report(reporting: Reporting): Promise<void> {
    try {
      const { joinSubtest } = this.#options;
      if (joinSubtest === undefined) await this.#nested(reporting);
      else await this.#flat(reporting, joinSubtest);
    } catch (error) {
      await this.#interrupt(reporting);
      throw error;
    }
  }

  /** The item of a platform, which is started once, at the start of the launch: tests may have begun before they are ingested. */
  platform(launch: OpenLaunch, platform: string): Promise<string> {
    let item = launch.platforms.get(platform);
    if (!item) {
      item = this.#api.startItem({
        launchUuid: launch.uuid,
        type: "test",
        name: platform,
        startTime: launch.startedAt,
      });
      launch.platforms.set(platform, item);
      // the next one tries again
      item.catch(() => launch.platforms.delete(platform));
    }
    return item;
  }

  start(
    { uuid: launchUuid }: OpenLaunch,
    parent: string,
    step: {
      name: string;
      startTime: number;
      retry?: boolean;
      hasStats?: boolean;
    },
  ): Promise<string> {
    return this.#api.startItem({ launchUuid, parent, type: "step", ...step });
  }

  /** Subtests are steps within that of the test. */
  async #nested(reporting: Reporting): Promise<void> {
    const { artifacts } = reporting;
    const own = new OwnResult();
    const step = await this.#startTest(reporting);
    for await (const result of readArtifacts(artifacts)) {
      if (result.status === undefined) continue;
      if (own.take(result) || !this.#wants(reporting, result)) continue;
      await this.#report(
        reporting,
        result,
        () =>
          this.start(reporting.launch, step, {
            name: result.name!,
            startTime: reporting.endTime,
            hasStats: false,
          }),
      );
    }
    await this.#reportOwn(reporting, own, () => Promise.resolve(step));
  }

  /** Subtests are steps beside that of the test. */
  async #flat(reporting: Reporting, separator: string): Promise<void> {
    const { artifacts, test } = reporting;
    const own = new OwnResult();
    for await (const result of readArtifacts(artifacts)) {
      if (result.status === undefined) continue;
      if (own.take(result) || !this.#wants(reporting, result)) continue;
      await this.#report(
        reporting,
        result,
        () =>
          this.#startOnce(reporting, test + separator + result.name, {
            startTime: reporting.endTime,
          }),
      );
    }
    await this.#reportOwn(reporting, own, () => this.#startTest(reporting));
  }

  #wants({ platform, test }: Reporting, result: Result): boolean {
    const { subtest = () => true } = this.#options;
    return subtest({ platform, test, result });
  }

  /** Starts the step of the test, unless it was promised. */
  async #startTest(reporting: Reporting): Promise<string> {
    const { launch, platform, test, startTime, open } = reporting;
    const key = keyOf(platform, test);
    const promised = launch.promised.get(key);
    if (promised === undefined) {
      return await this.#startOnce(reporting, test, { startTime });
    }
    launch.promised.delete(key);
    launch.begun.add(key);
    open.push(promised);
    return promised;
  }

  /** Starts a step beside others; one of this name that was begun before is tried again. */
  async #startOnce(
    { launch, platform, parent, open }: Reporting,
    name: string,
    { startTime }: { startTime: number },
  ): Promise<string> {
    const key = keyOf(platform, name);
    const step = await this.start(launch, parent, {
      name,
      startTime,
      ...(launch.begun.has(key) && { retry: true }),
    });
    launch.begun.add(key);
    open.push(step);
    return step;
  }

  /** The test's own result, or that there is none. */
  #reportOwn(
    reporting: Reporting,
    { status, note, files }: OwnResult,
    start: () => Promise<string>,
  ): Promise<void> {
    return this.#report(
      reporting,
      status === undefined
        ? { status: "infra", note: "The test gave no result for itself", files }
        : { status, ...(note !== undefined && { note }), files },
      start,
    );
  }

  /** Starts a step, sends the files of a result, and finishes it. */
  async #report(
    reporting: Reporting,
    result: Result,
    start: () => Promise<string>,
  ): Promise<void> {
    const { launch, endTime, open } = reporting;
    const item = await start();
    if (!open.includes(item)) open.push(item);
    for (const file of result.files ?? []) {
      await this.#sendFile(reporting, item, result, file);
    }
    await this.#api.finishItem(item, {
      launchUuid: launch.uuid,
      status: statusFor(result.status!),
      description: result.note,
      endTime,
    });
    open.splice(open.indexOf(item), 1);
  }

  async #sendFile(
    { launch, platform, test, artifacts, endTime }: Reporting,
    item: string,
    result: Result,
    name: string,
  ): Promise<void> {
    const {
      file: choose = usualFile,
      maxFileSize: most = MAX_FILE_SIZE,
      onWarning,
    } = this.#options;
    const path = findFile(artifacts, result, name);
    if (path === undefined) {
      onWarning?.(
        `test "${test}" of platform "${platform}": there is no file ${
          JSON.stringify(name)
        }`,
      );
      return;
    }
    const { size } = await Deno.stat(path);
    const choice = choose({ platform, test, result, name, size });
    if (!choice) return;
    const { level = "ERROR", inline = false } = choice;
    const { message, ...more } = readLog(path, name, { inline, most });
    await this.#api.log(
      {
        launchUuid: launch.uuid,
        itemUuid: item,
        time: endTime,
        level,
        message,
      },
      "attachment" in more ? more.attachment : undefined,
    );
  }

  /** Finishes what was begun of a test that could not be reported; that may fail, too. */
  async #interrupt(
    { launch, endTime, open }: Reporting,
  ): Promise<void> {
    for (const item of open.toReversed()) {
      await this.#api.finishItem(item, {
        launchUuid: launch.uuid,
        status: "interrupted",
        description: "The results could not be reported",
        endTime,
      }, { once: true }).catch(() => {});
    }
  }
}

/** What tells tests apart. */
export function keyOf(platform: string, test: string): string {
  return JSON.stringify([platform, test]);
}
