import { deepStrictEqual as equal, ok, throws } from "node:assert/strict";
import { basename } from "node:path";
import { KEPT } from "../../connections/ownership.ts";
import { AdHocOrchestrator } from "../../orchestrators/adhoc.ts";
import type { Run, RunEvent } from "../../orchestrators/orchestrator.ts";
import {
  type SimpleOptions,
  SimpleOrchestrator,
} from "../../orchestrators/simple.ts";
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

function options(
  { work, ...others }: Partial<SimpleOptions> & { work?: Work },
): SimpleOptions {
  return {
    platform: "here",
    tests: ["/a", "/b", "/c"],
    provisioner: new PretendedPool(),
    executor: (remote) => new PretendedExecutor(remote, work),
    aggregator: new PretendedAggregator(),
    ...others,
  };
}

const types = (events: readonly RunEvent[]) => events.map(({ type }) => type);

Deno.test("SimpleOrchestrator runs and stores one test after the other on one system", async () => {
  const pool = new PretendedPool();
  const run = new SimpleOrchestrator(options({
    tests: ["/a", "/b"],
    provisioner: pool,
    work: (test) => test === "/a" ? 1 : 0,
  })).run();
  const events = await Array.fromAsync(run);
  equal(types(events), [
    "run-started",
    "requested",
    "remote-ready",
    "setup-started",
    "setup-finished",
    ...[1, 2].flatMap(() => [
      "test-started",
      "test-finished",
      "ingest-started",
      "ingest-finished",
    ]),
    "release-started",
    "release-finished",
    "run-finished",
  ]);
  const summary = await run.finished;
  equal([summary.passed, summary.failed, summary.setups], [1, 1, 1]);
  equal([summary.handedOut, summary.released], [1, 1]);
  equal(pool.reasons, ["done"]);
  equal(run.status.done, 2);
});

Deno.test("SimpleOrchestrator tells in its status what goes on", async () => {
  const run: Run = new SimpleOrchestrator(options({
    tests: ["/a", "/b"],
    work: () => {
      const { queued, running, done } = run.status;
      equal(
        [queued, running, done].join(),
        run.status.done ? "0,1,1" : "1,1,0",
      );
      return 0;
    },
  })).run();
  equal((await run.finished).passed, 2);
});

Deno.test("SimpleOrchestrator can take a new system for every test", async () => {
  const pool = new PretendedPool();
  const run = new SimpleOrchestrator(
    options({ provisioner: pool, destructive: true }),
  ).run();
  equal((await run.finished).handedOut, 3);
  equal(pool.asked, 3);
  equal(pool.reasons, ["destroyed", "destroyed", "destroyed"]);
});

Deno.test("SimpleOrchestrator ends at an error of the executor", async () => {
  const pool = new PretendedPool();
  const cause = new Error("connection lost");
  const run = new SimpleOrchestrator(options({
    provisioner: pool,
    work: (test, artifacts) => {
      Deno.writeTextFileSync(`${artifacts}/results`, "");
      if (test === "/b") throw cause;
      return 0;
    },
  })).run();
  const error = await incomplete(run);
  equal([error.kind, error.cause], ["ExecutorFailed", cause]);
  equal(
    error.message,
    'Cannot complete the run on "here": "/b" could not be carried out; 2 of 3 tests were not run',
  );
  equal(error.summary.notRun, ["/b", "/c"]);
  equal(pool.reasons, ["destroyed"]);
});

Deno.test("SimpleOrchestrator can go on after an error, on a new system", async () => {
  const pool = new PretendedPool();
  const results: string[] = [];
  const run = new SimpleOrchestrator(options({
    provisioner: pool,
    onError: "continue",
    aggregator: new PretendedAggregator(async (test, artifacts) => {
      if (test !== "/b") return;
      results.push(await Deno.readTextFile(`${artifacts}/results`));
    }),
    work: (test) => {
      if (test === "/b") throw new Error("connection lost");
      return 0;
    },
  })).run();
  const { passed, failed, ingested } = await run.finished;
  equal([passed, failed], [2, 1]);
  equal(ingested.get("/b")?.error?.message, "connection lost");
  equal(results.map((text) => JSON.parse(text)), [
    { status: "infra", note: "Error(connection lost)" },
  ]);
  equal(pool.reasons, ["destroyed", "done"]);
});

Deno.test("SimpleOrchestrator ends without a system", async () => {
  const run = new SimpleOrchestrator(
    options({ provisioner: new StoppedPool() }),
  ).run();
  const events = Array.fromAsync(run);
  const error = await incomplete(run);
  equal(error.kind, "NoRemotes");
  equal(
    error.message,
    'Cannot complete the run on "here": pool supplied no system; 3 of 3 tests were not run',
  );
  equal(types(await events), [
    "run-started",
    "requested",
    "reservation-failed",
    "draining",
    "run-finished",
  ]);
});

Deno.test("SimpleOrchestrator does not wait for a provisioner that has no systems", async () => {
  const pool = new PretendedPool({ maxRemotes: 0 });
  const run = new SimpleOrchestrator(options({ provisioner: pool })).run();
  const events = Array.fromAsync(run);
  const error = await incomplete(run);
  equal(error.kind, "NoRemotes");
  equal(
    error.message,
    'Cannot complete the run on "here": pool supplied no system: maxRemotes is 0; 3 of 3 tests were not run',
  );
  equal(types(await events), ["run-started", "draining", "run-finished"]);
  equal(pool.asked, 0);
});

Deno.test("SimpleOrchestrator tells why it got no system, also if demand cannot be dropped", async () => {
  const pool = new PretendedPool();
  pool.getRemote = () => Promise.reject(new Error("no quota"));
  pool.clear = () => {
    throw new Error("no way back");
  };
  const run = new SimpleOrchestrator(options({ provisioner: pool })).run();
  const events = await Array.fromAsync(run);
  const error = await incomplete(run);
  equal(error.kind, "NoRemotes");
  equal((error.cause as Error).message, "no quota");
  equal(
    events.filter((event) => event.type === "reservation-failed")
      .map(({ error, failures }) => [error.message, failures]),
    [["no quota", 1], ["no way back", 2]],
  );
  equal(events.at(-1)?.type, "run-finished");
});

Deno.test("SimpleOrchestrator gives a system back that cannot tell whether it is lost", async () => {
  const pool = new PretendedPool();
  const getRemote = pool.getRemote.bind(pool);
  pool.getRemote = async (given) =>
    Object.assign(await getRemote(given), { lost: undefined });
  const run = new SimpleOrchestrator(options({ provisioner: pool })).run();
  const events = Array.fromAsync(run);
  const error = await incomplete(run);
  equal(error.kind, "SetupRetriesExceeded");
  equal((error.cause as Error).name, "TypeError");
  equal(pool.reasons, ["setup-failed"]);
  ok(!types(await events).includes("setup-failed"), "none was begun");
});

Deno.test("SimpleOrchestrator lets timers and signals have their turn, however short tests are", async () => {
  const abort = new AbortController();
  const tests = Array.from({ length: 1000 }, (_, index) => `/${index}`);
  const timer = setTimeout(() => abort.abort(), 0);
  const run = new SimpleOrchestrator(options({ tests })).run(abort);
  const { kind, summary } = await incomplete(run);
  equal(kind, "Aborted");
  ok(summary.notRun.length > 0);
  clearTimeout(timer);
});

Deno.test("SimpleOrchestrator keeps what it failed of when it is aborted after that", async () => {
  const pool = new PretendedPool();
  const abort = new AbortController();
  const reason = new Error("enough");
  const cause = new Error("connection lost");
  const run = new SimpleOrchestrator(options({
    provisioner: pool,
    work: () => {
      throw cause;
    },
  })).run(abort);
  for await (const { type } of run) {
    if (type === "draining") abort.abort(reason);
  }
  const error = await incomplete(run);
  equal([error.kind, error.cause], ["Aborted", reason]);
  equal([error.before?.kind, error.before?.cause], ["ExecutorFailed", cause]);
  equal(
    error.message,
    'Cannot complete the run on "here": the run was aborted after "/a" could not be carried out; 3 of 3 tests were not run',
  );
});

Deno.test("SimpleOrchestrator ends when the setup fails, and gives the system back", async () => {
  const pool = new PretendedPool({ reusable: true });
  let executor: PretendedExecutor | undefined;
  const run = new SimpleOrchestrator(options({
    provisioner: pool,
    executor: (remote) => {
      executor = new PretendedExecutor(remote);
      executor.start = () => Promise.reject(new Error("no packages"));
      return executor;
    },
  })).run();
  const error = await incomplete(run);
  equal(error.kind, "SetupRetriesExceeded");
  equal((error.cause as Error).message, "no packages");
  equal(pool.reasons, ["setup-failed"]);
  equal(executor?.stopped, 1);
});

Deno.test("SimpleOrchestrator keeps what cannot be stored, goes on, and says so", async () => {
  const artifacts = await Deno.makeTempDir({ prefix: "atex-test-" });
  try {
    const run = new SimpleOrchestrator(options({
      artifacts,
      aggregator: new PretendedAggregator((test) => {
        if (test === "/a") throw new Error("disk full");
      }),
    })).run();
    const error = await incomplete(run);
    equal(error.kind, "IngestFailed");
    equal([...error.summary.ingested.keys()], ["/b", "/c"]);
    const [failure] = error.summary.ingestErrors;
    ok(Deno.statSync(failure.artifacts).isDirectory);
    const [own] = [...Deno.readDirSync(artifacts)];
    const left = [...Deno.readDirSync(`${artifacts}/${own.name}`)];
    equal(
      left.map(({ name }) => name).sort(),
      [KEPT, basename(failure.artifacts)],
    );
  } finally {
    await Deno.remove(artifacts, { recursive: true });
  }
});

Deno.test("SimpleOrchestrator ends when the place for artifacts vanishes", async () => {
  const artifacts = await Deno.makeTempDir({ prefix: "atex-test-" });
  const pool = new PretendedPool();
  const run = new SimpleOrchestrator(options({
    artifacts,
    provisioner: pool,
    executor: (remote) => {
      Deno.removeSync(artifacts, { recursive: true });
      Deno.mkdirSync(artifacts);
      return new PretendedExecutor(remote);
    },
  })).run();
  equal((await incomplete(run)).kind, "IngestFailed");
  equal(pool.reasons, ["done"]);
  await Deno.remove(artifacts, { recursive: true });
});

Deno.test("SimpleOrchestrator ends its test at an abort, and gives the system back", async () => {
  const pool = new PretendedPool();
  const abort = new AbortController();
  const reason = new Error("enough");
  const run = new SimpleOrchestrator(options({
    provisioner: pool,
    work: (test, _artifacts, { signal }) => {
      if (test === "/a") return 0;
      abort.abort(reason);
      return untilAborted(signal);
    },
  })).run(abort);
  const error = await incomplete(run);
  equal([error.kind, error.cause], ["Aborted", reason]);
  equal([...error.summary.ingested.keys()], ["/a"]);
  equal(error.summary.notRun, ["/b", "/c"]);
  equal(pool.reasons, ["abort"]);
});

Deno.test("SimpleOrchestrator stores a test that ended by itself in spite of an abort", async () => {
  const abort = new AbortController();
  const run = new SimpleOrchestrator(options({
    work: () => {
      abort.abort();
      return 0;
    },
  })).run(abort);
  const error = await incomplete(run);
  equal([...error.summary.ingested.keys()], ["/a"]);
  equal(error.summary.notRun, ["/b", "/c"]);
});

Deno.test("SimpleOrchestrator asks for nothing if it is aborted before it begins", async () => {
  const pool = new PretendedPool();
  const run = new SimpleOrchestrator(options({ provisioner: pool })).run();
  await run[Symbol.asyncDispose]();
  equal((await incomplete(run)).kind, "Aborted");
  equal(pool.asked, 0);
});

Deno.test("SimpleOrchestrator drops its demand when it is aborted while it waits", async () => {
  const pool = new PretendedPool();
  pool.provision = () => {}; // it never delivers
  let cleared = 0;
  pool.clear = () => {
    cleared++;
  };
  await using run = new SimpleOrchestrator(options({ provisioner: pool }))
    .run();
  for await (const { type } of run) {
    if (type === "requested") break;
  }
  equal(run.status.requested, 1);
  await run[Symbol.asyncDispose]();
  equal(cleared, 1);
});

Deno.test("SimpleOrchestrator does not wait for a provisioner that ignores the abort", async () => {
  const pool = new PretendedPool();
  const handedOut = Promise.withResolvers<PretendedRemote>();
  pool.getRemote = () => handedOut.promise;
  await using run = new SimpleOrchestrator(
    options({ provisioner: pool, cancelGrace: 1 }),
  ).run();
  for await (const { type } of run) {
    if (type === "requested") break;
  }
  await run[Symbol.asyncDispose]();
  equal((await incomplete(run)).kind, "Aborted");
  const released = Promise.withResolvers<string>();
  handedOut.resolve(new PretendedRemote("late", false, released.resolve));
  equal(await released.promise, "abort");
});

Deno.test("SimpleOrchestrator ends a test whose system is lost, and goes on with another one if it is to", async () => {
  for (const onError of ["stop", "continue"] as const) {
    const pool = new PretendedPool();
    const run = new SimpleOrchestrator(options({
      onError,
      provisioner: pool,
      work: (test, _artifacts, { signal }) => {
        if (test !== "/b") return 0;
        pool.remotes[0].lose(new Error("gone"));
        return untilAborted(signal);
      },
    })).run();
    const events = Array.fromAsync(run);
    if (onError === "stop") {
      const { kind, cause } = await incomplete(run);
      equal([kind, (cause as Error).message], ["ExecutorFailed", "gone"]);
      equal(pool.reasons, ["destroyed"]);
    } else {
      const { ingested } = await run.finished;
      equal(ingested.get("/b")?.error?.message, "gone");
      equal(ingested.get("/c")?.remote, "pool#2");
      equal(pool.reasons, ["destroyed", "done"]);
    }
    equal(types(await events).filter((type) => type === "remote-lost"), [
      "remote-lost",
    ]);
  }
});

Deno.test("SimpleOrchestrator takes another system if one is lost between two tests", async () => {
  const pool = new PretendedPool();
  const run = new SimpleOrchestrator(options({
    provisioner: pool,
    aggregator: new PretendedAggregator((test) => {
      if (test === "/a") pool.remotes[0].lose(new Error("gone"));
    }),
  })).run();
  const { passed, ingested } = await run.finished;
  equal(passed, 3);
  equal(ingested.get("/b")?.remote, "pool#2");
  equal(pool.reasons, ["destroyed", "done"]);
});

Deno.test("SimpleOrchestrator refuses options that make no sense, and a second run", async () => {
  const table: [Partial<SimpleOptions>, string, string][] = [
    [{ platform: "" }, "RangeError", '"platform" is empty'],
    [{ tests: [] }, "RangeError", '"tests" is empty'],
    [
      { tests: ["/a", "/a"] },
      "RangeError",
      '"tests" holds "/a" more than once',
    ],
  ];
  for (const [wrong, name, message] of table) {
    throws(
      () => new SimpleOrchestrator(options(wrong)),
      { name, message: `Cannot run tests: ${message}` },
    );
  }
  throws(
    () => new SimpleOrchestrator(options({ onError: "contine" as "continue" })),
    {
      name: "TypeError",
      message:
        'Cannot use a string as "onError" of SimpleOrchestrator: "stop" or "continue" would be right',
    },
  );
  const orchestrator = new SimpleOrchestrator(options({}));
  const run = orchestrator.run();
  throws(() => orchestrator.run(), {
    name: "TypeError",
    message: "Cannot run tests: run() was called before",
  });
  await run.finished;
});

Deno.test("run() refuses a provisioner while another run has it, whatever orchestrator that is of", async () => {
  const pool = new PretendedPool();
  const begun = Promise.withResolvers<void>();
  const running = new SimpleOrchestrator(options({
    provisioner: pool,
    work: (_test, _artifacts, { signal }) => {
      begun.resolve();
      return untilAborted(signal);
    },
  })).run();
  await begun.promise;
  const simple = new SimpleOrchestrator(options({ provisioner: pool }));
  const { provisioner: _, destructive: _never, ...others } = options({
    platform: "there",
  });
  const adHoc = new AdHocOrchestrator({ ...others, provisioners: [pool] });
  for (const refused of [simple, adHoc]) {
    throws(() => refused.run(), {
      name: "TypeError",
      message:
        /: a run on "here" that has not ended has the provisioner "pool";/,
    });
  }
  await running[Symbol.asyncDispose]();
  // what was refused can be run as soon as the other is over
  equal((await simple.run().finished).passed, 3);
  equal((await adHoc.run().finished).passed, 3);
});
