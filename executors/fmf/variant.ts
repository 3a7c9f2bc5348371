/**
 * What other kinds of tests need beside those of the Flexible Metadata Format: a
 * few things added to {@linkcode FmfExecutor}.
 */
import type { Reporter } from "./reporter.ts";
import type { WorkDirectory } from "./scripts.ts";

/** What a kind of tests adds to what `FmfExecutor` does. */
export interface Variant {
  /**
   * Packages that are installed when the system has been prepared.
   *
   * @default none
   */
  readonly packages?: {
    /** Without them the system cannot be used. */
    readonly required: readonly string[];
    /** Those that would be good to have. */
    readonly recommended: readonly string[];
  };
  /** Commands for bash that are part of the set-up of each test. */
  setup?(work: WorkDirectory): string;
  /** Variables that win over all others; asked for at each run. */
  environment?(work: WorkDirectory): Readonly<Record<string, string>>;
  /** The exit code of a test that has ended, from its own and what it reported. */
  exitCode?(code: number, reported: Reporter): number;
}
