import {
  deepStrictEqual as equal,
  match,
  ok,
  strictEqual,
} from "node:assert/strict";
import type { IngestInfo, Stored } from "../../aggregators/aggregator.ts";
import type { SignalOptions } from "../../connections/connection.ts";
import { JsonLinesAggregator } from "../../aggregators/jsonl.ts";
import { MultiAggregator } from "../../aggregators/multi.ts";
import { readResults } from "../../aggregators/reader.ts";
import { Tally } from "../../aggregators/tally.ts";
import {
  type AdHocOptions,
  AdHocOrchestrator,
} from "../../orchestrators/adhoc.ts";
import type {
  OrchestratorError,
  Run,
  RunEvent,
  RunSummary,
} from "../../orchestrators/orchestrator.ts";
import { readEventLog, writeEventLog } from "../../orchestrators/event_log.ts";
import { Tally as EventTally } from "../../orchestrators/_tally.ts";
import { reruns } from "../../orchestrators/policies.ts";
import { runBesideUpload } from "./_run_beside_upload.ts";
import { cannotRun } from "../_parts.ts";
import { onSmallDisk, smallDiskAvailable } from "../_small_disk.ts";
import { incomplete } from "./_incomplete.ts";
import {
  PretendedAggregator,
  PretendedExecutor,
  PretendedPool,
  untilAborted,
} from "./_pretend.ts";

type Work = ConstructorParameters<typeof PretendedExecutor>[1];

/** Knows what it has, also of earlier runs. */
class Lasting extends PretendedAggregator {
  readonly infos = new Map<string, IngestInfo>();

  count = (_platform: string, test: string) =>
    this.tests.filter((one) => one === test).length;

  override ingest(
    platform: string,
    test: string,
    artifacts: string | URL,
    info: IngestInfo = {},
  ) {
    this.infos.set(test, info);
    return super.ingest(platform, test, artifacts, info);
  }
}

/** A directory for a journal, and what each process of a run starts with. */
class Place implements AsyncDisposable {
  private constructor(readonly path: string) {}

  static async open(): Promise<Place> {
    return new Place(await Deno.makeTempDir({ prefix: "atex-test-" }));
  }

  get journal(): string {
    return `${this.path}/run.journal`;
  }

  get names(): string[] {
    return [...Deno.readDirSync(this.path)].map(({ name }) => name).sort();
  }

  run(
    { work, signal, ...others }: Partial<AdHocOptions> & {
      work?: Work;
      signal?: AbortSignal;
    },
  ): Run {
    return new AdHocOrchestrator({
      platform: "here",
      tests: ["/a", "/b", "/c"],
      provisioners: [new PretendedPool({ maxRemotes: 1 })],
      executor: (remote) => new PretendedExecutor(remote, work),
      aggregator: new Lasting(),
      journal: this.journal,
      ...others,
    }).run({ signal });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}

const shape = ({ passed, failed, flaky, reruns, notRun }: RunSummary) => ({
  passed,
  failed,
  flaky,
  reruns,
  notRun,
});

Deno.test("a run with a journal that was aborted goes on where it was", async () => {
  await using place = await Place.open();
  const aggregator = new Lasting();
  const abort = new AbortController();
  const first = await incomplete(place.run({
    aggregator,
    rerun: reruns(1),
    signal: abort.signal,
    work: (test, _artifacts, { signal, attempt }) => {
      if (test === "/a") return attempt === 1 ? 3 : 0;
      if (test === "/b") return 4;
      abort.abort();
      return untilAborted(signal);
    },
  }));
  equal(first.kind, "Aborted");
  equal(place.names, ["run.journal"]);

  const ran: [string, number?][] = [];
  const run = place.run({
    aggregator,
    rerun: reruns(1),
    work: (test, _artifacts, { attempt }) => {
      ran.push([test, attempt]);
      return test === "/b" ? 4 : 0;
    },
  });
  const events: RunEvent[] = [];
  for await (const event of run) events.push(event);
  const summary = await run.finished;
  equal(ran, [["/a", 2], ["/b", 2], ["/c", 2]], "/a and /b were to run again");
  equal(shape(summary), {
    passed: 2,
    failed: 1,
    flaky: 1, // an interruption makes no test flaky
    reruns: 2,
    notRun: [],
  });
  equal(aggregator.tests, ["/a", "/b", "/c"]);
  equal(aggregator.infos.get("/a")?.earlier, [
    { status: "fail", note: "exit code 3" },
  ]);
  equal(aggregator.infos.get("/c")?.earlier, [
    { status: "infra", note: "interrupted" },
  ]);
  const resumed = events.find(({ type }) => type === "run-resumed");
  ok(resumed?.type === "run-resumed");
  equal([resumed.done, resumed.interrupted, resumed.reruns], [[], ["/c"], 2]);
});

Deno.test("journal and event log can be read whatever blocks of one's own give", async () => {
  await using place = await Place.open();
  const log = `${place.path}/events.jsonl`;
  class OwnPool extends PretendedPool {
    override async getRemote(options?: SignalOptions) {
      const remote = await super.getRemote(options);
      const attributes = { cpus: 4, disks: ["a"], kind: "own" };
      return Object.assign(remote, { attributes });
    }
  }
  const run = place.run({
    provisioners: [new OwnPool()],
    work: (test) => test === "/a" ? null as unknown as number : 0,
    aggregator: new PretendedAggregator((test) =>
      (test === "/b"
        ? true
        : { directory: "/out", size: 1n }) as unknown as Stored
    ),
  });
  await writeEventLog(run, log);
  const { passed, failed, ingested } = await run.finished;
  equal([passed, failed], [2, 1]);
  match(ingested.get("/a")!.error!.message, /null, which is no exit code/);

  const events = await Array.fromAsync(readEventLog(log));
  const ready = events.find((event) => event.type === "remote-ready")!;
  equal(ready.attributes, { cpus: "4", disks: '[ "a" ]', kind: "own" });
  equal(
    events.filter((event) => event.type === "ingest-finished")
      .map(({ test, stored }) => [test, stored])
      .sort(),
    [["/a", { directory: "/out" }], ["/b", undefined], ["/c", {
      directory: "/out",
    }]],
  );
  const again = place.run({ aggregator: new PretendedAggregator() });
  equal(shape(await again.finished), shape(await run.finished));
});

Deno.test("a run whose journal is complete has nothing to do, and the same summary", async () => {
  await using place = await Place.open();
  const aggregator = new Lasting();
  const options = {
    aggregator,
    rerun: reruns(1),
    work: ((test, _artifacts, { attempt = 0 }) => {
      if (test === "/c") throw new TypeError("lost");
      return test === "/a" ? 2 - attempt : 0;
    }) as Work,
  };
  const first = await place.run(options).finished;
  equal(shape(first), {
    passed: 2,
    failed: 1,
    flaky: 1,
    reruns: 2,
    notRun: [],
  });
  const pool = new PretendedPool();
  const run = place.run({ ...options, provisioners: [pool] });
  const events = await Array.fromAsync(run);
  const second = await run.finished;
  equal(shape(second), shape(first));
  const { error } = second.ingested.get("/c")!;
  equal([error?.name, error?.message], ["TypeError", "lost"]);
  equal([pool.asked, aggregator.tests.length], [0, 3]);
  equal(events.map(({ type }) => type), [
    "run-started",
    "run-resumed",
    "run-finished",
  ]);
  equal(run.status.done, 3);
  const tally = new EventTally();
  for (const event of events) tally.take(event);
  equal(tally.status, run.status);
});

Deno.test("where the output of a test that failed is, is told by the next run, too", async () => {
  await using place = await Place.open();
  const stored = new Set<string>();
  const aggregator = Object.assign(
    new PretendedAggregator((test) => {
      stored.add(test);
      return { output: `out${test}/output.txt`, directory: `out${test}` };
    }),
    { count: (_: string, test: string) => stored.has(test) ? 1 : 0 },
  );
  const run = () => place.run({ aggregator, work: (test) => +(test === "/b") });
  await run().finished;
  const events = await Array.fromAsync(run());
  const [begun, resumed] = events;
  ok(begun?.type === "run-started" && resumed?.type === "run-resumed");
  equal(begun.journal, place.journal);
  equal(resumed.failed, ["/b"]);
  equal(resumed.outputs, { "/b": "out/b/output.txt" });
});

Deno.test("results that could not be stored are stored by the next run, without running the test", async () => {
  await using place = await Place.open();
  let full = true;
  const seen: string[] = [];
  const aggregator = new Lasting(async (test, artifacts) => {
    if (full) throw new Error("disk full");
    seen.push(test + await Deno.readTextFile(`${artifacts}/results`));
    await Deno.remove(`${artifacts}/results`);
  });
  const work: Work = (_test, artifacts) => {
    Deno.writeTextFileSync(`${artifacts}/results`, "!");
    return 0;
  };
  equal(
    (await incomplete(place.run({ aggregator, work }))).kind,
    "IngestFailed",
  );
  const again = await incomplete(place.run({ aggregator, work }));
  equal(again.kind, "IngestFailed");
  match(again.message, /of 3 tests could not be stored; those of "\/a" are in/);
  for (const { artifacts } of again.summary.ingestErrors) {
    equal(await Deno.readTextFile(`${artifacts}/results`), "!");
  }
  full = false;
  aggregator.infos.clear();
  const { passed } = await place.run({
    aggregator,
    work: () => {
      throw new Error("it must not run");
    },
  }).finished;
  equal(aggregator.infos.get("/a")?.exitCode, 0, "as the journal tells");
  equal([passed, seen.sort()], [3, ["/a!", "/b!", "/c!"]]);
  equal(place.names, ["run.journal"]);
});

for (const order of ["first", "last"] as const) {
  Deno.test(`results for several aggregators reach each of them, wherever the script was killed, if one that cannot count comes ${order}`, async () => {
    const script = new URL("_killed_beside_upload.ts", import.meta.url);
    for (const works of [true, false]) {
      let killed = true;
      for (let step = 0; killed; step++) {
        await using place = await Place.open();
        const { path } = place;
        const { stdout, signal } = await new Deno.Command(Deno.execPath(), {
          args: [
            ...["run", "-qA", "--no-check", script.pathname],
            ...[path, JSON.stringify({ order, works }), `${step}`],
          ],
        }).output();
        killed = signal === "SIGKILL";
        const kind = works ? "complete" : "IngestFailed"; // it may be away for longer
        const said = new TextDecoder().decode(stdout).trim();
        const what = `killed at step ${step}, while it ${works}`;
        equal(said, killed ? "" : kind, what);
        equal(await runBesideUpload(path, { order, works }), kind, what);
        for (const works of [true, false]) {
          const end = await runBesideUpload(path, { order, works });
          equal(end, "complete", what);
        }
        const uploads = Deno.readTextFileSync(`${path}/uploads`)
          .split("/a\n").length - 1;
        // once more only if the script was killed while it took them
        ok(uploads === 1 || works && killed && uploads === 2, what);
        const lines = Deno.readTextFileSync(`${path}/results.jsonl`);
        equal(lines.trim(), '["here","pass","/a",null,[],null]', what);
        const left = ["files", "results.jsonl", "run.journal", "uploads"];
        equal(place.names, left, what);
        equal(Deno.readTextFileSync(`${path}/files/here/a/log`), "log");
      }
    }
  });
}

Deno.test("a test that not all of several aggregators have for sure runs again for those that cannot tell", async () => {
  await using place = await Place.open();
  const lasting = new Lasting((test) => {
    if (lasting.tests.includes(test)) throw new Error(`${test} twice`);
  });
  const uploaded: string[] = [];
  const pass: Work = (_test, artifacts) => {
    Deno.writeTextFileSync(`${artifacts}/results`, "{}\n");
    return 0;
  };
  const upload = new PretendedAggregator((test) => void uploaded.push(test));
  const run = async () => {
    const children = [lasting, upload];
    await using aggregator = await new MultiAggregator(children).start();
    return (await place.run({ aggregator, work: pass }).finished).passed;
  };
  await run();
  // the host went down, and with it artifacts and the last lines
  const lines = await Deno.readTextFile(place.journal);
  await Deno.writeTextFile(
    place.journal,
    lines.replace(/\{"type":"stored","test":"\/b".*\n/, ""),
  );
  for (let n = 0; n < 2; n++) equal(await run(), 3);
  equal(lasting.tests.toSorted(), ["/a", "/b", "/c"]);
  equal(uploaded.toSorted(), ["/a", "/b", "/b", "/c"]);
});

Deno.test("a test is not taken for stored because an earlier run stored it", async () => {
  await using place = await Place.open();
  const aggregator = Object.assign(new Lasting(), { allowDuplicate: true });
  aggregator.tests.push("/a", "/b", "/c");
  const abort = new AbortController();
  await incomplete(place.run({
    aggregator,
    signal: abort.signal,
    work: (test, _artifacts, { signal }) => {
      if (test === "/a") return 0;
      abort.abort();
      return untilAborted(signal);
    },
  }));
  await place.run({ aggregator }).finished;
  const { passed } = await place.run({ aggregator }).finished;
  equal(passed, 3);
  equal(aggregator.tests.toSorted(), ["/a", "/a", "/b", "/b", "/c", "/c"]);
});

Deno.test("a tally that is told what is stored is right after a run that went on, also if some aggregators took a test before", async () => {
  await using place = await Place.open();
  const results = `${place.path}/results.jsonl`;
  let away = true;
  const run = async (work: Work, signal?: AbortSignal) => {
    const tally = new Tally({ stored: readResults(results) });
    await using aggregator = await new MultiAggregator([
      new JsonLinesAggregator({
        results,
        files: `${place.path}/files`,
        existing: "continue",
      }),
      tally,
      new PretendedAggregator(() => {
        if (away) throw new Error("away");
      }),
    ]).start();
    await place.run({ aggregator, work, signal }).finished.catch(() => {});
    return [tally.total, tally.failed];
  };
  const abort = new AbortController();
  const first = await run((test, artifacts, { signal }) => {
    const status = test === "/a" ? "fail" : "pass";
    Deno.writeTextFileSync(`${artifacts}/results`, JSON.stringify({ status }));
    if (test !== "/c") return status === "fail" ? 1 : 0;
    abort.abort();
    return untilAborted(signal);
  }, abort.signal);
  equal(first, [2, 1]);
  away = false;
  const second = await run((_test, artifacts) => {
    Deno.writeTextFileSync(`${artifacts}/results`, '{"status":"pass"}');
    return 0;
  });
  equal(second, [3, 1]);
});

Deno.test("results that vanished are made once more", async () => {
  await using place = await Place.open();
  await place.run({}).finished;
  const attempts: unknown[] = [];
  const aggregator = new Lasting();
  await place.run({
    aggregator,
    work: (_test, _artifacts, { attempt }) => attempts.push(attempt) * 0,
  }).finished;
  equal(attempts, [2, 2, 2]);
  equal(aggregator.tests, ["/a", "/b", "/c"]);
});

Deno.test("a run refuses the journal of another one, and says what to do", async () => {
  await using place = await Place.open();
  await place.run({}).finished;
  const before = await Deno.readTextFile(place.journal);
  const pool = new PretendedPool();
  const { kind, message } = await incomplete(
    place.run({ tests: ["/a"], provisioners: [pool] }),
  );
  equal(kind, "JournalFailed");
  strictEqual(
    message,
    `Cannot complete the run on "here": the journal "${place.journal}" cannot be used: it is of 3 tests, not of these 1; to begin anew, remove it and what was stored, or give other paths; 1 of 1 tests were not run`,
  );
  equal(pool.asked, 0);
  equal(await Deno.readTextFile(place.journal), before);
  equal(place.names, ["run.journal"]);
});

Deno.test("a run refuses a journal that another one writes to", async () => {
  await using place = await Place.open();
  const { promise, resolve } = Promise.withResolvers<number>();
  const first = place.run({ work: () => promise });
  for await (const { type } of first) if (type === "test-started") break;
  const { kind, message } = await incomplete(place.run({}));
  equal(kind, "JournalFailed");
  match(message, /the run that writes to it has not ended/);
  resolve(0);
  equal((await first.finished).passed, 3);
});

Deno.test("a run refuses a journal that cannot be opened", async () => {
  await using place = await Place.open();
  await Deno.mkdir(place.journal);
  const { kind, message } = await incomplete(place.run({}));
  equal(kind, "JournalFailed");
  match(message, /run\.journal/);
});

Deno.test("a run whose journal cannot be written stores what runs, and ends", async () => {
  await using place = await Place.open();
  const aggregator = new Lasting();
  const write = Deno.FsFile.prototype.writeSync;
  let error: OrchestratorError;
  try {
    error = await incomplete(place.run({
      aggregator,
      work: () => {
        Deno.FsFile.prototype.writeSync = () => {
          throw new Error("No space left on device (os error 28)");
        };
        return 0;
      },
    }));
  } finally {
    Deno.FsFile.prototype.writeSync = write;
  }
  equal(error.kind, "JournalFailed");
  strictEqual(
    error.message,
    `Cannot complete the run on "here": the journal "${place.journal}" cannot be written: No space left on device (os error 28); 2 of 3 tests were not run`,
  );
  equal([...error.summary.ingested.keys()], ["/a"]);
  equal(error.summary.notRun, ["/b", "/c"]);
  equal(aggregator.tests, ["/a"]);

  // the journal does not tell of the end of /a, but the aggregator has it
  const { ingested } = await place.run({ aggregator }).finished;
  equal(aggregator.tests, ["/a", "/b", "/c"]);
  match(ingested.get("/a")!.error!.message, /does not tell what came of "\/a"/);
});

Deno.test({
  name: "a journal on a disk that is full for a while loses nothing",
  ignore: cannotRun(
    "journals on a full disk",
    smallDiskAvailable ? undefined : "no file system can be mounted",
  ),
  fn: async () => {
    await using place = await Place.open();
    const { first, stored, second, tests } = onSmallDisk(
      place.path,
      "512k",
      "orchestrators/_journal_on_small_disk.ts",
      [place.path],
    ) as { first: string; stored: number; second: number; tests: number };
    match(first, /^JournalFailed: .*run\.journal" cannot be written: No space/);
    ok(stored > 10 && stored < tests, `${stored}`);
    equal(second, tests);
  },
});

Deno.test("a run that is aborted before it begins leaves its journal alone", async () => {
  await using place = await Place.open();
  const { kind } = await incomplete(place.run({ signal: AbortSignal.abort() }));
  equal([kind, place.names], ["Aborted", []]);
});

Deno.test("a journal may be given as a URL, and not as nothing", async () => {
  await using place = await Place.open();
  const journal = new URL(`file://${place.path}/new/a.journal`);
  await place.run({ journal }).finished;
  ok((await Deno.stat(journal)).isFile);
  let thrown: unknown;
  try {
    place.run({ journal: "" });
  } catch (error) {
    thrown = error;
  }
  match(String(thrown), /^RangeError: Cannot run tests: "journal" is empty$/);
});

Deno.test("a directory that a journal names is only removed if its name is of a run", async () => {
  await using place = await Place.open();
  const aggregator = new Lasting();
  await place.run({ aggregator }).finished;
  const precious = `${place.path}/precious`;
  await Deno.mkdir(precious);
  const text = await Deno.readTextFile(place.journal);
  await Deno.writeTextFile(
    place.journal,
    text.replace(
      /"artifacts":"[^"]*\/atex-[0-9a-f-]{36}"/,
      `"artifacts":"${precious}"`,
    ),
  );
  await place.run({ aggregator }).finished;
  ok((await Deno.stat(precious)).isDirectory);
});

Deno.test("nothing for journals is loaded by a run without one", async () => {
  const script = new URL("../../orchestrators/adhoc.ts", import.meta.url);
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", script.href],
  }).output();
  const { modules } = JSON.parse(new TextDecoder().decode(stdout));
  type Dependency = { specifier: string; code?: unknown; isDynamic?: boolean };
  const loads = (name: string) =>
    modules.flatMap(({ dependencies = [] }: { dependencies: Dependency[] }) =>
      dependencies.filter(({ specifier, code }) =>
        specifier === `./${name}.ts` && code
      )
    );
  for (const name of ["_continue", "_journal_file"]) {
    equal(
      loads(name).map(({ isDynamic }: Dependency) => isDynamic),
      [true],
      name,
    );
  }
});
