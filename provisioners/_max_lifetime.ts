import { checkMilliseconds } from "../options.ts";

/** What fits into the seconds that podman and Kubernetes count, in milliseconds. */
const LONGEST = (2 ** 31 - 1) * 1000;

/**
 * Checks after what time something is ended in any case, in milliseconds.
 *
 * @throws {TypeError} if it is no number
 * @throws {RangeError} if it is not above 0, or too long but not `Infinity`
 */
export function checkMaxLifetime(maxLifetime: number): void {
  checkMilliseconds({ maxLifetime });
  if (maxLifetime <= LONGEST || maxLifetime === Infinity) return;
  throw new RangeError(
    `Cannot use ${maxLifetime} as "maxLifetime": at most ${LONGEST} milliseconds are possible, or Infinity for no limit`,
  );
}
