/** The longest time that a timer of the platform can take, in milliseconds. */
export const LONGEST_TIMER = 2 ** 31 - 1;

/**
 * Calls a function after so many milliseconds; where that is more than 24 days,
 * `Infinity` for example, never.
 */
export function armTimer(
  ms: number,
  call: () => void,
): ReturnType<typeof setTimeout> | undefined {
  return ms > LONGEST_TIMER ? undefined : setTimeout(call, ms);
}
