/**
 * Tests of the Flexible Metadata Format: finding them ({@linkcode discover}) and
 * running them on a system ({@linkcode FmfExecutor}).
 *
 * @example Run the tests of a plan on this machine
 * ```ts
 * import { LocalConnection } from "jsr:@atex/atex/connections/local";
 * import { discover, FmfExecutor } from "jsr:@atex/atex/executors/fmf";
 *
 * await using tests = await discover("./suite", { plan: "/plans/nightly" });
 * await using here = await LocalConnection.open();
 * await using executor = await new FmfExecutor(here, { tests }).start();
 * const artifacts = await Deno.makeTempDir();
 * const code = await executor.runTest("/smoke", artifacts, {
 *   signal: AbortSignal.timeout(600_000),
 * });
 * console.log(code, artifacts);
 * ```
 *
 * @module
 */
export * from "./discover.ts";
export * from "./describe.ts";
export {
  FmfExecutor,
  type FmfExecutorOptions,
  type RunnableTests,
} from "./executor.ts";
export { parseDuration } from "./duration.ts";
export type { FmfExecutorEvent } from "./_events.ts";
export type { ReportLimits } from "./reporter.ts";
export {
  allPackages,
  listOf,
  type PackageKey,
  packagesOf,
  type PackageSource,
} from "./packages.ts";
// What the signatures above name; `fmf` has all of it.
export { Context, type ContextValues } from "./metadata/context.ts";
export {
  FmfError,
  type FmfErrorKind,
  type FmfErrorPlace,
} from "./metadata/errors.ts";
export type { FetchOptions } from "./metadata/fetch.ts";
export type { FmfIdentifier } from "./metadata/identifier.ts";
export type { Condition, ConditionText } from "./metadata/select.ts";
export { type FmfWarning, Tree } from "./metadata/tree.ts";
