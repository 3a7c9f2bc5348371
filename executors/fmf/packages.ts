/**
 * What tests and plans say about packages.
 */
import { FmfError } from "./metadata/errors.ts";
import { fromPlain, textOf } from "./metadata/value.ts";

/** The key with the packages that a test needs, or with those that it can do without. */
export type PackageKey = "require" | "recommend";

/** The part of discovered tests that {@linkcode allPackages} looks at. */
export interface PackageSource {
  /** Data of the plan. */
  readonly plan: Readonly<Record<string, unknown>>;
  /** Full name of the plan, for messages. */
  readonly planName?: string | undefined;
  /** Files that the data of the plan comes from, for messages. */
  readonly planSources?: readonly string[] | undefined;
  /** Data of the tests, by name. */
  readonly data: ReadonlyMap<string, Readonly<Record<string, unknown>>>;
}

/**
 * The list that a key stands for which takes one value or a list of them:
 * nothing for an absent one or null, otherwise the list, or a list of the one
 * value.
 *
 * @example
 * ```ts
 * import { listOf } from "jsr:@atex/atex/executors/fmf";
 *
 * console.log(listOf("a"), listOf(["a", "b"]), listOf(null)); // ["a"] ["a", "b"] []
 * ```
 */
export function listOf<T>(value: T | readonly T[] | null | undefined): T[] {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? [...value] : [value as T];
}

/**
 * The packages of one test, in order; what is no package, such as a library, is left out.
 *
 * @example
 * ```ts
 * import { packagesOf } from "jsr:@atex/atex/executors/fmf";
 *
 * const test = { require: ["gcc", { type: "library", name: "/file" }] };
 * console.log(packagesOf(test, "require")); // ["gcc"]
 * ```
 */
export function packagesOf(
  test: Readonly<Record<string, unknown>>,
  key: PackageKey,
): string[] {
  return listOf(test[key]).filter((item) => typeof item === "string");
}

/**
 * The packages of all tests, and those that the plan wants to be installed, each
 * once and sorted.
 *
 * @throws {FmfError} of kind `discover` if `prepare` of the plan cannot be used
 *
 * @example
 * ```ts
 * import { allPackages, discover } from "jsr:@atex/atex/executors/fmf";
 *
 * await using tests = await discover("./suite", { plan: "/plans/nightly" });
 * console.log(allPackages(tests, "require"));
 * ```
 */
export function allPackages(tests: PackageSource, key: PackageKey): string[] {
  const names = new Set(planPackages(tests));
  for (const test of tests.data.values()) {
    for (const name of packagesOf(test, key)) names.add(name);
  }
  return [...names].sort();
}

function planPackages({ plan, ...place }: PackageSource): string[] {
  const wrong = (reason: string, value: unknown) =>
    new FmfError("discover", reason, {
      ...(place.planName !== undefined && { node: place.planName }),
      ...(place.planSources && { sources: place.planSources }),
      key: "prepare",
      text: textOf(fromPlain(value)),
    });
  return listOf(plan.prepare).flatMap((item) => {
    if (typeof item !== "object" || item === null || Array.isArray(item)) {
      throw wrong("must be a mapping or a list of mappings", item);
    }
    const { how, package: packages } = item as Record<string, unknown>;
    if (how !== "install") return [];
    return listOf(packages).map((name) => {
      if (typeof name === "string") return name;
      throw wrong('"package" must be text or a list of text', name);
    });
  });
}
