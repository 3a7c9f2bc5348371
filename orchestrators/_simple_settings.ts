import type { Aggregator } from "../aggregators/aggregator.ts";
import { checkOptions, type Known } from "../options.ts";
import type { Provisioner } from "../provisioners/provisioner.ts";
import type { ExecutorFactory } from "./orchestrator.ts";
import { platformName, testNames } from "./_settings.ts";
import {
  TIME_LIMIT_OPTIONS,
  type TimeLimits,
  timeLimits,
} from "./_time_limits.ts";

/** Options of `SimpleOrchestrator`. All times are in milliseconds. */
export interface SimpleOptions extends TimeLimits {
  /** Label of what is tested, for the results: `fedora-42@x86_64`. */
  platform: string;
  /** Names of the tests, in the order in which they run. */
  tests: Iterable<string>;
  /**
   * A started source of systems. Whoever started it stops it. Runs at the same time need
   * different ones; one after the other may have the same.
   */
  provisioner: Provisioner;
  /** Makes what runs tests on a system. */
  executor: ExecutorFactory;
  /** A started collector of results. Whoever started it stops it. */
  aggregator: Aggregator;
  /**
   * Take a new system for every test.
   *
   * @default {false}
   */
  destructive?: boolean | undefined;
  /**
   * What to do when a test could not be carried out: end the run, or store that,
   * replace the system and go on.
   *
   * @default {"stop"}
   */
  onError?: "stop" | "continue" | undefined;
  /**
   * Existing or new directory below which each run makes a directory of its own
   * for artifacts that are not stored yet.
   *
   * @default the directory for temporary files
   */
  artifacts?: string | URL | undefined;
}

const OPTIONS: Known<SimpleOptions> = {
  ...TIME_LIMIT_OPTIONS,
  platform: "a string",
  tests: "a list",
  provisioner: "a provisioner",
  executor: "a function",
  aggregator: "an aggregator",
  destructive: "optional",
  onError: ["stop", "continue"],
  artifacts: "optional",
};

/** Options in full. */
export interface SimpleSettings
  extends
    Readonly<Required<Omit<SimpleOptions, "tests" | "artifacts">>>,
    Readonly<Pick<SimpleOptions, "artifacts">> {
  readonly tests: readonly string[];
}

/**
 * Checks options and fills in what is not given.
 *
 * @throws {RangeError} if a value cannot be used
 * @throws {TypeError} if something is missing, misspelt or of the wrong kind
 */
export function simpleSettings(options: SimpleOptions): SimpleSettings {
  checkOptions("SimpleOrchestrator", options, OPTIONS);
  const { destructive = false, onError = "stop" } = options;
  return {
    ...options,
    ...timeLimits(options),
    destructive,
    onError,
    platform: platformName(options.platform),
    tests: testNames("SimpleOrchestrator", options.tests),
  };
}
