import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import {
  type Aggregator,
  DuplicateResultError,
} from "../../aggregators/aggregator.ts";
import { GitHubAggregator } from "../../aggregators/github.ts";
import { HtmlReportAggregator } from "../../aggregators/html.ts";
import { JsonLinesAggregator, readJsonLines } from "../../aggregators/jsonl.ts";
import { JUnitAggregator } from "../../aggregators/junit.ts";
import { ChildFailedError, MultiAggregator } from "../../aggregators/multi.ts";
import { Tally } from "../../aggregators/tally.ts";
import { YamlAggregator } from "../../aggregators/yaml.ts";
import { rejected, thrown } from "../_thrown.ts";
import { inMemory } from "../_memory.ts";
import { contents, layOut, temporary } from "./_artifacts.ts";
import { Place } from "./_place.ts";
import { type Doings, pretend } from "./_pretend.ts";

/** Starts several aggregators as one. */
function start(
  place: Place,
  ...children: (Aggregator | Doings)[]
): Promise<MultiAggregator> {
  return place.start(
    new MultiAggregator(
      children.map((child) =>
        Symbol.asyncDispose in child ? child : pretend(child)
      ),
    ),
  );
}

/** JSON lines with a number. */
function jsonl(place: Place, number: number): JsonLinesAggregator {
  return new JsonLinesAggregator({
    results: `${place.root}/${number}.jsonl`,
    files: `${place.root}/files${number}`,
  });
}

/** Copies of artifacts that nobody removed. */
function copies(place: Place): string[] {
  return [...Deno.readDirSync(`${place.root}/artifacts`)]
    .map(({ name }) => name).filter((name) => name.startsWith("atex-multi-"));
}

/** What is in a directory of artifacts, but for the note who has them. */
function entries(artifacts: string): string[] {
  return Object.keys(contents(artifacts)).filter((name) => name !== "taken-by");
}

function makePipe(path: string): void {
  const { success } = new Deno.Command("mkfifo", { args: [path] }).outputSync();
  ok(success);
}

Deno.test("MultiAggregator needs an aggregator", () => {
  thrown(() => new MultiAggregator([]), TypeError, "give an aggregator");
});

Deno.test("MultiAggregator starts in order, and stops in reverse order", async () => {
  const steps: string[] = [];
  const child = (name: string): Doings => ({
    start: () => void steps.push(`start ${name}`),
    stop: () => void steps.push(`stop ${name}`),
  });
  await using place = new Place();
  const multi = await start(place, child("a"), child("b"), child("c"));
  await rejected(multi.start(), Error, "twice");
  await Promise.all([multi.stop(), multi.stop()]);
  await multi[Symbol.asyncDispose]();
  deepStrictEqual(steps, [
    "start a",
    "start b",
    "start c",
    "stop c",
    "stop b",
    "stop a",
  ]);
  // it can be used again
  await multi.start();
  strictEqual(steps.length, 9);
});

Deno.test("MultiAggregator.start() that fails stops what was started, and can be repeated", async () => {
  await using place = new Place();
  const steps: string[] = [];
  let broken = true;
  const multi = new MultiAggregator([
    jsonl(place, 1),
    pretend({
      stop() {
        steps.push("stop");
        throw new Error("not this one");
      },
    }),
    pretend({
      start() {
        if (broken) throw new RangeError("out of order");
      },
      stop: () => void steps.push("never"),
    }),
  ]);
  await rejected(multi.start(), RangeError, "out of order");
  deepStrictEqual(steps, ["stop"]);
  await rejected(
    multi.ingest("p", "/t", place.artifacts()),
    Error,
    "not started",
  );
  broken = false;
  await multi.start();
  await rejected(multi.stop(), Error, "not this one");
  deepStrictEqual(steps, ["stop", "never", "stop"]);
});

Deno.test("MultiAggregator.start() that fails leaves nothing of what was started, and tells nobody of it", async () => {
  await using place = new Place();
  const { root } = place;
  const summary = `${root}/summary.md`;
  let written = "";
  const multi = new MultiAggregator([
    new JsonLinesAggregator({
      results: `${root}/a/results.jsonl`,
      files: `${root}/b/files`,
    }),
    new JsonLinesAggregator({
      results: `${root}/a/results.jsonl.gz`,
      files: `${root}/b/more`,
      compression: { format: "gzip" },
    }),
    new MultiAggregator([
      new YamlAggregator({
        results: `${root}/c/results.yaml`,
        files: `${root}/c/files`,
      }),
      new JUnitAggregator({ target: `${root}/d/junit.xml` }),
    ]),
    new HtmlReportAggregator({ report: `${root}/e/new/report.html` }),
    new GitHubAggregator({
      summary,
      annotations: true,
      write: (text) => written += text,
    }),
    new JUnitAggregator({ target: `${root}/taken` }),
  ]);
  Deno.writeTextFileSync(`${root}/taken`, "");
  for (let n = 0; n < 2; n++) {
    await rejected(multi.start(), Deno.errors.AlreadyExists, "taken");
    deepStrictEqual([place.entries(), written], [["taken"], ""]);
  }
  Deno.removeSync(`${root}/taken`);
  await multi.start();
  await multi.stop();
  deepStrictEqual(place.entries(), [
    "a",
    "b",
    "c",
    "d",
    "e",
    "summary.md",
    "taken",
  ]);
});

Deno.test("MultiAggregator.start() that fails takes nothing back of results that go on", async () => {
  await using place = new Place();
  const goingOn = () => [
    new JsonLinesAggregator({ ...place.paths(), existing: "continue" }),
    new JUnitAggregator({
      target: `${place.root}/junit.xml`,
      existing: "continue",
    }),
  ];
  const multi = await start(place, ...goingOn());
  await multi.ingest("p", "/t", place.artifacts());
  await multi.stop();
  const next = new MultiAggregator([
    ...goingOn(),
    pretend({
      start() {
        throw new Error("not now");
      },
    }),
  ]);
  await rejected(next.start(), Error, "not now");
  const last = await start(place, ...goingOn());
  strictEqual(last.count!("p", "/t"), 1);
});

Deno.test("MultiAggregator.stop() stops all even if some fail", async () => {
  await using place = new Place();
  const stopped: string[] = [];
  const child = (name: string, fails: boolean): Doings => ({
    stop() {
      stopped.push(name);
      if (fails) throw new Error(`no ${name}`);
    },
  });
  const one = await start(place, child("a", false), child("b", true));
  await rejected(one.stop(), Error, "no b");
  const two = await start(place, child("c", true), child("d", true));
  const error = await rejected(two.stop(), AggregateError, "no d");
  deepStrictEqual(error.errors.map(({ message }) => message), ["no d", "no c"]);
  deepStrictEqual(stopped, ["b", "a", "d", "c"]);
});

Deno.test("MultiAggregator.stop() waits for ingests under way", async () => {
  await using place = new Place();
  const steps: string[] = [];
  const multi = await start(
    place,
    {
      async ingest() {
        await new Promise((resolve) => setTimeout(resolve, 20));
        steps.push("ingested");
      },
      stop: () => void steps.push("stopped"),
    },
    jsonl(place, 1),
  );
  const done = multi.ingest("p", "/t", place.artifacts());
  await multi.stop();
  await done;
  deepStrictEqual(steps, ["ingested", "stopped"]);
  await rejected(multi.ingest("p", "/u", "nowhere"), Error, "not started");
});

Deno.test("MultiAggregator gives each the whole test, with links that lead to the same", async () => {
  await using place = new Place();
  const tally = new Tally();
  const yaml = new YamlAggregator({
    results: `${place.root}/3.yaml`,
    files: `${place.root}/files3`,
  });
  const multi = await start(
    place,
    jsonl(place, 1),
    tally,
    jsonl(place, 2),
    yaml,
  );
  const artifacts = place.artifacts(
    [{ name: "s", status: "pass", files: ["x"] }, { status: "fail" }],
    { "s/x": "1" },
  );
  Deno.writeTextFileSync(`${place.root}/artifacts/beside`, "2");
  Deno.symlinkSync("../../beside", `${artifacts}/files/link`);
  const stored = await multi.ingest("p", "/t", artifacts);
  deepStrictEqual(stored, { directory: `${place.root}/files1/p/t` });
  deepStrictEqual(contents(artifacts), {});
  for (const number of [1, 2, 3]) {
    deepStrictEqual(contents(`${place.root}/files${number}`), {
      "p/t/link": "-> ../../beside",
      "p/t/s/x": "1",
    });
  }
  strictEqual(tally.failed, 1);
  deepStrictEqual(copies(place), []);
});

Deno.test("MultiAggregator gives those that only read the artifacts themselves, and the last one after them", async () => {
  await using place = new Place();
  const seen: [string, boolean, string | undefined][] = [];
  const look = (name: string, readsOnly = false): Doings => ({
    readsOnly,
    async ingest(platform, test, directory, info) {
      strictEqual(`${platform} ${test}`, "p /t");
      deepStrictEqual(entries(directory), ["files/f", "results"]);
      await new Promise((resolve) => setTimeout(resolve, readsOnly ? 10 : 1));
      seen.push([name, directory === artifacts, info?.remote]);
      if (!readsOnly) Deno.removeSync(`${directory}/results`);
    },
  });
  const artifacts = place.artifacts([{}], { f: "1" });
  const multi = await start(
    place,
    look("a"),
    look("b"),
    look("c", true),
    look("d", true),
  );
  strictEqual(multi.readsOnly, false);
  await multi.ingest("p", "/t", artifacts, { remote: "r" });
  deepStrictEqual(seen.slice(0, -1).sort(), [
    ["a", false, "r"],
    ["c", true, "r"],
    ["d", true, "r"],
  ]);
  deepStrictEqual(seen.at(-1), ["b", true, "r"]);
});

Deno.test("MultiAggregator of those that only read is one of them", async () => {
  await using place = new Place();
  const artifacts = place.artifacts([{ status: "pass" }], { f: "1" });
  const before = contents(artifacts);
  const [one, other] = [new Tally(), new Tally()];
  const inner = new MultiAggregator([other]);
  ok(inner.readsOnly);
  const multi = await start(place, one, inner);
  ok(multi.readsOnly);
  await multi.ingest("p", "/t", artifacts);
  deepStrictEqual([one.passed, other.passed], [1, 1]);
  deepStrictEqual(contents(artifacts), before);
});

Deno.test("MultiAggregator takes directories by any path", async () => {
  await using place = new Place();
  const artifacts = place.artifacts([{}], { f: "1" });
  Deno.symlinkSync(artifacts, `${place.root}/link`);
  const forms = [
    `${artifacts}/`,
    `${artifacts}/.`,
    `${artifacts}/files/..`,
    new URL(`file://${artifacts}/`),
    `${place.root}/link`,
  ];
  const multi = await start(place, { ingest() {} }, { ingest() {} });
  for (const form of forms) await multi.ingest("p", "/t", form);
  deepStrictEqual(contents(artifacts), { "files/f": "1", results: "{}\n" });
  deepStrictEqual(copies(place), []);
});

Deno.test("MultiAggregator tells which failed, and retry() gives the test to those only", async () => {
  await using place = new Place();
  let broken = true;
  const calls: string[] = [];
  const fragile = (name: string, readsOnly: boolean): Doings => ({
    readsOnly,
    ingest(_platform, _test, artifacts, info) {
      calls.push(`${name} ${info?.attempt}`);
      strictEqual(Deno.readTextFileSync(`${artifacts}/files/f`), "1");
      if (broken) throw new Error(`${name} is broken`);
    },
  });
  const multi = await start(
    place,
    fragile("a", false),
    jsonl(place, 2),
    fragile("c", true),
    fragile("d", false),
  );
  const artifacts = place.artifacts([{}], { f: "1" });
  const before = contents(artifacts);
  const error = await rejected(
    multi.ingest("p", "/t", artifacts, { attempt: 2 }),
    ChildFailedError,
    'Cannot ingest test "/t" of platform "p" into aggregator 1 (Object): a is broken; 3 (Object): c is broken; 4 (Object): d is broken',
  );
  deepStrictEqual(
    error.failures.map(({ index, error }) => [index, error.message]),
    [[0, "a is broken"], [2, "c is broken"], [3, "d is broken"]],
  );
  deepStrictEqual(error.errors.length, 3);
  deepStrictEqual([error.platform, error.test], ["p", "/t"]);
  deepStrictEqual(contents(artifacts), before);
  deepStrictEqual(calls.sort(), ["a 2", "c 2", "d 2"]);

  const again = await rejected(multi.retry(error), ChildFailedError);
  deepStrictEqual(again.failures.map(({ index }) => index), [0, 2, 3]);
  broken = false;
  calls.length = 0;
  await multi.retry(again);
  deepStrictEqual(calls.sort(), ["a 2", "c 2", "d 2"]);
  const lines = await Array.fromAsync(readJsonLines(`${place.root}/2.jsonl`));
  strictEqual(lines.length, 1);
  deepStrictEqual(contents(`${place.root}/files2`), { "p/t/f": "1" });
  deepStrictEqual(copies(place), []);
});

Deno.test("MultiAggregator.retry() gives the artifacts to one that failed alone", async () => {
  await using place = new Place();
  const last = jsonl(place, 2);
  const multi = await start(place, jsonl(place, 1), last);
  // something is in the way of the second one only
  Deno.mkdirSync(`${place.root}/files2/p`);
  Deno.writeTextFileSync(`${place.root}/files2/p/t`, "in the way");
  const artifacts = place.artifacts([{ status: "pass" }], { f: "1" });
  const error = await rejected(
    multi.ingest("p", "/t", artifacts),
    ChildFailedError,
  );
  ok(error.failures[0]!.error instanceof Deno.errors.AlreadyExists);
  strictEqual(error.failures[0]!.child, last);
  Deno.removeSync(`${place.root}/files2/p/t`);
  deepStrictEqual(await multi.retry(error), {
    directory: `${place.root}/files2/p/t`,
  });
  await multi.stop();
  for (const number of [1, 2]) {
    strictEqual(
      Deno.readTextFileSync(`${place.root}/${number}.jsonl`),
      '["p","pass","/t",null,[],null]\n',
    );
  }
});

Deno.test("MultiAggregator keeps the artifacts until all have them, whoever failed", async () => {
  for (const readsOnly of [false, true]) {
    for (const isLast of [false, true]) {
      await using place = new Place();
      let broken = true;
      const fragile: Doings = {
        readsOnly,
        ingest(_platform, _test, artifacts) {
          if (broken) throw new Error("away");
          strictEqual(Deno.readTextFileSync(`${artifacts}/files/f`), "1");
        },
      };
      const lasting = jsonl(place, 1);
      const children = isLast ? [lasting, fragile] : [fragile, lasting];
      const multi = await start(place, ...children);
      const artifacts = place.artifacts([{ status: "pass" }], { f: "1" });
      const error = await rejected(
        multi.ingest("p", "/t", artifacts, { keep: true }),
        ChildFailedError,
      );
      deepStrictEqual(Object.keys(contents(artifacts)), ["files/f", "results"]);
      broken = false;
      await multi.retry(error);
      if (readsOnly) deepStrictEqual(contents(artifacts), {});
      Deno.removeSync(artifacts, { recursive: true });
      await rejected(multi.retry(error), Deno.errors.NotFound, artifacts);
    }
  }
});

Deno.test("MultiAggregator leaves nothing to a caller that keeps nothing, if the last one took it", async () => {
  await using place = new Place();
  const away = pretend({
    ingest() {
      throw new Error("away");
    },
  });
  const multi = await start(place, away, jsonl(place, 1));
  const artifacts = place.artifacts([{ status: "pass" }], { f: "1" });
  await rejected(multi.ingest("p", "/t", artifacts), ChildFailedError);
  deepStrictEqual(contents(artifacts), {});
});

Deno.test("MultiAggregator gives artifacts again to those that lack them, also in another process", async () => {
  await using place = new Place();
  const calls: string[] = [];
  const broken = new Set(["b", "c"]);
  const make = () => {
    const named = (name: string, readsOnly = false): Aggregator =>
      pretend({
        readsOnly,
        ingest(_platform, _test, artifacts) {
          calls.push(name);
          deepStrictEqual(entries(artifacts), ["files/f", "results"]);
          if (broken.has(name)) throw new Error(`${name} is away`);
          if (!readsOnly) Deno.removeSync(`${artifacts}/results`);
        },
      });
    const replacing = { ...named("replacing", true), replaces: true };
    return new MultiAggregator([
      named("a"),
      named("b", true),
      new MultiAggregator([named("c"), named("d")]),
      replacing,
      new JsonLinesAggregator({ ...place.paths(), existing: "continue" }),
    ]);
  };
  const artifacts = place.artifacts([{ status: "pass" }], { f: "1" });
  const give = async (storedBefore?: number) => {
    calls.length = 0;
    await using multi = await make().start();
    const info = {
      keep: true,
      ...(storedBefore !== undefined && { storedBefore }),
    };
    const error = await multi.ingest("p", "/t", artifacts, info)
      .then(() => undefined, (error) => error);
    return [
      calls.sort().join(" "),
      error?.failures.map(({ index }: { index: number }) => index),
    ];
  };
  deepStrictEqual(await give(), ["a b c d replacing", [1, 2]]);
  broken.delete("b");
  deepStrictEqual(await give(0), ["b c d replacing", [2]]);
  broken.clear();
  // the last one that lacked them had them itself: its own note is there
  deepStrictEqual(await give(0), ["c replacing", undefined]);
  deepStrictEqual(Object.keys(contents(artifacts)), ["files/f"]);
  const lines = await Array.fromAsync(readJsonLines(place.paths().results));
  strictEqual(lines.length, 1);
});

Deno.test("MultiAggregator tells whether all of it can count", () => {
  const [one, other] = ["x", "y"].map((results) =>
    new JsonLinesAggregator({ results, files: "f" })
  );
  const partly = new MultiAggregator([one!, pretend({})]);
  ok(partly.count && !partly.countsAll);
  ok(new MultiAggregator([one!, other!]).countsAll);
  ok(!new MultiAggregator([one!, partly]).countsAll);
});

Deno.test("MultiAggregator refuses the same test twice, by each that does", async () => {
  await using place = new Place();
  const junit = new JUnitAggregator({ target: `${place.root}/junit.xml` });
  const multi = await start(place, jsonl(place, 1), junit);
  await multi.ingest("p", "/t", place.artifacts());
  const error = await rejected(
    multi.ingest("p", "/t", place.artifacts()),
    ChildFailedError,
  );
  deepStrictEqual(
    error.errors.map((error) => error instanceof DuplicateResultError),
    [true, true],
  );
});

Deno.test("MultiAggregator gives a named pipe among the files to all", async () => {
  await using place = new Place();
  const multi = await start(place, jsonl(place, 1), jsonl(place, 2));
  const artifacts = place.artifacts([{ status: "pass" }], { f: "1" });
  makePipe(`${artifacts}/files/pipe`);
  await multi.ingest("p", "/t", artifacts);
  for (const number of [1, 2]) {
    ok(Deno.lstatSync(`${place.root}/files${number}/p/t/pipe`).isFifo);
  }
  deepStrictEqual(copies(place), []);
});

Deno.test("a named pipe that cannot be had on another file system keeps no results from being stored", async () => {
  await using place = new Place(temporary());
  await using elsewhere = temporary(inMemory.dir);
  for (const compression of [undefined, { format: "gzip" } as const]) {
    const artifacts = layOut(`${elsewhere.path}/artifacts`, [{}], { f: "1" });
    makePipe(`${artifacts}/files/pipe`);
    const root = `${place.root}/${compression?.format}`;
    const aggregator = await place.start(
      new JsonLinesAggregator({
        results: `${root}/results.jsonl`,
        files: `${root}/files`,
        ...(compression && { compression }),
      }),
    );
    await aggregator.ingest("p", "/t", artifacts);
    deepStrictEqual(
      [...Deno.readDirSync(`${root}/files/p/t`)].map(({ name }) => name),
      [compression ? "f.gz" : "f"],
    );
  }
});

Deno.test("MultiAggregator ingests 100 tests at once", async () => {
  await using place = new Place();
  const tally = new Tally();
  const multi = await start(place, jsonl(place, 1), tally, jsonl(place, 2));
  await Promise.all(Array.from({ length: 100 }, (_, i) =>
    multi.ingest(
      "p",
      `/${i}`,
      place.artifacts([{ status: "pass", note: `${i}` }], { f: `${i}` }),
    )));
  await multi.stop();
  strictEqual(tally.passed, 100);
  for (const number of [1, 2]) {
    const notes = new Set<string>();
    for await (
      const { test, note } of readJsonLines(`${place.root}/${number}.jsonl`)
    ) {
      strictEqual(test, `/${note}`);
      strictEqual(
        Deno.readTextFileSync(`${place.root}/files${number}/p${test}/f`),
        note,
      );
      notes.add(note!);
    }
    strictEqual(notes.size, 100);
  }
  deepStrictEqual(copies(place), []);
});
