import {
  deepStrictEqual as equal,
  match,
  ok,
  rejects,
  throws,
} from "node:assert/strict";
import { basename } from "node:path";
import type { IngestInfo } from "../../aggregators/aggregator.ts";
import { KEPT } from "../../connections/ownership.ts";
import {
  type AdHocOptions,
  AdHocOrchestrator,
} from "../../orchestrators/adhoc.ts";
import type {
  Run,
  RunEvent,
  RunSummary,
} from "../../orchestrators/orchestrator.ts";
import { reruns } from "../../orchestrators/policies.ts";
import { withDirectory } from "../_directory.ts";
import { incomplete } from "./_incomplete.ts";
import {
  PretendedAggregator,
  PretendedExecutor,
  PretendedPool,
  PretendedRemote,
  StoppedPool,
  untilAborted,
} from "./_pretend.ts";

type Work = ConstructorParameters<typeof PretendedExecutor>[1];

/** Options for a run of which only something matters. */
function options(
  { work, ...others }: Partial<AdHocOptions> & { work?: Work },
): AdHocOptions {
  return {
    platform: "here",
    tests: ["/a", "/b", "/c"],
    provisioners: [new PretendedPool()],
    executor: (remote) => new PretendedExecutor(remote, work),
    aggregator: new PretendedAggregator(),
    ...others,
  };
}

async function eventsOf(run: Run): Promise<RunEvent[]> {
  return await Array.fromAsync(run);
}

/** A directory of one's own, which must be empty at the end. */
async function withEmptyDirectory(
  use: (directory: string) => Promise<void>,
): Promise<void> {
  await withDirectory(async (directory) => {
    await use(directory);
    equal([...Deno.readDirSync(directory)], []);
  });
}

Deno.test("AdHocOrchestrator runs every test and gives every system back", async () => {
  const pool = new PretendedPool({ maxRemotes: 2 });
  const aggregator = new PretendedAggregator();
  const work = (test: string) => test === "/b" ? 3 : 0;
  const run = new AdHocOrchestrator(
    options({ provisioners: [pool], aggregator, work }),
  ).run();
  const [summary, events] = await Promise.all([run.finished, eventsOf(run)]);
  const { ingested, startedAt, finishedAt, ...counts } = summary;
  equal(counts, {
    platform: "here",
    tests: 3,
    passed: 2,
    failed: 1,
    flaky: 0,
    earlier: [],
    notRun: [],
    ingestErrors: [],
    releaseErrors: [],
    handedOut: pool.remotes.length,
    systems: pool.remotes.length,
    released: pool.remotes.length,
    setups: counts.setups,
    reruns: 0,
  });
  equal([...ingested.keys()].sort(), ["/a", "/b", "/c"]);
  equal(ingested.get("/b")?.exitCode, 3);
  equal(aggregator.tests.length, 3);
  equal(pool.reasons.length, pool.remotes.length);
  ok(startedAt <= finishedAt);
  equal(events[0].type, "run-started");
  equal(events.at(-1)?.type, "run-finished");
  ok(events.every(({ time }, i) => i === 0 || time >= events[i - 1].time));
  equal(run.status, {
    tests: 3,
    queued: 0,
    running: 0,
    done: 3,
    failed: 1,
    reruns: 0,
    requested: 0,
    settingUp: 0,
    spares: 0,
  });
});

Deno.test("run() can be called once", async () => {
  const orchestrator = new AdHocOrchestrator(options({}));
  const run = orchestrator.run();
  throws(() => orchestrator.run(), {
    name: "TypeError",
    message: "Cannot run tests: run() was called before",
  });
  await run.finished;
});

Deno.test("run() does nothing before the caller has had a chance to listen", async () => {
  const pool = new PretendedPool();
  const run = new AdHocOrchestrator(options({ provisioners: [pool] })).run();
  for (let i = 0; i < 100; i++) await Promise.resolve();
  equal(pool.asked, 0);
  equal((await eventsOf(run))[0].type, "run-started");
});

Deno.test("each iteration of a run is a subscription of its own, from then on", async () => {
  const run = new AdHocOrchestrator(options({})).run();
  const late: RunEvent[][] = [];
  const listening: Promise<unknown>[] = [];
  const all: RunEvent[] = [];
  for await (const event of run) {
    all.push(event);
    if (all.length % 3 === 0) {
      const events: RunEvent[] = [];
      late.push(events);
      listening.push((async () => {
        for await (const event of run) events.push(event);
      })());
    }
  }
  await Promise.all(listening);
  ok(late.length > 3);
  for (const events of late) {
    ok(events.length < all.length);
    equal(events, all.slice(all.length - events.length));
  }
  equal(await eventsOf(run), [], "a run that is over has no further events");
});

Deno.test("leaving an iteration of a run leaves the run and other iterations alone", async () => {
  const run = new AdHocOrchestrator(options({})).run();
  const all = eventsOf(run);
  for await (const event of run) {
    if (event.type === "test-started") break;
  }
  const iterator = run[Symbol.asyncIterator]();
  equal(await iterator.return!(), { done: true, value: undefined });
  equal(await iterator.next(), { done: true, value: undefined });
  equal((await run.finished).passed, 3);
  equal((await all).at(-1)?.type, "run-finished");
});

Deno.test("a run that fails disturbs nobody who does not wait for it", async () => {
  const run = new AdHocOrchestrator(
    options({ provisioners: [new StoppedPool()] }),
  ).run();
  const events = await eventsOf(run); // an unhandled rejection would fail this test
  const last = events.at(-1);
  equal(last?.type === "run-finished" && last.kind, "NoRemotes");
});

Deno.test("a provisioner that always has a system is asked for no more than are needed", async () => {
  let made = 0;
  const pool = new PretendedPool({ maxRemotes: Infinity });
  pool.getRemote = () => {
    const remote = new PretendedRemote(`pool#${++made}`, false, () => {});
    return Promise.resolve(remote);
  };
  const gate = Promise.withResolvers<void>();
  const run = new AdHocOrchestrator(options({
    tests: ["/a", "/b"],
    provisioners: [pool],
    work: async () => {
      await gate.promise;
      return 0;
    },
  })).run();
  setTimeout(gate.resolve, 20); // it would have made hundreds
  equal([(await run.finished).handedOut, made], [2, 2]);
});

Deno.test("a provisioner that was stopped is not asked again", async () => {
  const run = new AdHocOrchestrator(
    options({ provisioners: [new StoppedPool()] }),
  ).run();
  const error = await incomplete(run);
  equal(error.kind, "NoRemotes");
  equal(
    error.message,
    'Cannot complete the run on "here": no provisioner can supply systems (pool: pool was stopped); 3 of 3 tests were not run',
  );
  equal((error.cause as Error).name, "ProvisionerStoppedError");
  equal(error.summary.notRun, ["/a", "/b", "/c"]);
});

Deno.test("a run without systems leaves no timer, which would hold the script", async () => {
  const { setTimeout, clearTimeout } = globalThis;
  const timers = new Set<unknown>();
  Object.assign(globalThis, {
    setTimeout: (...args: Parameters<typeof setTimeout>) => {
      const timer = setTimeout(...args);
      timers.add(timer);
      return timer;
    },
    clearTimeout: (timer: ReturnType<typeof setTimeout>) => {
      timers.delete(timer);
      clearTimeout(timer);
    },
  });
  try {
    const pool = new StoppedPool();
    pool.provision = (() => {}) as never;
    const { getRemote } = pool;
    pool.getRemote = async () => {
      await new Promise((resolve) => setTimeout(resolve, 1)); // it is waited for
      return await getRemote.apply(pool);
    };
    const run = new AdHocOrchestrator(options({ provisioners: [pool] })).run();
    equal((await incomplete(run)).kind, "NoRemotes");
  } finally {
    Object.assign(globalThis, { setTimeout, clearTimeout });
  }
  equal([...timers], []);
});

Deno.test("disposing of a run ends its tests and waits for its end", async () => {
  const pool = new PretendedPool({ maxRemotes: 2 });
  let ended = 0;
  let run: Run;
  {
    await using inner = new AdHocOrchestrator(options({
      provisioners: [pool],
      work: (_test, _artifacts, { signal }) =>
        untilAborted(signal).finally(() => ended++),
    })).run();
    run = inner;
    for await (const { type } of run) if (type === "test-started") break;
  }
  ok(ended > 0);
  equal(pool.reasons.length, pool.remotes.length);
  const error = await incomplete(run);
  equal(error.kind, "Aborted");
  equal((error.cause as Error).message, "disposed");
  await run[Symbol.asyncDispose]();
});

Deno.test("disposing of a run before it begins asks nobody for anything", async () => {
  const pool = new PretendedPool();
  const run = new AdHocOrchestrator(options({ provisioners: [pool] })).run();
  const events = eventsOf(run);
  await run[Symbol.asyncDispose]();
  equal(pool.asked, 0);
  equal((await events).map(({ type }) => type), [
    "run-started",
    "aborting",
    "run-finished",
  ]);
});

Deno.test("disposing of a run that is over changes nothing", async () => {
  const run = new AdHocOrchestrator(options({})).run();
  await run.finished;
  await run[Symbol.asyncDispose]();
  equal((await run.finished).passed, 3);
});

Deno.test("an abort ends a run with the reason as its cause", async () => {
  const abort = new AbortController();
  const reason = new Error("enough");
  const run = new AdHocOrchestrator(options({
    work: (test, _artifacts, { signal }) => {
      if (test === "/a") return 0;
      abort.abort(reason);
      return untilAborted(signal);
    },
    provisioners: [new PretendedPool({ maxRemotes: 1 })],
  })).run(abort);
  const error = await incomplete(run);
  equal(error.kind, "Aborted");
  equal(error.cause, reason);
  equal(
    error.message,
    'Cannot complete the run on "here": the run was aborted; 2 of 3 tests were not run',
  );
  equal([...error.summary.ingested.keys()], ["/a"]);
  equal(error.summary.notRun, ["/b", "/c"]);
});

Deno.test("a setup or test that aborts its run while it begins, and does not end, is given up", async () => {
  for (const kind of ["start", "runTest"]) {
    const abort = new AbortController();
    const hang = () => {
      abort.abort();
      return new Promise<never>(() => {});
    };
    const run = new AdHocOrchestrator(options({
      cancelGrace: 1,
      setupTimeout: 50, // a timer would hold a test that fails
      executor: (remote) =>
        Object.assign(new PretendedExecutor(remote), { [kind]: hang }),
    })).run(abort);
    const error = await incomplete(run);
    equal([error.kind, error.summary.notRun.length], ["Aborted", 3]);
  }
});

Deno.test("a signal that is aborted already keeps a run from beginning", async () => {
  const pool = new PretendedPool();
  const signal = AbortSignal.abort("no");
  const run = new AdHocOrchestrator(options({ provisioners: [pool] }))
    .run({ signal });
  equal((await incomplete(run)).kind, "Aborted");
  equal(pool.asked, 0);
});

Deno.test("a run leaves no listener on the signal of the caller", async () => {
  const { signal } = new AbortController();
  let listeners = 0;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners++;
    add(...args);
  };
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners--;
    remove(...args);
  };
  await new AdHocOrchestrator(options({})).run({ signal }).finished;
  equal(listeners, 0);
});

Deno.test("timers and signals get their turn while tests end at once", async () => {
  const tests = Array.from({ length: 5_000 }, (_, i) => `/t${i}`);
  const abort = new AbortController();
  const work = (test: string) => {
    if (test === tests[0]) setTimeout(() => abort.abort(), 1);
    return 0;
  };
  const error = await incomplete(
    new AdHocOrchestrator(options({ tests, work })).run(abort),
  );
  equal(error.kind, "Aborted");
  ok(error.summary.notRun.length > 0);
});

Deno.test("timers and signals get their turn while systems come at once", async () => {
  const tests = Array.from({ length: 5_000 }, (_, i) => `/t${i}`);
  const abort = new AbortController();
  let begun = 0;
  const run = new AdHocOrchestrator(options({
    tests,
    provisioners: [new PretendedPool({ maxRemotes: tests.length })],
    work: (_test, _artifacts, { signal }) => {
      if (begun++ === 0) setTimeout(() => abort.abort(), 1);
      return untilAborted(signal);
    },
  })).run(abort);
  const error = await incomplete(run);
  equal(error.kind, "Aborted");
  ok(begun < tests.length, `${begun} tests began before that`);
});

Deno.test("timers and signals get their turn while systems fail to come, or to be set up, at once", async () => {
  const empty = new PretendedPool();
  empty.getRemote = () => Promise.reject(new Error("quota exceeded"));
  const failing: Partial<AdHocOptions>[] = [
    { provisioners: [empty], maxProvisionFailures: 100_000 },
    {
      executor: () => {
        throw new Error("no such suite");
      },
      maxFailedSetups: 100_000,
    },
  ];
  for (const given of failing) {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), 1);
    const run = new AdHocOrchestrator(options(given)).run(abort);
    equal((await incomplete(run)).kind, "Aborted");
    clearTimeout(timer);
  }
});

Deno.test("tests get directories of their own for artifacts: new, empty, private, removed at the end", async () => {
  await withEmptyDirectory(async (parent) => {
    const seen: string[] = [];
    const aggregator = new PretendedAggregator(async (_test, artifacts) => {
      equal(await Deno.readTextFile(`${artifacts}/files/log`), "hello");
      await Deno.remove(`${artifacts}/files/log`);
    });
    const run = new AdHocOrchestrator(options({
      artifacts: new URL(`file://${parent}/new/`),
      aggregator,
      work: (_test, artifacts) => {
        const { mode } = Deno.statSync(artifacts);
        equal((mode ?? 0) & 0o777, 0o700);
        equal([...Deno.readDirSync(artifacts)], []);
        seen.push(artifacts);
        Deno.mkdirSync(`${artifacts}/files`);
        Deno.writeTextFileSync(`${artifacts}/files/log`, "hello");
        return 0;
      },
    })).run();
    const { passed, ingestErrors } = await run.finished;
    equal(ingestErrors, []);
    equal(passed, 3);
    equal(new Set(seen).size, 3);
    for (const path of seen) match(path, /\/new\/atex-[^/]+\/\d+$/);
    equal([...Deno.readDirSync(`${parent}/new`)], []);
    await Deno.remove(`${parent}/new`);
  });
});

Deno.test("artifacts of attempts that nobody wants are removed", async () => {
  await withEmptyDirectory(async (artifacts) => {
    const run = new AdHocOrchestrator(options({
      artifacts,
      rerun: reruns(1),
      work: (_test, directory, { attempt }) => {
        Deno.writeTextFileSync(`${directory}/results`, "");
        return attempt === 1 ? 1 : 0;
      },
    })).run();
    const summary = await run.finished;
    equal(summary.flaky, 3);
    equal(summary.reruns, 3);
    equal(summary.earlier.map(({ attempt }) => attempt), [1, 1, 1]);
  });
});

Deno.test("results that cannot be stored stay where they are, and the run says so", async () => {
  const parent = await Deno.makeTempDir({ prefix: "atex-test-" });
  try {
    const run = new AdHocOrchestrator(options({
      artifacts: parent,
      aggregator: new PretendedAggregator((test) => {
        if (test === "/b") throw new Error("disk full");
      }),
      work: (test, artifacts) => {
        Deno.writeTextFileSync(`${artifacts}/results`, test);
        return 0;
      },
    })).run();
    const events = eventsOf(run);
    const error = await incomplete(run);
    equal(error.kind, "IngestFailed");
    equal((error.cause as Error).message, "disk full");
    const [{ test, artifacts, attempt }] = error.summary.ingestErrors;
    equal([test, attempt], ["/b", 1]);
    equal(
      error.message,
      `Cannot complete the run on "here": the results of "/b" could not be stored and are in "${artifacts}"`,
    );
    equal(Deno.readTextFileSync(`${artifacts}/results`), "/b");
    const [own, ...others] = [...Deno.readDirSync(parent)];
    equal(others, []);
    const left = [...Deno.readDirSync(`${parent}/${own.name}`)];
    equal(left.map(({ name }) => name).sort(), [KEPT, basename(artifacts)]);
    const failed = (await events).find(({ type }) => type === "ingest-failed");
    equal(failed?.type === "ingest-failed" && failed.artifacts, artifacts);
    equal([...error.summary.ingested.keys()].sort(), ["/a", "/c"]);
    equal(error.summary.passed, 3, "the test passed, whatever came later");
  } finally {
    await Deno.remove(parent, { recursive: true });
  }
});

Deno.test("results of several tests that cannot be stored are all listed", async () => {
  const parent = await Deno.makeTempDir({ prefix: "atex-test-" });
  try {
    const run = new AdHocOrchestrator(options({
      artifacts: parent,
      provisioners: [new PretendedPool({ maxRemotes: 1 })],
      aggregator: new PretendedAggregator(() => {
        throw new Error("disk full");
      }),
    })).run();
    const { message, summary } = await incomplete(run);
    const [{ artifacts }] = summary.ingestErrors;
    equal(
      message,
      `Cannot complete the run on "here": the results of 3 tests could not be stored; those of "/a" are in "${artifacts}"`,
    );
    equal(summary.ingestErrors.map(({ test }) => test), ["/a", "/b", "/c"]);
    const kept = summary.ingestErrors.map(({ artifacts }) =>
      Deno.statSync(artifacts).isDirectory
    );
    equal(kept, [true, true, true]);
  } finally {
    await Deno.remove(parent, { recursive: true });
  }
});

Deno.test("when the place for artifacts vanishes the run ends, and its systems are given back", async () => {
  const artifacts = await Deno.makeTempDir({ prefix: "atex-test-" });
  const pool = new PretendedPool();
  const run = new AdHocOrchestrator(options({
    artifacts,
    provisioners: [pool],
    executor: (remote) => {
      Deno.removeSync(artifacts, { recursive: true });
      Deno.mkdirSync(artifacts);
      return new PretendedExecutor(remote);
    },
  })).run();
  const error = await incomplete(run);
  equal(error.kind, "IngestFailed");
  match(error.message, /: there is no place for artifacts; 3 of 3 tests/);
  match(String(error.cause), /No such file/);
  equal(error.summary.notRun, ["/a", "/b", "/c"]);
  equal(pool.reasons.length, pool.remotes.length);
  await Deno.remove(artifacts, { recursive: true });
});

Deno.test("an executor that fails without a result gets one that says so", async () => {
  const results: string[] = [];
  const run = new AdHocOrchestrator(options({
    tests: ["/a"],
    aggregator: new PretendedAggregator(async (_test, artifacts) => {
      results.push(await Deno.readTextFile(`${artifacts}/results`));
      ok(Deno.statSync(`${artifacts}/files`).isDirectory);
    }),
    work: () => {
      throw new TypeError("connection lost");
    },
  })).run();
  const summary = await run.finished;
  equal(summary.failed, 1);
  equal(summary.ingested.get("/a")?.error?.message, "connection lost");
  equal(results.map((text) => JSON.parse(text)), [
    { status: "infra", note: "TypeError(connection lost)" },
  ]);
});

Deno.test("what an executor throws may be anything", async () => {
  const nothing = Object.create(null); // it cannot be made a text
  for (const thrown of ["a string", nothing]) {
    const run = new AdHocOrchestrator(options({
      tests: ["/a"],
      work: () => {
        throw thrown;
      },
    })).run();
    const { error } = (await run.finished).ingested.get("/a")!;
    const text = thrown === nothing ? Deno.inspect(nothing) : thrown;
    equal(error?.message, text);
  }
});

Deno.test("what is no exit code is an error of the executor", async () => {
  for (const code of [null, undefined, 1.5, "0"]) {
    const run = new AdHocOrchestrator(options({
      tests: ["/a"],
      work: () => code as number,
    })).run();
    const { error, exitCode } = (await run.finished).ingested.get("/a")!;
    equal(exitCode, undefined);
    equal(
      error?.message,
      `Cannot tell what came of "/a": the executor gave ${
        Deno.inspect(code)
      }, which is no exit code`,
    );
  }
});

Deno.test("what others give and throw may be what cannot be shown: the run ends as with anything else, and gives systems back", async () => {
  const fail = () => {
    throw new Error("not even this");
  };
  // deno-lint-ignore no-explicit-any
  const unseen: any = {
    toString: fail,
    [Symbol.for("Deno.customInspect")]: fail,
  };
  const throwing = () => {
    throw unseen;
  };
  const table: [Parameters<typeof options>[0], string][] = [
    [{ work: () => unseen }, "complete"],
    [{ work: throwing }, "complete"],
    [{ aggregator: new PretendedAggregator(throwing) }, "IngestFailed"],
    [{ executor: throwing }, "SetupRetriesExceeded"],
    [{ destructive: throwing }, "PolicyFailed"],
    [{ destructive: () => unseen }, "PolicyFailed"],
    [{ next: throwing }, "PolicyFailed"],
    [{ next: () => unseen }, "PolicyFailed"],
    [{ next: () => [unseen] }, "InvalidNextTest"],
  ];
  for (const [given, kind] of table) {
    await withDirectory(async (artifacts) => {
      const pool = new PretendedPool();
      const run = new AdHocOrchestrator(
        options({ provisioners: [pool], artifacts, ...given }),
      ).run();
      const ended = run.finished.then(() => "complete", ({ kind }) => kind);
      equal(await ended, kind);
      equal(pool.reasons.length, pool.remotes.length);
    });
  }
});

Deno.test("aggregators are told of the attempt, the ones before, the system, the times and the exit code", async () => {
  const told: IngestInfo[] = [];
  const earlier: IngestInfo[] = [];
  const pool = new PretendedPool();
  const outcomes = [2, new Error("connection lost"), 0];
  const run = new AdHocOrchestrator(options({
    tests: ["/a"],
    provisioners: [pool],
    rerun: reruns(2),
    aggregator: new PretendedAggregator((_test, _artifacts, info) => {
      told.push(info);
    }),
    earlier: new PretendedAggregator((_test, _artifacts, info) => {
      earlier.push(info);
    }),
    work: (_test, _artifacts, { attempt = 0 }) => {
      const outcome = outcomes[attempt - 1];
      if (outcome instanceof Error) throw outcome;
      return outcome;
    },
  })).run();
  const { ingested } = await run.finished;
  const outcome = ingested.get("/a")!;
  equal(told, [{
    attempt: 3,
    earlier: [
      { status: "fail", note: "exit code 2" },
      { status: "infra", note: "connection lost" },
    ],
    remote: outcome.remote,
    attributes: { kind: "pretended" },
    startedAt: outcome.startedAt,
    finishedAt: outcome.finishedAt,
    exitCode: 0,
    keep: true,
  }]);
  equal(
    earlier.map(({ attempt, earlier, exitCode }) => [
      attempt,
      earlier?.length,
      exitCode,
    ]),
    [[1, 0, 2], [2, 1, undefined]],
  );
});

Deno.test("ingest-finished tells where the files are, if the aggregator does", async () => {
  const stored = { directory: "/out/a", output: "/out/a/output.txt" };
  const run = new AdHocOrchestrator(options({
    tests: ["/a", "/b"],
    aggregator: new PretendedAggregator((test) => {
      if (test === "/a") return stored;
    }),
  })).run();
  const places = (await eventsOf(run))
    .filter((event) => event.type === "ingest-finished")
    .map((event) => [event.test, event.stored]);
  equal(places.sort(), [["/a", stored], ["/b", undefined]]);
});

Deno.test("reusable systems are cleaned up before they are given back, others are not", async () => {
  for (const reusable of [true, false]) {
    const executors: PretendedExecutor[] = [];
    const run = new AdHocOrchestrator(options({
      provisioners: [new PretendedPool({ maxRemotes: 1, reusable })],
      executor: (remote) => {
        const executor = new PretendedExecutor(
          remote,
          (test) => test === "/b" ? 1 : 0,
        );
        executors.push(executor);
        return executor;
      },
    })).run();
    await run.finished;
    equal(
      executors.map(({ stopped }) => stopped),
      reusable ? [1, 1] : [0, 0],
      "the first one was destroyed by /b, which does not matter",
    );
  }
});

Deno.test("a system that vanishes ends its test and is replaced", async () => {
  const pool = new PretendedPool({ maxRemotes: 1 });
  const run = new AdHocOrchestrator(options({
    provisioners: [pool],
    tests: ["/a", "/b"],
    work: (_test, _artifacts, { remote, signal }) => {
      if (remote.id !== "pool#1") return 0;
      pool.remotes[0].lose(new Error("power cut"));
      return untilAborted(signal);
    },
  })).run();
  const events = eventsOf(run);
  const { ingested } = await run.finished;
  equal(ingested.get("/a")?.error?.message, "power cut");
  equal(ingested.get("/b")?.remote, "pool#2");
  equal(pool.reasons, ["destroyed", "done"]);
  ok((await events).some(({ type }) => type === "remote-lost"));
});

Deno.test("a system that is of no use may vanish in any way", async () => {
  const pools = [
    new PretendedPool({ maxRemotes: 1 }),
    new PretendedPool({ maxRemotes: 1 }),
  ];
  const ended = Promise.withResolvers<number>();
  const [, late] = pools;
  const getRemote = late.getRemote.bind(late);
  late.getRemote = async (given) => {
    const remote = await getRemote(given);
    const lost = Promise.reject(new Error("host went away"));
    return Object.assign(remote, { lost });
  };
  const run = new AdHocOrchestrator(options({
    provisioners: pools,
    tests: ["/a"],
    work: () => ended.promise,
  })).run();
  for await (const { type } of run) {
    if (type === "remote-surplus") ended.resolve(0);
  }
  equal((await run.finished).passed, 1);
  equal(late.reasons, ["surplus"]);
});

Deno.test("a factory that throws counts as a failed setup", async () => {
  const pool = new PretendedPool({ maxRemotes: 1 });
  const run = new AdHocOrchestrator(options({
    provisioners: [pool],
    maxFailedSetups: 1,
    executor: () => {
      throw new Error("no such suite");
    },
  })).run();
  const error = await incomplete(run);
  equal(error.kind, "SetupRetriesExceeded");
  equal(
    error.message,
    'Cannot complete the run on "here": too many setups failed (2), the last one on pool#2; 3 of 3 tests were not run',
  );
  equal((error.cause as Error).message, "no such suite");
  equal(pool.reasons, ["setup-failed", "setup-failed"]);
});

Deno.test("a rank that is not a number is told of at once", () => {
  const rule = Object.assign((all: readonly string[]) => all, {
    rank: () => NaN,
  });
  const orchestrator = new AdHocOrchestrator(options({ next: rule }));
  throws(() => orchestrator.run(), {
    name: "TypeError",
    message:
      'Cannot order tests: rule 1 of "next" ranked "/a" as NaN, which is not a number',
  });
});

Deno.test("a rule that throws ends the run with what it threw as the cause", async () => {
  const cause = new Error("oh no");
  const run = new AdHocOrchestrator(options({
    next: () => {
      throw cause;
    },
  })).run();
  const error = await incomplete(run);
  equal([error.kind, error.cause], ["PolicyFailed", cause]);
  match(error.message, /: rule 1 of "next" threw; 3 of 3 tests/);
});

Deno.test("systems that could not be given back are listed, and the run is complete", async () => {
  const pool = new PretendedPool({ maxRemotes: 1 });
  const run = new AdHocOrchestrator(options({ provisioners: [pool] })).run();
  for await (const { type } of run) {
    if (type === "remote-ready") {
      pool.remotes[0].release = () => Promise.reject(new Error("busy"));
    }
  }
  const summary: RunSummary = await run.finished;
  equal(summary.passed, 3);
  equal([summary.handedOut, summary.released], [1, 0]);
  equal(
    summary.releaseErrors.map(({ remote, error }) => [remote, error.message]),
    [["pool#1", "busy"]],
  );
});

Deno.test("AdHocOrchestrator refuses options that make no sense, each with one message", () => {
  const pool = new PretendedPool();
  const table: [Partial<AdHocOptions>, string, string][] = [
    [{ platform: "" }, "RangeError", '"platform" is empty'],
    [
      { platform: "../.." },
      "RangeError",
      'the "platform" "../.." makes no directory; a label such as "fedora-42@x86_64" would be right',
    ],
    [
      { rerun: 2 as never },
      "TypeError",
      '"rerun" is 2, it must be a function',
    ],
    [{ tests: [] }, "RangeError", '"tests" is empty'],
    [
      { tests: ["/a", "/b", "/a"] },
      "RangeError",
      '"tests" holds "/a" more than once',
    ],
    [{ provisioners: [] }, "RangeError", '"provisioners" is empty'],
    [
      { provisioners: [pool, pool] },
      "RangeError",
      '"provisioners" holds pool more than once',
    ],
    [
      { maxSpares: Infinity },
      "RangeError",
      '"maxSpares" is Infinity, it must be an integer of at least 0',
    ],
    [
      { maxFailedSetups: -1 },
      "RangeError",
      '"maxFailedSetups" is -1, it must be an integer of at least 0, or Infinity',
    ],
    [
      { maxProvisionFailures: 1.5 },
      "RangeError",
      '"maxProvisionFailures" is 1.5, it must be an integer of at least 0, or Infinity',
    ],
    [
      { concurrency: { ingest: 0 } },
      "RangeError",
      '"concurrency.ingest" is 0, it must be an integer of at least 1',
    ],
  ];
  for (const [wrong, name, message] of table) {
    throws(
      () => new AdHocOrchestrator(options(wrong)),
      { name, message: `Cannot run tests: ${message}` },
    );
  }
});

Deno.test("options given as undefined are as if not given", async () => {
  const run = new AdHocOrchestrator(options({
    maxSpares: undefined,
    rerun: undefined,
    destructive: undefined,
    concurrency: { setup: undefined },
    cancelGrace: undefined,
    next: undefined,
  })).run();
  equal((await run.finished).passed, 3);
});

Deno.test("names of tests are read when the orchestrator is made", async () => {
  const tests = ["/a"];
  const orchestrator = new AdHocOrchestrator(options({ tests }));
  tests.push("/b");
  equal((await orchestrator.run().finished).tests, 1);
});

Deno.test("finished rejects with an OrchestratorError, whose cause is what went wrong", async () => {
  const run = new AdHocOrchestrator(
    options({ provisioners: [new StoppedPool()] }),
  ).run();
  await rejects(run.finished, { name: "OrchestratorError" });
});
