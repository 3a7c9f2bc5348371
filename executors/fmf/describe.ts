/**
 * A dry listing of discovered tests: what would run, without running it.
 */
import { durationOf } from "./duration.ts";
import { shownUrl } from "./metadata/address.ts";
import { allPackages, listOf, packagesOf } from "./packages.ts";

/** The part of discovered tests that {@linkcode describe} looks at. */
export interface DescribableTests {
  /** Data of the plan. */
  readonly plan: Readonly<Record<string, unknown>>;
  /** Data of the tests, by name. */
  readonly data: ReadonlyMap<string, Readonly<Record<string, unknown>>>;
  /** The directory of each test, relative to the root. */
  readonly sources: ReadonlyMap<string, string>;
  /** What looks wrong. */
  readonly warnings?: readonly { readonly message: string }[] | undefined;
}

/** What is known of a test before it runs. */
export interface TestDescription {
  /** Its name. */
  readonly name: string;
  /** What it is about, if it says so. */
  readonly summary?: string | undefined;
  /** The directory in which it runs, relative to the root of the tests. */
  readonly directory: string;
  /** How long it may take, in milliseconds. */
  readonly duration: number;
  /** Its `extra-priority`; 0 if it has none. */
  readonly priority: number;
  /** Its tags. */
  readonly tags: readonly string[];
  /** Packages that it needs. */
  readonly require: readonly string[];
  /** Packages that it can do without. */
  readonly recommend: readonly string[];
  /** Libraries that it needs: their names, with nick names or addresses. */
  readonly libraries: readonly string[];
  /** Whether it runs on a terminal. */
  readonly tty: boolean;
}

/** What is known of a suite before it runs. */
export interface SuiteDescription {
  /** The tests, in the order in which they were found. */
  readonly tests: readonly TestDescription[];
  /** How long all of them may take one after the other, in milliseconds. */
  readonly duration: number;
  /** Packages that the plan or any test needs, sorted. */
  readonly require: readonly string[];
  /** Packages that the plan or any test would like, sorted. */
  readonly recommend: readonly string[];
  /** What looks wrong. */
  readonly warnings: readonly string[];
}

/**
 * Tells what discovered tests are, for a listing or a decision of the script.
 *
 * @throws {FmfError} of kind `discover` if `prepare` of the plan cannot be used
 * @throws {TypeError} if the `duration` of a test cannot be understood
 *
 * @example
 * ```ts
 * import { describe, discover } from "jsr:@atex/atex/executors/fmf";
 *
 * await using tests = await discover("./suite", { plan: "/plans/nightly" });
 * const suite = describe(tests);
 * for (const { name, duration, tags } of suite.tests) {
 *   console.log(name, `${duration / 60_000} min`, tags.join(" "));
 * }
 * console.log(`at most ${suite.duration / 3_600_000} h one after the other`);
 * ```
 */
export function describe(tests: DescribableTests): SuiteDescription {
  const described = Array.from(
    tests.data,
    ([name, data]) => describeTest(name, data, tests.sources.get(name) ?? "."),
  );
  return {
    tests: described,
    duration: described.reduce((sum, { duration }) => sum + duration, 0),
    require: allPackages(tests, "require"),
    recommend: allPackages(tests, "recommend"),
    warnings: (tests.warnings ?? []).map(({ message }) => message),
  };
}

function describeTest(
  name: string,
  data: Readonly<Record<string, unknown>>,
  directory: string,
): TestDescription {
  const { summary, "extra-priority": priority } = data;
  return {
    name,
    ...(typeof summary === "string" && { summary }),
    directory,
    duration: durationIn(name, data.duration),
    priority: typeof priority === "number" ? priority : 0,
    tags: listOf(data.tag).map(String),
    require: packagesOf(data, "require"),
    recommend: packagesOf(data, "recommend"),
    libraries: listOf(data.require).flatMap(libraryName),
    tty: data.tty === true,
  };
}

function durationIn(test: string, duration: unknown): number {
  try {
    return durationOf(duration);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new TypeError(`Cannot describe test "${test}": ${reason}`, { cause });
  }
}

/** What a requirement calls the library that it is, if it is one. */
function libraryName(requirement: unknown): string[] {
  if (typeof requirement !== "object" || requirement === null) return [];
  const { type = "library", nick, url, path, name = "/" } =
    requirement as Record<string, unknown>;
  if (type !== "library") return [];
  const address = typeof url === "string" ? shownUrl(url) : url;
  const where = nick ?? address ?? path;
  return [where === undefined ? String(name) : `${where}${name}`];
}
