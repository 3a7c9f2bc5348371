/**
 * Checks options that are times.
 *
 * @throws {RangeError} if one is no positive number of milliseconds
 */
export function checkMilliseconds(
  times: Readonly<Record<string, number>>,
): void {
  for (const [name, ms] of Object.entries(times)) {
    if (typeof ms === "number" && ms > 0) continue;
    throw new RangeError(
      `Cannot use ${
        Deno.inspect(ms)
      } as "${name}": it must be a positive number of milliseconds`,
    );
  }
}
