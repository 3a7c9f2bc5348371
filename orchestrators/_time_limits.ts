/** How long orchestrators wait for what others do. */

import type { Known } from "../options.ts";

/** How long an orchestrator waits for what others do, in milliseconds; `Infinity` is for ever. */
export interface TimeLimits {
  /**
   * Longest time of a setup; after that it counts as failed.
   *
   * @default {1_800_000}
   */
  setupTimeout?: number;
  /**
   * Longest time in which the aggregator takes over the results of a test; after that
   * they count as not stored, and stay where they are. What the aggregator makes of them
   * after all is not seen any more, unless a later run asks it.
   *
   * @default {1_800_000}
   */
  ingestTimeout?: number;
  /**
   * Longest time of a release; after that it counts as failed and is not waited
   * for any more.
   *
   * @default {300_000}
   */
  releaseTimeout?: number;
  /**
   * How long an executor that was told to end may go on before its connection is
   * cut; after the same time once more it is given up.
   *
   * @default {30_000}
   */
  cancelGrace?: number;
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
 * @throws {RangeError} if a value cannot be used
 */
export function timeLimits(
  {
    setupTimeout = DEFAULTS.setupTimeout,
    ingestTimeout = DEFAULTS.ingestTimeout,
    releaseTimeout = DEFAULTS.releaseTimeout,
    cancelGrace = DEFAULTS.cancelGrace,
  }: TimeLimits,
): Required<TimeLimits> {
  checkNumbers(
    { setupTimeout, ingestTimeout, releaseTimeout },
    (value) => value > 0,
    "a number of milliseconds above 0, or Infinity",
  );
  checkNumbers(
    { cancelGrace },
    (value) => value >= 0,
    "a number of milliseconds of at least 0, or Infinity",
  );
  return { setupTimeout, ingestTimeout, releaseTimeout, cancelGrace };
}

/**
 * Checks values of options.
 *
 * @throws {RangeError} if one is not right
 */
export function checkNumbers(
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
