import {
  deepStrictEqual,
  match,
  ok,
  rejects,
  strictEqual,
  throws,
} from "node:assert/strict";
import { GitHubAggregator } from "../../aggregators/github.ts";
import { HtmlReportAggregator } from "../../aggregators/html.ts";
import { JsonLinesAggregator } from "../../aggregators/jsonl.ts";
import { JUnitAggregator } from "../../aggregators/junit.ts";
import { MultiAggregator } from "../../aggregators/multi.ts";
import {
  ReportPortalAggregator,
  ReportPortalApi,
} from "../../aggregators/report_portal.ts";
import { Tally } from "../../aggregators/tally.ts";
import { YamlAggregator } from "../../aggregators/yaml.ts";
import type { Executor } from "../../executors/executor.ts";
import {
  type AdHocOptions,
  AdHocOrchestrator,
} from "../../orchestrators/adhoc.ts";
import {
  type Orchestrator,
  OrchestratorError,
} from "../../orchestrators/orchestrator.ts";
import { reruns } from "../../orchestrators/policies.ts";
import { SimpleOrchestrator } from "../../orchestrators/simple.ts";
import {
  PretendedAggregator,
  PretendedExecutor,
  PretendedPool,
  untilAborted,
} from "./_pretend.ts";

/** Has these tests already. */
class Stored extends PretendedAggregator {
  readonly #stored: ReadonlySet<string>;
  allowDuplicate = false;

  constructor(...stored: string[]) {
    super();
    this.#stored = new Set(stored);
  }

  count = (_platform: string, test: string) => this.#stored.has(test) ? 1 : 0;
}

const TESTS = ["/a", "/b", "/c"];

/** Both orchestrators. */
function both(
  pool: PretendedPool,
  options: Partial<Omit<AdHocOptions, "provisioners">> = {},
): Orchestrator[] {
  const common = {
    platform: "here",
    tests: TESTS,
    executor: () => new PretendedExecutor(pool.remotes[0]),
    aggregator: new PretendedAggregator(),
    ...options,
  };
  return [
    new AdHocOrchestrator({ ...common, provisioners: [pool] }),
    new SimpleOrchestrator({
      ...common,
      destructive: false,
      provisioner: pool,
    }),
  ];
}

async function refused(orchestrator: Orchestrator): Promise<OrchestratorError> {
  const error = await orchestrator.run().finished.then(
    () => undefined,
    (error) => error,
  );
  ok(error instanceof OrchestratorError, Deno.inspect(error));
  deepStrictEqual(error.summary.notRun, TESTS);
  return error;
}

Deno.test("results that are stored already are told before a system is taken", async () => {
  for (const stored of [["/b"], ["/c", "/b"]]) {
    const pool = new PretendedPool();
    const aggregator = new Stored(...stored);
    for (const orchestrator of both(pool, { aggregator })) {
      const { kind, message } = await refused(orchestrator);
      strictEqual(kind, "ResultsExist");
      match(
        message,
        stored.length === 1
          ? /: the results of "\/b" are stored already; to go on with a run, give it the "journal"/
          : /: the results of 2 tests, "\/b" among them, are stored already; /,
      );
      strictEqual(pool.asked, 0);
    }
    aggregator.allowDuplicate = true;
    for (const orchestrator of both(new PretendedPool(), { aggregator })) {
      strictEqual((await orchestrator.run().finished).passed, 3);
    }
  }
});

Deno.test("results of which a new journal does not tell are told before a system is taken", async () => {
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  const pool = new PretendedPool();
  const [adhoc] = both(pool, {
    aggregator: new Stored("/a"),
    journal: `${directory}/run.journal`,
  });
  const { kind, message } = await refused(adhoc);
  strictEqual(kind, "ResultsExist");
  match(
    message,
    /although the journal ".*run\.journal" does not tell of them; to begin anew, remove both/,
  );
  strictEqual(pool.asked, 0);
  await Deno.remove(directory, { recursive: true });
});

Deno.test("a journal is refused with an aggregator that cannot go on", () => {
  throws(
    () => both(new PretendedPool(), { aggregator: new Tally(), journal: "j" }),
    { name: "TypeError", message: /for a Tally .* stored: readResults\(…\)/ },
  );
  const results = new JsonLinesAggregator({ results: "r", files: "f" });
  for (const name of ["aggregator", "earlier"]) {
    throws(
      () => both(new PretendedPool(), { [name]: results, journal: "j" }),
      {
        name: "TypeError",
        message: new RegExp(
          `^Cannot run tests: with a "journal", the "${name}" must .*"continue"`,
        ),
      },
    );
  }
});

Deno.test("an aggregator that was not started, or stopped, is told before a system is taken", async () => {
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  const api = new ReportPortalApi({ url: "http://localhost", project: "p" });
  const paths = (name: string) => ({
    results: `${directory}/${name}`,
    files: `${directory}/${name}.files`,
  });
  const stopped = await new Tally().start();
  await stopped.stop();
  for (
    const aggregator of [
      stopped,
      new JsonLinesAggregator(paths("jsonl")),
      new YamlAggregator(paths("yaml")),
      new JUnitAggregator({ target: `${directory}/xml` }),
      new HtmlReportAggregator({ report: `${directory}/html` }),
      new GitHubAggregator(),
      new MultiAggregator([new Tally()]),
      new ReportPortalAggregator({ api, launch: "l" }),
    ]
  ) {
    const pool = new PretendedPool();
    for (const orchestrator of both(pool, { aggregator })) {
      const { kind, message } = await refused(orchestrator);
      strictEqual(kind, "IngestFailed");
      match(
        message,
        /: the "aggregator" is not started, or was stopped: await/,
      );
    }
    const journal = `${directory}/run.journal`;
    const aggregators = {
      aggregator: await new Tally().start(),
      earlier: stopped,
    };
    const [adhoc] = both(pool, aggregators);
    match((await refused(adhoc!)).message, /: the "earlier" is not started/);
    const goesOn = new Tally({ stored: [] });
    const [resumed] = both(pool, { aggregator: goesOn, journal });
    match((await refused(resumed!)).message, /: the "aggregator" is not/);
    strictEqual(pool.asked, 0);
  }
  // nothing was made
  deepStrictEqual([...Deno.readDirSync(directory)], []);
  api[Symbol.dispose]();
  await Deno.remove(directory, { recursive: true });
});

Deno.test("a place for artifacts that is none is told before a system is taken", async () => {
  const file = await Deno.makeTempFile({ prefix: "atex-test-" });
  for (const artifacts of [file, `${file}/below`]) {
    const pool = new PretendedPool();
    for (const orchestrator of both(pool, { artifacts })) {
      const { kind, message, cause } = await refused(orchestrator);
      strictEqual(kind, "IngestFailed");
      match(message, /there is no place for artifacts: .*(exists|directory)/i);
      ok(cause instanceof Error);
      strictEqual(pool.asked, 0);
    }
  }
  await Deno.remove(file);
});

Deno.test("an aggregator for earlier attempts that takes a test once is refused if one can run again more often", async () => {
  const create = (
    rerun: AdHocOptions["rerun"],
    allowDuplicate: boolean | undefined,
    isBoth = false,
  ) => {
    const earlier = Object.assign(new PretendedAggregator(), {
      allowDuplicate,
    });
    const aggregator = isBoth ? earlier : new PretendedAggregator();
    const [adhoc] = both(new PretendedPool(), { rerun, earlier, aggregator });
    return adhoc!;
  };
  const right = ": allowDuplicate: true would be right for it";
  throws(() => create(reruns(2), false), {
    name: "TypeError",
    message:
      `Cannot run tests: with up to 2 reruns, "earlier" is given a test more than once${right}`,
  });
  throws(() => create(reruns(1), false, true), {
    name: "TypeError",
    message:
      `Cannot run tests: what is "earlier" and the "aggregator", too, is given a test that runs again more than once${right}`,
  });
  for (
    const [rerun, ...rest] of [
      [reruns(1), false],
      [reruns(2), true],
      [reruns(2), undefined], // it does not tell
      [({ attempt }) => attempt < 3, false],
      [reruns(0), false, true],
      [reruns(1), true, true],
    ] as Parameters<typeof create>[]
  ) {
    strictEqual((await create(rerun, ...rest).run().finished).passed, 3);
  }
  const results = { results: "r", files: "f" };
  const each = [new JsonLinesAggregator(results), new YamlAggregator(results)];
  for (const earlier of [...each, new MultiAggregator(each)]) {
    throws(
      () => both(new PretendedPool(), { earlier, rerun: reruns(2) }),
      /allowDuplicate: true would be right/,
    );
  }
});

Deno.test("a test that the executor does not have is told before a system is prepared", async () => {
  const pool = new PretendedPool();
  let starts = 0;
  const executor = () =>
    Object.assign(new PretendedExecutor(pool.remotes[0]), {
      has: (name: string) => name === "/b",
      start(this: Executor) {
        starts++;
        return Promise.resolve(this);
      },
    });
  for (const orchestrator of both(pool, { executor })) {
    const { kind, message } = await refused(orchestrator);
    strictEqual(kind, "UnknownTest");
    match(message, /: there are no tests "\/a", "\/c"; 3 of 3 tests were not/);
  }
  deepStrictEqual([starts, pool.reasons.length], [0, pool.remotes.length]);
});

Deno.test("an ingest that takes too long counts as failed, and keeps its artifacts", async () => {
  const artifacts = await Deno.makeTempDir({ prefix: "atex-test-" });
  const late = Promise.withResolvers<void>();
  for (
    const orchestrator of both(new PretendedPool(), {
      artifacts,
      aggregator: new PretendedAggregator((test) =>
        test === "/b" ? late.promise : undefined
      ),
      ingestTimeout: 50,
    })
  ) {
    await rejects(orchestrator.run().finished, (error: OrchestratorError) => {
      strictEqual(error.kind, "IngestFailed");
      const [failure, ...others] = error.summary.ingestErrors;
      deepStrictEqual(others, []);
      match(
        failure.error.message,
        /^Cannot store the results of "\/b": it takes longer than 50 ms$/,
      );
      ok(Deno.statSync(failure.artifacts).isDirectory);
      return true;
    });
  }
  late.resolve();
  await Deno.remove(artifacts, { recursive: true });
});

Deno.test("time limits of SimpleOrchestrator are checked and kept", async () => {
  for (const name of ["setupTimeout", "ingestTimeout", "releaseTimeout"]) {
    throws(() => both(new PretendedPool(), { [name]: 0 })[1], RangeError);
  }
  const pool = new PretendedPool();
  const executor = () =>
    Object.assign(new PretendedExecutor(pool.remotes[0]), {
      start: ({ signal }: { signal?: AbortSignal } = {}) =>
        untilAborted(signal),
    });
  const [, simple] = both(pool, { executor, setupTimeout: 20 });
  const { kind, cause } = await refused(simple);
  strictEqual(kind, "SetupRetriesExceeded");
  match(`${cause}`, /takes longer than 20 ms/);
});

Deno.test("who insists on an end waits for neither tests nor clean-ups nor results", async () => {
  const artifacts = await Deno.makeTempDir({ prefix: "atex-test-" });
  const forEver = () => new Promise<never>(() => {});
  const stuck = Promise.withResolvers<void>();
  const pool = new PretendedPool({ maxRemotes: 2, reusable: true });
  const abort = new AbortController();
  const insisted = new AbortController();
  const run = new AdHocOrchestrator({
    platform: "here",
    tests: TESTS,
    provisioners: [pool],
    executor: (remote) =>
      Object.assign(
        new PretendedExecutor(
          remote,
          (test) => test === "/a" ? 0 : forEver(),
        ),
        { stop: forEver },
      ),
    aggregator: new PretendedAggregator(() => {
      stuck.resolve();
      return forEver();
    }),
    artifacts,
  }).run({ signal: abort.signal });
  await stuck.promise;
  while (run.status.running < 2) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  abort.abort(
    Object.assign(new Error("enough"), { insisted: insisted.signal }),
  );
  setTimeout(() => insisted.abort(), 50);
  const began = performance.now();
  await rejects(run.finished, { kind: "Aborted" });
  ok(performance.now() - began < 10_000, "the usual grace is 30 s");
  deepStrictEqual(pool.reasons, ["abort", "abort"]);
  await Deno.remove(artifacts, { recursive: true });
});
