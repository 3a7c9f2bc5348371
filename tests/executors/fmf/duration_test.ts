import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import {
  DurationLimit,
  durationOf,
  parseDuration,
} from "../../../executors/fmf/duration.ts";
import { thrown } from "../../_thrown.ts";

for (
  const [value, seconds] of [
    ["5m", 300],
    ["300", 300],
    [300, 300],
    [300n, 300],
    [0, 0],
    ["1h30m", 5400],
    ["1h 30m", 5400],
    ["90 s", 90],
    ["5m15m", 1200],
    ["2 1m 4", 66],
    ["2 1m4", 66],
    ["*3 2s *4", 24],
    ["5m *1.5", 450],
    ["5m*1.1", 330],
    ["1s *0.1", 1],
    ["*2", 0],
    ["1d\n", 86400],
  ] as const
) {
  Deno.test(`parseDuration() takes ${JSON.stringify(String(value))} for ${seconds} s`, () => {
    strictEqual(parseDuration(value), seconds * 1000);
  });
}

for (
  const value of [
    "",
    " 5m",
    "5M",
    "-5m",
    "+5m",
    "m",
    "5w",
    "5ms",
    "1.5h",
    "1:30",
    "*",
    "*2m",
    "*1.",
    "*1.2.3",
    "5m,",
    "save",
    true,
    null,
    undefined,
    1.5,
    -1,
    NaN,
    Infinity,
    2 ** 53,
    {},
    [5],
    "9".repeat(400),
    "1".repeat(2000),
  ]
) {
  Deno.test(`parseDuration() refuses ${Deno.inspect(value).slice(0, 20)}`, () => {
    thrown(
      () => parseDuration(value),
      TypeError,
      "is no duration: it must be like",
    );
  });
}

Deno.test("parseDuration() multiplies the base where there are only factors", () => {
  strictEqual(parseDuration("*1.5", 300_000), 450_000);
  strictEqual(parseDuration("1m *2", 300_000), 120_000);
});

const unit = fc.constantFrom("", "s", "m", "h", "d");
const FACTORS: Record<string, number> = {
  "": 1,
  s: 1,
  m: 60,
  h: 3600,
  d: 86400,
};

Deno.test("durationOf() takes five minutes where there is no time, and multiplies them where there are only factors", () => {
  deepStrictEqual(
    [undefined, null, "*2", "*1.5 *2", "2m", 0].map(durationOf),
    [300_000, 300_000, 600_000, 900_000, 120_000, 0],
  );
});

Deno.test("parseDuration() adds all times and multiplies by all factors, in any order", () => {
  fc.assert(fc.property(
    fc.array(fc.tuple(fc.nat(9999), unit), { minLength: 1, maxLength: 5 }),
    fc.array(fc.integer({ min: 0, max: 30 }), { maxLength: 3 }),
    fc.infiniteStream(fc.nat()),
    (times, factors, random) => {
      const items = [
        ...times.map(([n, unit]) => `${n}${unit}`),
        ...factors.map((n) => `*${n / 10}`),
      ];
      const shuffled = items.map((item) => [random.next().value, item] as const)
        .toSorted(([a], [b]) => a - b).map(([, item]) => item);
      const sum = times.reduce((sum, [n, unit]) => sum + n * FACTORS[unit], 0);
      const tenths = factors.reduce(
        (product, n) => product * BigInt(n),
        BigInt(sum),
      );
      const divisor = 10n ** BigInt(factors.length);
      const wanted = Number((tenths + divisor - 1n) / divisor) * 1000;
      strictEqual(parseDuration(shuffled.join(" ")), wanted);
    },
  ));
});

Deno.test("parseDuration() never gives anything but whole seconds or a TypeError", () => {
  const text = fc.string({ unit: fc.constantFrom(..."0159 smhd*.+-\nx٣") });
  fc.assert(fc.property(text, (text) => {
    try {
      const ms = parseDuration(text);
      ok(Number.isSafeInteger(ms) && ms >= 0 && ms % 1000 === 0);
    } catch (error) {
      ok(
        error instanceof TypeError && error.message.includes("is no duration"),
      );
    }
  }));
});

function start(duration: number) {
  let time = 1000;
  const seen: number[] = [];
  const limit = new DurationLimit(duration, {
    now: () => time,
    onChange: ({ remaining }) => seen.push(remaining),
  });
  return { limit, seen, pass: (ms: number) => time += ms };
}

Deno.test("DurationLimit expires when its time is over, not before", () => {
  const { limit, pass } = start(100);
  strictEqual(limit.remaining, 100);
  pass(100);
  strictEqual(limit.remaining, 0);
  pass(1);
  ok(limit.remaining < 0);
  strictEqual(limit.remaining, -1);
});

Deno.test("DurationLimit.set() starts again, increment() and decrement() move the end", () => {
  const { limit, seen, pass } = start(100);
  pass(60);
  limit.set(100);
  strictEqual(limit.remaining, 100);
  limit.increment(50);
  strictEqual(limit.remaining, 150);
  limit.decrement(200);
  ok(limit.remaining < 0);
  deepStrictEqual(seen, [100, 150, -50]);
});

Deno.test("DurationLimit.restore() goes back to what was left at the outermost save()", () => {
  const { limit, pass } = start(100);
  pass(30);
  limit.save();
  limit.set(1000);
  pass(500);
  limit.save();
  limit.decrement(400);
  limit.restore();
  strictEqual(limit.remaining, 100);
  limit.restore();
  strictEqual(limit.remaining, 70);
});

Deno.test("DurationLimit.restore() without save() changes nothing", () => {
  const { limit, seen } = start(100);
  limit.restore();
  strictEqual(limit.remaining, 100);
  limit.save();
  limit.restore();
  limit.restore();
  deepStrictEqual(seen, [100]);
});

Deno.test("DurationLimit.save() does not stop the clock", () => {
  const { limit, pass } = start(100);
  limit.save();
  pass(101);
  ok(limit.remaining < 0);
});

Deno.test("DurationLimit measures real time by itself", () => {
  const limit = new DurationLimit(60_000);
  ok(limit.remaining > 0 && limit.remaining <= 60_000);
});
