import {
  deepStrictEqual as equal,
  match,
  notStrictEqual,
  ok,
  strictEqual,
} from "node:assert/strict";
import {
  type LoggedEvent,
  readEventLog,
  replayRun,
  writeEventLog,
} from "../../orchestrators/event_log.ts";
import {
  OrchestratorError,
  type RunEvent,
} from "../../orchestrators/orchestrator.ts";
import { showProgress } from "../../orchestrators/progress.ts";
import { runAll } from "../../orchestrators/run_all.ts";
import { onSmallDisk, smallDiskAvailable } from "../_small_disk.ts";
import { rejected } from "../_thrown.ts";
import { eventfulRun, given, ONE_OF_EACH, SUMMARY } from "./_events.ts";

/** A file in a directory that is removed at the end. */
function logFile(): { path: string } & AsyncDisposable {
  const directory = Deno.makeTempDirSync({ prefix: "atex-test-" });
  return {
    path: `${directory}/made/on the way/events.jsonl`,
    [Symbol.asyncDispose]: () => Deno.remove(directory, { recursive: true }),
  };
}

const readAll = (path: string): Promise<LoggedEvent[]> =>
  Array.fromAsync(readEventLog(path));

Deno.test("an event log gives back every type of event", async () => {
  await using file = logFile();
  await writeEventLog(given(ONE_OF_EACH), file.path);
  const read = await readAll(file.path);
  // Deno.inspect() shows stacks, which are not kept: equality looks at what is
  equal(
    JSON.parse(JSON.stringify(read, shown)),
    JSON.parse(JSON.stringify(ONE_OF_EACH, shown)),
  );
  const failed = read.find((event) => event.type === "setup-failed")!;
  ok(failed.error instanceof Error);
  strictEqual(failed.error.name, "TypeError");
  const { cause } = failed.error;
  ok(cause instanceof Error && "output" in cause);
  equal([cause.message, cause.output, cause.cause], [
    "inner",
    "last words",
    "why",
  ]);
});

/** Errors and maps as something that can be compared. */
function shown(_key: string, value: unknown): unknown {
  if (value instanceof Map) return { map: [...value] };
  if (value === Infinity) return "infinite";
  if (!(value instanceof Error)) return value;
  const { name, message, cause } = value;
  const { errors, output } = value as { errors?: unknown; output?: unknown };
  return { name, message, cause, errors, output, isError: true };
}

Deno.test("an event log is JSON lines that other programs can read", async () => {
  await using file = logFile();
  await writeEventLog(given(ONE_OF_EACH), file.path);
  const lines = (await Deno.readTextFile(file.path)).split("\n");
  strictEqual(lines.pop(), "");
  const events = lines.map((line) => JSON.parse(line));
  equal(events.map(({ type }) => type), ONE_OF_EACH.map(({ type }) => type));
  const end = events.at(-1);
  strictEqual(end.summary.ingested[0].test, "/a");
  strictEqual(end.summary.ingestErrors[0].error.message, 'broken\n"so"');
});

Deno.test("writeEventLog() keeps a reason to abort that is no error as text", async () => {
  await using file = logFile();
  const reasons = [1n, undefined, { toString: () => "an object" }];
  await writeEventLog(
    given(reasons.map((reason, time) => ({ time, type: "aborting", reason }))),
    file.path,
  );
  equal(
    (await readAll(file.path)).map((event) =>
      event.type === "aborting" && event.reason
    ),
    ["1", "undefined", "an object"],
  );
});

Deno.test("writeEventLog() touches no file that is there", async () => {
  await using file = logFile();
  await writeEventLog(given([]), file.path);
  await Deno.writeTextFile(file.path, "precious");
  await rejected(
    writeEventLog(given(ONE_OF_EACH), file.path),
    Deno.errors.AlreadyExists,
    `Cannot write the event log "${file.path}": it is there already`,
  );
  strictEqual(await Deno.readTextFile(file.path), "precious");
});

Deno.test("writeEventLog() takes a list of events, and replaces a file if it is told to", async () => {
  await using file = logFile();
  await writeEventLog(ONE_OF_EACH, file.path);
  const few = ONE_OF_EACH.slice(0, 2);
  await writeEventLog(few, file.path, { existing: "replace" });
  const read = await Array.fromAsync(readEventLog(file.path));
  equal(read.map(({ type }) => type), few.map(({ type }) => type));
});

Deno.test("writeEventLog() has an event in the file before the next one comes", async () => {
  await using file = logFile();
  const seen: number[] = [];
  await writeEventLog(
    (async function* () {
      for (const event of ONE_OF_EACH.slice(0, 5)) {
        yield await Promise.resolve(event);
        seen.push((await readAll(file.path)).length);
      }
    })(),
    file.path,
  );
  equal(seen, [1, 2, 3, 4, 5]);
});

Deno.test({
  name:
    "writeEventLog() on a full disk says so, and leaves a log that can be read",
  ignore: !smallDiskAvailable,
  fn: async () => {
    const disk = await Deno.makeTempDir({ prefix: "atex-test-" });
    try {
      const { error, whole } = onSmallDisk(
        disk,
        "64k",
        "orchestrators/_log_on_small_disk.ts",
        [disk],
      ) as { error: string; whole: boolean };
      match(error, /No space left/);
      ok(whole);
    } finally {
      await Deno.remove(disk);
    }
  },
});

Deno.test("readEventLog() gives the whole events of a log that ends anywhere", async () => {
  await using file = logFile();
  await writeEventLog(given(ONE_OF_EACH.slice(0, 6)), file.path);
  const bytes = await Deno.readFile(file.path);
  for (let length = 0; length <= bytes.length; length++) {
    await Deno.writeFile(file.path, bytes.subarray(0, length));
    const whole = bytes.subarray(0, length).filter((byte) => byte === 10);
    strictEqual((await readAll(file.path)).length, whole.length);
  }
});

Deno.test("readEventLog() says which line is wrong and how", async () => {
  await using file = logFile();
  await writeEventLog(given(ONE_OF_EACH.slice(0, 1)), file.path);
  const good = await Deno.readTextFile(file.path);
  for (
    const [bad, why] of [
      ["{", "line 3 is not JSON"],
      ["null", "line 3 is not an event of a known type"],
      ["[]", "line 3 is not an event of a known type"],
      ['{"type":"toString","time":1}', "not an event of a known type"],
      ['{"type":"remote-idle","time":1}', 'of type "remote-idle": remote'],
      ['{"type":"remote-idle","remote":"a"}', "time"],
      [
        '{"time":1,"type":"draining","kind":"NoRemotes","why":"","error":""}',
        "error",
      ],
    ] as const
  ) {
    await Deno.writeTextFile(file.path, `${good}\n${bad}\n${good}`);
    const error = await rejected(readAll(file.path), SyntaxError, why);
    match(error.message, /^Cannot read the event log ".*": line 3 is not /);
  }
  await rejected(readAll(`${file.path}.none`), Deno.errors.NotFound);
});

Deno.test("replayRun() shows the same as the run did", async () => {
  await using file = logFile();
  const shown = [];
  const run = eventfulRun();
  const live: string[] = [];
  await Promise.all([
    showProgress(run, { live: false, write: (text) => live.push(text) }),
    writeEventLog(run, file.path),
  ]);
  shown.push(live.join(""));
  const summary = await run.finished;

  const logged = replayRun(new URL(`file://${encodeURI(file.path)}`));
  for (let i = 0; i < 2; i++) {
    const lines: string[] = [];
    await showProgress(logged, {
      live: false,
      write: (text) => lines.push(text),
    });
    shown.push(lines.join(""));
  }
  match(shown[0]!, /again {2}\/flaky/);
  equal(shown.slice(1), [shown[0], shown[0]]);
  equal(logged.status, run.status);
  equal(await logged.finished, summary);
  await logged[Symbol.asyncDispose]();
});

Deno.test("replayRun() counts as the run went on", async () => {
  await using file = logFile();
  await writeEventLog(eventfulRun(), file.path);
  const logged = replayRun(file.path);
  equal(logged.status.tests, 0);
  const most = { running: 0, settingUp: 0, requested: 0 };
  for await (const { type } of logged) {
    const { tests, queued, running, done } = logged.status;
    equal(queued + running + done, type === "requested" ? tests : 5);
    for (const key of Object.keys(most) as (keyof typeof most)[]) {
      most[key] = Math.max(most[key], logged.status[key]);
    }
  }
  equal(most.running, 2);
  ok(most.settingUp >= 1 && most.requested >= 2);
});

Deno.test("replayRun() is incomplete as the run was", async () => {
  await using file = logFile();
  await writeEventLog(given(ONE_OF_EACH), file.path);
  const error = await rejected(
    replayRun(file.path).finished,
    OrchestratorError,
    'Cannot complete the run on "here": the run was aborted after no pool',
  );
  strictEqual(error.kind, "Aborted");
  equal((error.before?.cause as Error).name, "TypeError");
  equal(error.summary.notRun, SUMMARY.notRun);
  ok(error.summary.ingested.get("/a"));
});

Deno.test("replayRun() of a killed script gives what there is, and no end", async () => {
  await using file = logFile();
  await writeEventLog(given(ONE_OF_EACH.slice(0, 4)), file.path);
  const logged = replayRun(file.path);
  strictEqual((await Array.fromAsync(logged)).length, 4);
  await rejected(logged.finished, Error, "there is no end of it in");
});

Deno.test("writeEventLog() goes on with the log of a killed script, from its last whole line", async () => {
  await using file = logFile();
  const [first, second, third] = ONE_OF_EACH;
  const goOn = (...events: RunEvent[]) =>
    writeEventLog(given(events), file.path, { existing: "continue" });
  await goOn(first!, second!);
  const bytes = await Deno.readFile(file.path);
  const whole = bytes.indexOf(10) + 1;
  for (const length of [0, 1, whole - 1, whole, whole + 1, bytes.length - 1]) {
    await Deno.writeFile(file.path, bytes.subarray(0, length));
    await goOn(third!);
    equal(
      (await readAll(file.path)).map(({ type }) => type),
      [...(length >= whole ? [first!.type] : []), third!.type],
    );
  }
  // part of a line that is longer than what is read at once
  await Deno.writeFile(file.path, bytes);
  await Deno.writeTextFile(file.path, "x".repeat(200_000), { append: true });
  await goOn(third!);
  equal(
    (await readAll(file.path)).map(({ type }) => type),
    [first!.type, second!.type, third!.type],
  );
});

Deno.test("replayRun() of a run that went on counts what its last process knew", async () => {
  await using file = logFile();
  const events: RunEvent[] = [];
  for await (const event of eventfulRun()) events.push(event);
  const killed = events.slice(0, events.length >> 1);
  const [start, ...rest] = events;
  await writeEventLog(given([...killed, start!, ...rest]), file.path);
  const logged = replayRun(file.path);
  strictEqual(
    (await Array.fromAsync(logged)).length,
    killed.length + events.length,
  );
  const { tests, queued, running, done, requested, settingUp } = logged.status;
  equal([tests, queued, running, done, requested, settingUp], [
    5,
    0,
    0,
    5,
    0,
    0,
  ]);
  strictEqual((await logged.finished).passed, 4);
});

Deno.test("replayRun() picks one of several runs", async () => {
  await using file = logFile();
  const run = () => ({ run: () => eventfulRun() });
  await using runs = runAll([run(), run()]);
  await writeEventLog(runs, file.path);
  const types = async (index: number) =>
    (await Array.fromAsync(replayRun(file.path, { run: index })))
      .map(({ type }: RunEvent) => type);
  const [first, second] = [await types(0), await types(1)];
  equal(first.filter((type) => type === "run-started").length, 1);
  equal(second.at(-1), "run-finished");
  strictEqual(
    first.length + second.length,
    (await readAll(file.path)).length,
  );
  notStrictEqual(first.length, 0);
});
