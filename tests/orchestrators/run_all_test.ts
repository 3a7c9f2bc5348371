import { deepStrictEqual as equal, throws } from "node:assert/strict";
import type { Orchestrator } from "../../orchestrators/orchestrator.ts";
import { runAll } from "../../orchestrators/run_all.ts";
import { SimpleOrchestrator } from "../../orchestrators/simple.ts";
import {
  PretendedAggregator,
  PretendedExecutor,
  PretendedPool,
  StoppedPool,
  untilAborted,
} from "./_pretend.ts";

type Work = ConstructorParameters<typeof PretendedExecutor>[1];

function orchestrator(
  platform: string,
  { provisioner = new PretendedPool(), work }: {
    provisioner?: PretendedPool;
    work?: Work;
  } = {},
) {
  return new SimpleOrchestrator({
    platform,
    tests: ["/a", "/b"],
    provisioner,
    executor: (remote) => new PretendedExecutor(remote, work),
    aggregator: new PretendedAggregator(),
  });
}

const hang: Work = (_test, _artifacts, { signal }) => untilAborted(signal);

Deno.test("runAll() runs several orchestrators and gives their events and summaries", async () => {
  const all = runAll([orchestrator("x"), orchestrator("y")]);
  const events = await Array.fromAsync(all);
  for (const run of [0, 1]) {
    const own = events.filter((event) => event.run === run);
    equal(own[0].type, "run-started");
    equal(own.at(-1)?.type, "run-finished");
    equal(own.filter(({ type }) => type === "test-finished").length, 2);
  }
  const { summaries, errors, exitCode } = await all.finished;
  equal(summaries.map(({ platform, passed }) => [platform, passed]), [
    ["x", 2],
    ["y", 2],
  ]);
  equal([errors, exitCode], [[], 0]);
  equal(all.runs.map(({ status }) => status.done), [2, 2]);
});

Deno.test("runAll() tells failed tests from incomplete runs by its exit code", async () => {
  const failing = () => orchestrator("failing", { work: () => 1 });
  const broken = () =>
    orchestrator("broken", { provisioner: new StoppedPool() });
  const good = () => orchestrator("good");
  equal((await runAll([good(), failing()]).finished).exitCode, 1);
  const { exitCode, errors, summaries } = await runAll([
    broken(),
    failing(),
    good(),
  ]).finished;
  equal(exitCode, 2);
  equal(errors.map(({ kind }) => kind), ["NoRemotes"]);
  equal(summaries.map(({ passed }) => passed), [0, 0, 2]);
  equal((await runAll([]).finished).exitCode, 0);
});

Deno.test("runAll() can end the others when one is incomplete", async () => {
  const waiting = orchestrator("waiting", { work: hang });
  const broken = orchestrator("broken", { provisioner: new StoppedPool() });
  const { errors } = await runAll([waiting, broken], { failFast: true })
    .finished;
  equal(errors.map(({ kind }) => kind), ["NoRemotes", "Aborted"]);
  equal(errors[1].cause, errors[0]);
});

Deno.test("runAll() hands the signal on", async () => {
  const abort = new AbortController();
  const all = runAll([
    orchestrator("x", { work: hang }),
    orchestrator("y", { work: hang }),
  ], abort);
  for await (const { type } of all) if (type === "test-started") break;
  abort.abort(new Error("enough"));
  const { errors, exitCode } = await all.finished;
  equal(errors.map(({ kind }) => kind), ["Aborted", "Aborted"]);
  equal(exitCode, 2);
});

Deno.test("runAll() waits for all runs, also if one fails in a way of its own", async () => {
  const plain = new Error("plain");
  const broken = {
    run: () => ({
      finished: Promise.reject(plain),
      async *[Symbol.asyncIterator]() {},
    }),
  } as unknown as Orchestrator;
  for (const failFast of [true, false]) {
    const pool = new PretendedPool();
    const waiting = orchestrator("waiting", { provisioner: pool, work: hang });
    const all = runAll([broken, waiting], { failFast });
    if (!failFast) {
      for await (const { type } of all) if (type === "test-started") break;
      equal(pool.reasons, []);
      await all[Symbol.asyncDispose]();
      equal(pool.reasons, ["abort"]);
    }
    equal(await all.finished.catch((error) => error), plain);
    equal(await all.runs[1].finished.catch(({ kind }) => kind), "Aborted");
  }
  const { errors } = await runAll([broken, broken]).finished
    .catch((error) => error);
  equal(errors, [plain, plain]);
});

Deno.test("disposing of all runs ends them and waits", async () => {
  const pool = new PretendedPool();
  {
    await using all = runAll([
      orchestrator("x", { provisioner: pool, work: hang }),
    ]);
    for await (const { type } of all) if (type === "test-started") break;
  }
  equal(pool.reasons, ["abort"]);
});

Deno.test("runAll() begins none for good if one of them ran before", async () => {
  const pool = new PretendedPool();
  const fresh = orchestrator("fresh", { provisioner: pool });
  const used = orchestrator("used");
  await used.run().finished;
  throws(() => runAll([fresh, used]), { name: "TypeError" });
  await new Promise((resolve) => setTimeout(resolve, 10));
  equal(pool.asked, 0);
});

Deno.test("runAll() refuses a provisioner that two of them have, and begins none for good", async () => {
  const pool = new PretendedPool();
  const one = orchestrator("x", { provisioner: pool });
  const other = orchestrator("y", { provisioner: pool });
  throws(() => runAll([one, other]), {
    name: "TypeError",
    message:
      'Cannot run tests on "y": a run on "x" that has not ended has the provisioner "pool"; a provisioner for each, or one run after the other, would be right',
  });
  await new Promise((resolve) => setTimeout(resolve, 10));
  equal(pool.asked, 0);
});
