/** How long tests take: as in the metadata of a suite, and made up. Times are in minutes. */

/** How many tests of a public suite of 253 have which time limit. */
const LIMITS: Record<number, number> = {
  10: 5,
  15: 5,
  30: 133,
  60: 73,
  120: 36,
  240: 1,
};

/** Numbers from 0 to 1, the same each time. */
export function* randomNumbers(seed = 1): Generator<number, never> {
  for (let state = seed;;) {
    state = state + 0x6D2B79F5 | 0;
    let mixed = Math.imul(state ^ state >>> 15, 1 | state);
    mixed = mixed + Math.imul(mixed ^ mixed >>> 7, 61 | mixed) ^ mixed;
    yield ((mixed ^ mixed >>> 14) >>> 0) / 2 ** 32;
  }
}

/** The time limits of that suite, in an order that has nothing to do with them. */
export function suiteDurations(): Map<string, number> {
  const durations = Object.entries(LIMITS).flatMap(([minutes, count]) =>
    Array.from({ length: count }, () => Number(minutes))
  );
  const random = randomNumbers();
  for (let i = durations.length - 1; i > 0; i--) {
    const j = Math.floor(random.next().value * (i + 1));
    [durations[i], durations[j]] = [durations[j], durations[i]];
  }
  return named(durations);
}

/** Most tests are short and a few are very long: 1 minute to 6 hours. */
export function heavyTailed(count: number): Map<string, number> {
  const random = randomNumbers(2);
  return named(Array.from(
    { length: count },
    () => Math.min(360, Math.pow(1 - random.next().value, -1 / 1.3)),
  ));
}

/** Every test takes a part of its time, which nobody knows before. */
export function shortened(
  limits: ReadonlyMap<string, number>,
): Map<string, number> {
  const random = randomNumbers(3);
  return new Map(
    [...limits].map(([test, minutes]) =>
      [test, minutes * (0.2 + 0.8 * random.next().value)] as const
    ),
  );
}

const named = (durations: readonly number[]) =>
  new Map(durations.map((minutes, i) => [`/t${i}`, minutes]));
