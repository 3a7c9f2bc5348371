/** What is reported to ReportPortal, and how. */
import type { Result } from "../executors/results.ts";
import type { ReportPortalApi } from "./_report_portal_api.ts";

/** How a file is sent. */
export interface FileChoice {
  /**
   * Level of the log: `ERROR`, `WARN`, `INFO`, `DEBUG`, `TRACE`.
   *
   * @default {"ERROR"}
   */
  level?: string | undefined;
  /**
   * Whether its text is the log itself; otherwise it is attached to one.
   *
   * @default {false}
   */
  inline?: boolean | undefined;
}

/** A file that a test reported. */
export interface ReportedFile {
  /** The platform. */
  platform: string;
  /** The test. */
  test: string;
  /** The result that it belongs to. */
  result: Result;
  /** Its name, as reported. */
  name: string;
  /** Its size in bytes. */
  size: number;
}

/** Options of {@linkcode ReportPortalAggregator}. */
export interface ReportPortalAggregatorOptions {
  /** The client. */
  api: ReportPortalApi;
  /** Name of the launch, or the id of the one that is run again. */
  launch: string | { rerunOf: string };
  /** Attributes of the launch. */
  attributes?: Readonly<Record<string, string>> | undefined;
  /** Description of the launch. */
  description?: string | undefined;
  /**
   * Makes a step for each subtest, beside those of tests and named `<test><this><subtest>`:
   * for suites with few tests and many subtests, since ReportPortal does not analyse
   * steps that are within others.
   *
   * @default subtests are steps within those of their tests
   */
  joinSubtest?: string | undefined;
  /**
   * Which subtests are reported.
   *
   * @default all
   */
  subtest?:
    | ((
      info: { platform: string; test: string; result: Result },
    ) => boolean)
    | undefined;
  /**
   * Which files are sent, and how.
   *
   * @default those of results with status `fail`, `error` or `infra`; the text of `output.txt`
   * of at most 1 MiB is a log itself, all others are attached
   */
  file?: (file: ReportedFile) => FileChoice | undefined;
  /**
   * How many bytes of a file are sent at most; of a larger one, its end is, and the log says so.
   *
   * @default {33_554_432}
   */
  maxFileSize?: number | undefined;
  /** Told of files that were reported and are not there. */
  onWarning?: ((message: string) => void) | undefined;
}
