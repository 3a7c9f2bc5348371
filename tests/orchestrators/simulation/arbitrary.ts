import fc from "fast-check";
import type {
  Policy,
  Scenario,
  ScenarioProvisioner,
  ScenarioRemote,
  ScenarioRun,
  ScenarioTest,
} from "./scenario.ts";

const ms = (max: number) => fc.integer({ min: 0, max });

/** Mostly the first one. */
function mostly<T>(usual: T, ...others: T[]): fc.Arbitrary<T> {
  return fc.oneof(
    { weight: 4 * others.length, arbitrary: fc.constant(usual) },
    ...others.map((other) => ({ weight: 1, arbitrary: fc.constant(other) })),
  );
}

const maybe = <T>(arbitrary: fc.Arbitrary<T>) =>
  fc.option(arbitrary, { nil: undefined, freq: 2 });

const seldom = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.oneof(
    { weight: 15, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary },
  );

const testRun: fc.Arbitrary<ScenarioRun> = fc.record({
  ms: ms(100),
  exit: mostly(0, 1, 2),
  throws: mostly<string | undefined>(undefined, "connection lost"),
  noResults: fc.boolean(),
});

const test: fc.Arbitrary<Omit<ScenarioTest, "name">> = fc.record({
  runs: fc.array(testRun, { minLength: 1, maxLength: 3 }),
  priority: maybe(fc.integer({ min: -1, max: 2 })),
  duration: maybe(fc.constantFrom("1m", "5m", "1h")),
  tags: mostly<string[] | undefined>(undefined, ["destructive"]),
  cancelMs: mostly(0, 20, 1_000),
  deaf: seldom(fc.constantFrom("until-cut", "for-ever")),
});

function remote(faults: boolean): fc.Arbitrary<ScenarioRemote> {
  return fc.record({
    readyMs: ms(100),
    setupMs: ms(50),
    releaseMs: ms(30),
    reusable: fc.boolean(),
    ...(faults && {
      fail: mostly<string | undefined>(undefined, "quota exceeded"),
      fatal: seldom(fc.constant(true)),
      setup: mostly<NonNullable<ScenarioRemote["setup"]>>(
        "ok",
        "fail",
        "hang",
        "deaf",
        "factory-throws",
      ),
      release: mostly<NonNullable<ScenarioRemote["release"]>>(
        "ok",
        "fail",
        "hang",
      ),
      lostMs: seldom(ms(200)),
      stop: mostly<NonNullable<ScenarioRemote["stop"]>>("ok", "fail", "hang"),
    }),
  });
}

function provisioner(
  faults: boolean,
): fc.Arbitrary<Omit<ScenarioProvisioner, "name">> {
  return fc.record({
    capacity: fc.oneof(
      { weight: 10, arbitrary: fc.integer({ min: 1, max: 10 }) },
      { weight: 1, arbitrary: fc.constantFrom(0, null) },
    ),
    remotes: fc.array(remote(faults), { maxLength: 3 }),
    then: remote(faults),
  });
}

const policy = fc.constantFrom<Policy[]>(
  "priority",
  "duration",
  "destructive",
  "affinity",
  "destructive-on-fresh",
);

function options(faults: boolean) {
  return fc.record({
    maxSpares: mostly(0, 1, 2, 3),
    maxReruns: mostly(0, 1, 2),
    rerunExitCodes: mostly<"nonzero" | number[]>("nonzero", [1]),
    destructiveExitCodes: mostly<"nonzero" | number[]>("nonzero", [], [1], [
      0,
      1,
    ]),
    policies: fc.uniqueArray(policy, { maxLength: 3 }),
    maxFailedSetups: fc.constantFrom(0, 1, 2, 10),
    maxProvisionFailures: fc.constantFrom(0, 1, 2, 10),
    concurrency: fc.record({
      setup: fc.integer({ min: 1, max: 3 }),
      ingest: fc.integer({ min: 1, max: 3 }),
      release: fc.integer({ min: 1, max: 3 }),
    }),
    releaseTimeoutMs: fc.constantFrom(5, 100),
    setupTimeoutMs: fc.constantFrom(200, 1_000),
    cancelGraceMs: fc.constantFrom(0, 30, 300),
    maxWaitingIngests: maybe(fc.integer({ min: 0, max: 2 })),
    ...(faults && {
      stallTimeoutMs: fc.constantFrom(50, 5_000), // a release that hangs may keep the last place
      invalidNextTestWhenLeft: seldom(fc.integer({ min: 1, max: 5 })),
      policyThrows: seldom(fc.record({
        rule: fc.constantFrom("next", "rerun", "destructive"),
        test: fc.constantFrom("/t0", "/t1", "/t2"),
      })),
    }),
  });
}

const aggregator = fc.record({
  ingestMs: mostly(0, 10, 100),
  fail: mostly<Record<string, number>>({}, { "/t0": 1 }, { "/t1": 2 }),
});

const abort: fc.Arbitrary<Scenario["abort"]> = fc.oneof(
  { weight: 4, arbitrary: fc.constant(undefined) },
  { weight: 1, arbitrary: fc.record({ atMs: ms(400) }) },
  {
    weight: 1,
    arbitrary: fc.record({ afterEvents: fc.integer({ min: 1, max: 80 }) }),
  },
);

const named = <T>(prefix: string, items: T[]) =>
  items.map((item, index) => ({ ...item, name: `${prefix}${index}` }));

/** Any run on one system. */
export const simpleScenarios: fc.Arbitrary<Scenario> = fc.record({
  kind: fc.constant("simple" as const),
  tests: fc.array(test, { minLength: 1, maxLength: 6 })
    .map((tests) => named("/t", tests)),
  provisioners: provisioner(true).map((one) => named("p", [spacious(one)])),
  options: fc.record({
    destructive: fc.boolean(),
    onError: mostly<"stop" | "continue">("stop", "continue"),
    releaseTimeoutMs: fc.constantFrom(5, 100),
    setupTimeoutMs: fc.constantFrom(200, 1_000),
    cancelGraceMs: fc.constantFrom(0, 30, 300),
  }),
  aggregator,
  abort,
});

/** With a place for the next system where one hangs in its release: without a time limit it would be waited for. */
function spacious<T extends Omit<ScenarioProvisioner, "name">>(one: T): T {
  const hangs = [...one.remotes, one.then]
    .some(({ release }) => release === "hang");
  return hangs && one.capacity !== 0 ? { ...one, capacity: null } : one;
}

/** Any run on a pool, most of them with faults of all kinds. */
export const scenarios: fc.Arbitrary<Scenario> = mostly(true, false)
  .chain((faults) =>
    fc.record({
      tests: fc.array(test, { minLength: 1, maxLength: 12 })
        .map((tests) => named("/t", tests)),
      provisioners: fc.array(provisioner(faults), {
        minLength: 1,
        maxLength: 3,
      }).map((provisioners) => named("p", provisioners)),
      options: options(faults),
      aggregator,
      oldAggregator: maybe(aggregator),
      abort,
    }).map((scenario) => ({ kind: "adhoc" as const, ...scenario }))
  );
