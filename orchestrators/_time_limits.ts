/** How long orchestrators wait for what others do. */

import { checkMilliseconds, type Known } from "../options.ts";

/** How long an orchestrator waits for what others do; `Infinity` is for ever. */
export interface TimeLimits {
  /**
   * Longest time of a setup, in milliseconds; after that it counts as failed.
   *
   * @default {1_800_000}
   */
  setupTimeout?: number | undefined;
  /**
   * Longest time, in milliseconds, in which the aggregator takes over the results of a
   * test; after that they count as not stored, and stay where they are. What the
   * aggregator makes of them after all is not seen any more, unless a later run asks it.
   *
   * @default {1_800_000}
   */
  ingestTimeout?: number | undefined;
  /**
   * Longest time of a release, in milliseconds; after that it counts as failed and is
   * not waited for any more.
   *
   * @default {300_000}
   */
  releaseTimeout?: number | undefined;
  /**
   * How long, in milliseconds, an executor that was told to end may go on before its
   * connection is cut; after the same time once more it is given up.
   *
   * @default {30_000}
   */
  cancelGrace?: number | undefined;
}

/** All of them. */
export const TIME_LIMIT_OPTIONS: Known<TimeLimits> = {
  setupTimeout: "optional",
  ingestTimeout: "optional",
  releaseTimeout: "optional",
  cancelGrace: "optional",
};

const DEFAULTS: Readonly<Required<TimeLimits>> = {
  setupTimeout: 30 * 60_000,
  ingestTimeout: 30 * 60_000,
  releaseTimeout: 5 * 60_000,
  cancelGrace: 30_000,
};

/**
 * Fills in what is not given.
 *
 * @throws {TypeError} if a time is no number
 * @throws {RangeError} if a time is not above 0; `cancelGrace` may be 0
 */
export function timeLimits(
  {
    setupTimeout = DEFAULTS.setupTimeout,
    ingestTimeout = DEFAULTS.ingestTimeout,
    releaseTimeout = DEFAULTS.releaseTimeout,
    cancelGrace = DEFAULTS.cancelGrace,
  }: TimeLimits,
): Required<TimeLimits> {
  checkMilliseconds({ setupTimeout, ingestTimeout, releaseTimeout });
  checkMilliseconds({ cancelGrace }, { orZero: true });
  return { setupTimeout, ingestTimeout, releaseTimeout, cancelGrace };
}
