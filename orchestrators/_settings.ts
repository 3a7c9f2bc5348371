import type { Aggregator } from "../aggregators/aggregator.ts";
import { normalisePath } from "../executors/results.ts";
import {
  checkKind,
  checkMilliseconds,
  checkOptions,
  type Known,
  pathOf,
} from "../options.ts";
import type { Provisioner } from "../provisioners/provisioner.ts";
import type {
  DestructiveRule,
  ExecutorFactory,
  NextRule,
  RerunRule,
} from "./orchestrator.ts";
import {
  TIME_LIMIT_OPTIONS,
  type TimeLimits,
  timeLimits,
} from "./_time_limits.ts";

/** How much of a kind may be under way at once. */
export interface Concurrency {
  /**
   * Setups.
   *
   * @default {10}
   */
  setup?: number | undefined;
  /**
   * Results being stored. While 100 more wait for their turn, no further test is
   * started, so that artifacts do not fill the disk of a run whose aggregator is slow.
   *
   * @default {4}
   */
  ingest?: number | undefined;
  /**
   * Systems being given back.
   *
   * @default {10}
   */
  release?: number | undefined;
}

/** Options of `AdHocOrchestrator`. All times are in milliseconds. */
export interface AdHocOptions extends TimeLimits {
  /** Label of what is tested, for the results: `fedora-42@x86_64`. */
  platform: string;
  /** Names of the tests, in the order in which they are to run. */
  tests: Iterable<string>;
  /**
   * Started sources of systems. Whoever started them stops them. Runs at the same time
   * need different ones; one after the other may have the same.
   */
  provisioners: Iterable<Provisioner>;
  /** Makes what runs tests on a system. */
  executor: ExecutorFactory;
  /** Started collector of results. Whoever started it stops it. */
  aggregator: Aggregator;
  /**
   * Started collector of results of attempts that were followed by a rerun. If a test can
   * run again more than once, it needs `allowDuplicate: true`.
   *
   * @default none: these results are removed
   */
  earlier?: Aggregator | undefined;
  /**
   * Rules that choose the next test for a system, one or several that are
   * applied in order (see `orchestrators/policies`).
   *
   * @default the order of `tests`
   */
  next?: NextRule | readonly NextRule[] | undefined;
  /**
   * Decides whether a test that failed is run once more.
   *
   * @default never
   */
  rerun?: RerunRule | undefined;
  /**
   * Decides whether a test left its system unusable. An error of the executor
   * always does.
   *
   * @default `({ exitCode }) => exitCode !== 0`
   */
  destructive?: DestructiveRule | undefined;
  /**
   * How many systems are held set up and unused while tests run, so that a
   * rerun or a test after a destructive one does not wait for a new system.
   *
   * @default {0}
   */
  maxSpares?: number | undefined;
  /**
   * How many setups may fail in the whole run; one more ends it.
   *
   * @default {10}
   */
  maxFailedSetups?: number | undefined;
  /**
   * How many reservations of each provisioner may fail; after one more nothing
   * is asked of it any more.
   *
   * @default {10}
   */
  maxProvisionFailures?: number | undefined;
  /** How much may be under way at once. Tests are bounded by the systems, and by results that wait to be stored. */
  concurrency?: Concurrency | undefined;
  /**
   * The run ends if for so many milliseconds nothing runs, is set up or is delivered
   * although tests are left.
   *
   * @default {Infinity}
   */
  stallTimeout?: number | undefined;
  /**
   * Existing or new directory below which each run makes a directory of its own
   * for artifacts that are not stored yet.
   *
   * @default the directory for temporary files; with a journal, its directory
   */
  artifacts?: string | URL | undefined;
  /**
   * File in which the run notes what it does, so that the same script, started
   * again after it was killed or aborted, goes on instead of beginning anew:
   *
   * - Tests whose results are stored are neither run nor stored again.
   * - Tests that had ended are stored, unless the host was restarted since (which
   *   is known on Linux, with `--allow-read`) or their artifacts are gone.
   * - All others are run. An attempt that was interrupted counts as one: the next
   *   one has the next number, rules such as `reruns(2)` see that, and aggregators
   *   are told of it in `earlier`. So a test runs at most as often as the rules
   *   allow, and once more for each interruption.
   *
   * For that the aggregator must be able to go on with what it has stored, too (as
   * `JsonLinesAggregator` with `existing: "continue"`). One that has no `count()` can be
   * given a test twice if the script was killed while it took it. When all is
   * stored, another start has nothing to do.
   *
   * The run ends with an error of kind `JournalFailed` if the journal is of other
   * tests, of another platform or version, in use by another run, or cannot be
   * written; in the last case what runs comes to its end and is stored.
   *
   * @default none: a run that is killed is lost
   */
  journal?: string | URL | undefined;
}

const OPTIONS: Known<AdHocOptions> = {
  ...TIME_LIMIT_OPTIONS,
  platform: "a string",
  tests: "a list",
  provisioners: "a list",
  executor: "a function",
  aggregator: "an aggregator",
  earlier: "optional",
  next: "optional",
  rerun: "optional",
  destructive: "optional",
  maxSpares: "optional",
  maxFailedSetups: "optional",
  maxProvisionFailures: "optional",
  concurrency: "optional",
  stallTimeout: "optional",
  artifacts: "optional",
  journal: "optional",
};

const CONCURRENCY_OPTIONS: Known<Concurrency> = {
  setup: "optional",
  ingest: "optional",
  release: "optional",
};

type Listed = "tests" | "provisioners" | "next" | "concurrency";
type Optional = "earlier" | "artifacts" | "journal";

/** Options in full. */
export interface Settings
  extends
    Readonly<Required<Omit<AdHocOptions, Listed | Optional>>>,
    Readonly<Pick<AdHocOptions, Exclude<Optional, "journal">>> {
  /** A path. */
  readonly journal?: string;
  readonly tests: readonly string[];
  readonly provisioners: readonly Provisioner[];
  readonly next: readonly NextRule[];
  readonly concurrency: Readonly<Required<Concurrency>>;
}

const whole = (value: number) => Number.isInteger(value) && value >= 0;

/**
 * Checks options and fills in what is not given.
 *
 * @throws {RangeError} if a value cannot be used
 * @throws {TypeError} if something is missing, misspelt or of the wrong kind, or there is a journal although an aggregator cannot go on
 */
export function settingsOf(options: AdHocOptions): Settings {
  checkOptions("AdHocOrchestrator", options, OPTIONS);
  const { concurrency = {}, next = [] } = options;
  const within = '"concurrency" of AdHocOrchestrator';
  checkOptions(within, concurrency, CONCURRENCY_OPTIONS);
  const settings: Settings = {
    rerun: () => false,
    destructive: ({ exitCode }) => exitCode !== 0,
    maxSpares: 0,
    maxFailedSetups: 10,
    maxProvisionFailures: 10,
    stallTimeout: Infinity,
    ...given({ ...options, journal: undefined }),
    ...timeLimits(options),
    ...(options.journal !== undefined && {
      journal: journalOf(options.journal),
    }),
    tests: testNames("AdHocOrchestrator", options.tests),
    provisioners: distinct(options.provisioners),
    next: typeof next === "function" ? [next] : [...next],
    concurrency: { setup: 10, ingest: 4, release: 10, ...given(concurrency) },
  };
  platformName(settings.platform);
  functions({
    destructive: settings.destructive,
    rerun: settings.rerun,
  });
  for (const rule of settings.next) functions({ next: rule });
  if (settings.earlier !== undefined) {
    checkKind(
      "AdHocOrchestrator",
      "earlier",
      settings.earlier,
      "an aggregator",
    );
    takesReruns(settings);
  }
  if (settings.journal !== undefined) goesOn(settings);
  const { maxSpares, maxFailedSetups, maxProvisionFailures, stallTimeout } =
    settings;
  checkNumbers({ maxSpares }, whole, "an integer of at least 0");
  checkNumbers(
    { maxFailedSetups, maxProvisionFailures },
    (value) => whole(value) || value === Infinity,
    "an integer of at least 0, or Infinity",
  );
  checkNumbers(
    { ...settings.concurrency },
    (value) => whole(value) && value > 0,
    "an integer of at least 1",
    "concurrency.",
  );
  checkMilliseconds({ stallTimeout });
  return settings;
}

/**
 * Checks values of options.
 *
 * @throws {RangeError} if one is not right
 */
function checkNumbers(
  values: Readonly<Record<string, number>>,
  isRight: (value: number) => boolean,
  right: string,
  prefix = "",
): void {
  for (const [name, value] of Object.entries(values)) {
    if (typeof value === "number" && isRight(value)) continue;
    throw new RangeError(
      `Cannot run tests: "${prefix}${name}" is ${
        Deno.inspect(value)
      }, it must be ${right}`,
    );
  }
}

function journalOf(journal: string | URL): string {
  if (journal !== "") return pathOf(journal);
  throw new RangeError('Cannot run tests: "journal" is empty');
}

/** A run that is to survive its process needs aggregators that do. */
function goesOn(
  { aggregator, earlier }: Pick<Settings, Optional | "aggregator">,
) {
  for (const [name, one] of Object.entries({ aggregator, earlier })) {
    if (one?.continues !== false) continue;
    throw new TypeError(
      `Cannot run tests: with a "journal", the "${name}" must be able to go on with what it has: existing: "continue" would be right; for a Tally or a GitHubAggregator stored: readResults(…), and for an HTML report that and existing: "replace"`,
    );
  }
}

/** What a test can be stored in more than once has to take that. */
function takesReruns(
  { rerun: { limit = 0 }, aggregator, earlier }: Pick<
    Settings,
    "rerun" | "aggregator" | "earlier"
  >,
) {
  const isBoth = earlier === aggregator;
  if (earlier?.allowDuplicate !== false || limit < (isBoth ? 1 : 2)) return;
  const how = isBoth
    ? 'what is "earlier" and the "aggregator", too, is given a test that runs again more than once'
    : `with up to ${limit} reruns, "earlier" is given a test more than once`;
  throw new TypeError(
    `Cannot run tests: ${how}: allowDuplicate: true would be right for it`,
  );
}

/** Without what is given as undefined. */
function given<T extends object>(options: T): T {
  return Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  ) as T;
}

/**
 * Checks the names of tests.
 *
 * @throws {RangeError} if there are none, or one is there twice
 * @throws {TypeError} if one is not a string
 */
export function testNames(of: string, tests: Iterable<string>): string[] {
  const names = [...tests];
  if (names.length === 0) {
    throw new RangeError('Cannot run tests: "tests" is empty');
  }
  const other = names.findIndex((name) => typeof name !== "string");
  if (other !== -1) checkKind(of, `tests[${other}]`, names[other], "a string");
  const seen = new Set(names);
  if (seen.size < names.length) {
    const twice = names.find((name) => !seen.delete(name));
    throw new RangeError(
      `Cannot run tests: "tests" holds "${twice}" more than once`,
    );
  }
  return names;
}

/**
 * Checks the label of what is tested.
 *
 * @throws {RangeError} if it is empty
 */
export function platformName(platform: string): string {
  if (!platform) {
    throw new RangeError('Cannot run tests: "platform" is empty');
  }
  if (normalisePath(platform) === "") {
    throw new RangeError(
      `Cannot run tests: the "platform" ${
        JSON.stringify(platform)
      } makes no directory; a label such as "fedora-42@x86_64" would be right`,
    );
  }
  return platform;
}

/** Scripts run without a check of their types unless it is asked for. */
function functions(options: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(options)) {
    if (typeof value === "function") continue;
    throw new TypeError(
      `Cannot run tests: "${name}" is ${
        Deno.inspect(value)
      }, it must be a function`,
    );
  }
}

function distinct(provisioners: Iterable<Provisioner>): Provisioner[] {
  const list = [...provisioners];
  for (const [index, one] of list.entries()) {
    const name = `provisioners[${index}]`;
    checkKind("AdHocOrchestrator", name, one, "a provisioner");
  }
  if (list.length === 0) {
    throw new RangeError('Cannot run tests: "provisioners" is empty');
  }
  const twice = list.find((one, index) => list.indexOf(one) !== index);
  if (twice) {
    throw new RangeError(
      `Cannot run tests: "provisioners" holds ${twice.name} more than once`,
    );
  }
  return list;
}
