import { deepStrictEqual, doesNotMatch, match, ok } from "node:assert/strict";
import {
  type AdHocOptions,
  AdHocOrchestrator,
} from "../../orchestrators/adhoc.ts";
import { note, showProgress } from "../../orchestrators/progress.ts";
import { InterruptedError } from "../../orchestrators/main.ts";
import { runAll } from "../../orchestrators/run_all.ts";
import type {
  Orchestrator,
  OrchestratorErrorKind,
  Run,
  RunEvent,
  RunStatus,
  RunSummary,
  TestOutcome,
} from "../../orchestrators/orchestrator.ts";
import type { RunEventBody } from "../../orchestrators/_event_body.ts";
import {
  PretendedAggregator,
  PretendedExecutor,
  PretendedPool,
  StoppedPool,
} from "./_pretend.ts";

const STATUS: RunStatus = {
  tests: 3,
  queued: 1,
  running: 1,
  done: 1,
  failed: 1,
  reruns: 0,
  requested: 0,
  settingUp: 0,
  spares: 0,
};

const SUMMARY: RunSummary = {
  platform: "p",
  tests: 3,
  passed: 1,
  failed: 1,
  flaky: 0,
  ingested: new Map(),
  earlier: [],
  notRun: ["/never"],
  ingestErrors: [],
  releaseErrors: [],
  handedOut: 3,
  systems: 2,
  released: 2,
  setups: 2,
  reruns: 1,
  startedAt: 0,
  finishedAt: 61_000,
};

/** A run that consists of given events and nothing else. */
function runOf(...events: RunEventBody[]): Run {
  return {
    finished: Promise.resolve(SUMMARY),
    status: STATUS,
    async *[Symbol.asyncIterator]() {
      for (const event of events) {
        yield await Promise.resolve({ time: Date.now(), ...event } as RunEvent);
      }
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

const started = (test: string): RunEventBody => ({
  type: "test-started",
  test,
  attempt: 1,
  remote: "local:1",
  artifacts: "/a",
});

const ended = (
  test: string,
  rest: Partial<RunEventBody & { type: "test-finished" }> = {},
): RunEventBody => ({
  type: "test-finished",
  test,
  attempt: 1,
  remote: "local:1",
  exitCode: 0,
  ms: 1234,
  destroyed: false,
  rerun: false,
  ...rest,
});

const ready = (remote: string): RunEventBody => ({
  type: "remote-ready",
  remote,
  provisioner: remote.split(":")[0]!,
  attributes: {},
});

const begin: RunEventBody = {
  type: "run-started",
  platform: "p",
  tests: ["/a", "/b", "/never"],
};
const finish: RunEventBody = {
  type: "run-finished",
  kind: null,
  summary: SUMMARY,
};

async function shown(
  run: Run | Run[],
  options: Parameters<typeof showProgress>[1] = { live: false },
): Promise<string> {
  let text = "";
  await showProgress(run, { write: (part) => text += part, ...options });
  return text;
}

Deno.test("showProgress() writes a line for each ended test to a log", async () => {
  const text = await shown(runOf(
    begin,
    started("/a"),
    ended("/a"),
    started("/b"),
    ended("/b", { exitCode: 7, rerun: true }),
    started("/b"),
    ended("/b", { exitCode: 7, attempt: 2 }),
    finish,
  ));
  deepStrictEqual(text.split("\n").slice(0, 4), [
    "3 tests on p",
    "pass   /a  1.2 s on local:1  [1/3]",
    "again  /b  exit code 7, 1.2 s on local:1",
    "FAIL   /b  exit code 7, 1.2 s on local:1, attempt 2  [2/3]",
  ]);
});

Deno.test("showProgress() ends with the failed tests and where their output is", async () => {
  const text = await shown(runOf(
    begin,
    ready("local:1"),
    ready("local:2"),
    ended("/b", { exitCode: 7, attempt: 2 }),
    {
      type: "ingest-finished",
      test: "/b",
      attempt: 2,
      earlier: false,
      ms: 1,
      stored: { output: "out/files/p/b/output.txt" },
    },
    finish,
  ));
  match(
    text,
    /Failed:\n {2}\/b {2}exit code 7 on local:1, after 2 attempts\n {4}out\/files\/p\/b\/output\.txt\n/,
  );
  match(text, /Not run: 1\n {2}\/never\n/);
  ok(
    text.endsWith(
      "\n1 passed, 1 failed, 1 not run in 1 min 1 s on 2 systems\n",
    ),
  );
});

Deno.test("showProgress() lists what failed before the run went on, as far as it is known", async () => {
  const outcome = (test: string, rest: Partial<TestOutcome>): TestOutcome => ({
    ...{ test, attempt: 1, remote: "local:7", startedAt: 0, finishedAt: 1 },
    ...rest,
  });
  const tests = ["/a", "/b", "/c", "/d"];
  const going = { ...begin, tests } as RunEventBody;
  const summary = {
    ...SUMMARY,
    notRun: [],
    ingested: new Map([
      outcome("/a", { exitCode: 3, attempt: 2 }),
      outcome("/b", { error: new TypeError("gone") }),
    ].map((one) => [one.test, one])),
  };
  const resumed: RunEventBody = {
    type: "run-resumed",
    done: tests.slice(0, 3),
    failed: tests.slice(0, 3),
    interrupted: [],
    reruns: 1,
  };
  const stored: RunEventBody = {
    type: "ingest-finished",
    test: "/b",
    attempt: 1,
    earlier: false,
    ms: 1,
    stored: { output: "out/b" },
  };
  const list = async (...before: RunEventBody[]) => {
    const finish: RunEventBody = { type: "run-finished", kind: null, summary };
    const text = await shown(
      runOf(...before, going, resumed, stored, ended("/d"), finish),
    );
    return text.split("\n\n")[1]!.split("\n");
  };
  deepStrictEqual(await list(), [
    "Failed:",
    "  /a  exit code 3 on local:7, after 2 attempts",
    "  /b  TypeError: gone on local:7",
    "    out/b",
    "  /c  before the run went on",
  ]);
  const known = { ...resumed, outputs: { "/c": "out/c", "/a": "out/a" } };
  const text = await shown(runOf(going, known, finish));
  match(
    text,
    /\n {2}\/a {2}.*\n {4}out\/a\n {2}\/b .*\n {2}\/c .*\n {4}out\/c\n/,
  );
  const killed = [
    going,
    ended("/c", { exitCode: 4 }),
    ended("/d", { exitCode: 4 }), // its results were lost with the process
  ];
  deepStrictEqual((await list(...killed)).slice(4), [
    "  /c  exit code 4 on local:1",
  ]);
});

Deno.test("showProgress() tells that a run with a journal goes on when it is started again", async () => {
  const text = (
    journal: string | undefined,
    kind: OrchestratorErrorKind | null,
    ...before: RunEventBody[]
  ) =>
    shown(runOf(
      { ...begin, ...(journal && { journal }) } as RunEventBody,
      ...before,
      { type: "run-finished", kind, summary: SUMMARY },
    ));
  const hint = /\n1 passed.*\nstart the script again to go on\n$/;
  match(await text("run.journal", "Aborted"), hint);
  match(await text("run.journal", "NoRemotes"), hint);
  for (const kind of [null, "JournalFailed", "ResultsExist"] as const) {
    doesNotMatch(await text("run.journal", kind), /again/);
  }
  doesNotMatch(await text(undefined, "Aborted"), /again/);
  match(await text("run.journal", "IngestFailed", started("/a")), hint);
  const left: RunEventBody = {
    type: "ingest-failed",
    test: "/a",
    attempt: 1,
    earlier: false,
    ms: 1,
    error: new Error("full"),
    artifacts: "/tmp/a",
  };
  match(await text("run.journal", "IngestFailed", left), hint);
  // refused: an aggregator is not started, or there is no place for artifacts
  doesNotMatch(await text("run.journal", "IngestFailed"), /again/);
});

Deno.test("showProgress() lists a test that could not be carried out once", async () => {
  const error = new Error("no bash");
  const text = await shown(
    runOf(begin, ended("/never", { exitCode: undefined, error }), finish),
  );
  doesNotMatch(text, /Failed:/);
  match(text, /\n\nNot run: 1\n {2}\/never\n/);
});

Deno.test("showProgress() tells which systems were not given back, and which only not cleaned up", async () => {
  const failed: RunEventBody = {
    type: "release-failed",
    remote: "local:1",
    reason: "done",
    ms: 1,
    error: new Error("busy"),
  };
  const text = await shown(
    runOf(begin, failed, { ...failed, givenBack: true }, finish),
  );
  match(
    text,
    /^local:1: not given back: busy\nlocal:1: not cleaned up: busy$/m,
  );
});

Deno.test("showProgress() tells of an executor's error by its name", async () => {
  const error = Object.assign(new Error("gone"), { name: "TestAbortedError" });
  const text = await shown(
    runOf(begin, ended("/a", { exitCode: undefined, error }), finish),
  );
  match(text, /FAIL {3}\/a {2}TestAbortedError: gone, 1\.2 s on local:1/);
});

Deno.test("showProgress() does not call what an abort ended a failure", async () => {
  const error = Object.assign(new Error("cancel requested"), {
    name: "TestAbortedError",
  });
  const text = await shown(runOf(
    begin,
    started("/a"),
    { type: "aborting", reason: new Error("enough") },
    ended("/a", { exitCode: undefined, error }),
    { type: "setup-failed", remote: "local:2", ms: 1, error, left: 9 },
    finish,
  ));
  match(
    text,
    /^3 tests on p\naborted: [^\n]+\nended {2}\/a {2}1\.2 s on local:1\n\nNot run/,
  );
});

Deno.test("showProgress() tells of setups that fail, but not of those that the end of the run ended", async () => {
  const failed: RunEventBody = {
    type: "setup-failed",
    remote: "local:2",
    ms: 5,
    error: new Error("no bash"),
    left: 3,
  };
  const tests = ["/a", "/b", "/never"].map((test) => ended(test));
  match(
    await shown(
      runOf(begin, failed, { ...failed, remote: "local:3" }, ...tests, finish),
    ),
    /^local:2: setup failed: no bash\nlocal:3: setup failed: as before$/m,
  );
  const cancelled = { ...failed, cancelled: true };
  doesNotMatch(
    await shown(runOf(begin, ...tests, cancelled, finish)),
    /setup failed/,
  );
});

Deno.test("showProgress() gives each reason for having no system once", async () => {
  const failed = (message: string, failures: number): RunEventBody => ({
    type: "reservation-failed",
    provisioner: "hosts",
    error: new Error(message),
    failures,
    dead: failures === 4,
  });
  const text = await shown(runOf(
    begin,
    failed("refused", 1),
    failed("refused", 2),
    failed("no route", 3),
    failed("no route", 4),
    finish,
  ));
  match(
    text,
    /^3 tests on p\nhosts: no system: refused\nhosts: no system: no route\nhosts: not asked again after 4 failures\n\n/,
  );
});

Deno.test("showProgress() takes reasons that differ in numbers for one, until a system is delivered", async () => {
  const failed = (number: number): RunEventBody => ({
    type: "reservation-failed",
    provisioner: "podman",
    error: new Error(`Cannot reserve system "podman:${number}": no image`),
    failures: number,
    dead: false,
  });
  const text = await shown(runOf(
    begin,
    failed(1),
    failed(2),
    ready("podman:3"),
    failed(4),
    failed(5),
    finish,
  ));
  const line = (number: number) =>
    `podman: no system: Cannot reserve system "podman:${number}": no image\n`;
  ok(text.startsWith(`3 tests on p\n${line(1)}${line(4)}\n`), text);
});

Deno.test("showProgress() counts the systems of the run, also of those that it did not see come", async () => {
  const text = await shown(runOf(begin, ready("local:2"), finish));
  match(text, / on 2 systems\n$/);
});

Deno.test("showProgress() tells why a run comes to its end, but not what lines before have told", async () => {
  const reason = async (
    kind: OrchestratorErrorKind,
    why: string,
    message?: string,
  ) => {
    const error = message === undefined ? {} : { error: new Error(message) };
    const text = await shown(
      runOf(begin, { type: "draining", kind, why, ...error }, finish),
    );
    return text.split("\n")[1]!.replace("no further test is started: ", "");
  };
  deepStrictEqual([
    await reason("NoRemotes", "no provisioner can (p: no route)", "no route"),
    await reason("SetupRetriesExceeded", "too many setups failed", "no bash"),
    await reason("ExecutorFailed", '"/a" could not be carried out', "lost"),
    await reason("Stalled", "p delivered nothing for 5 ms"),
    await reason("JournalFailed", "Cannot write: full", "Cannot write: full"),
    await reason("PolicyFailed", 'the rule "rerun" threw', "boom"),
  ], [
    "no provisioner can supply systems",
    "too many setups failed",
    '"/a" could not be carried out',
    "p delivered nothing for 5 ms",
    "Cannot write: full",
    'the rule "rerun" threw: boom',
  ]);
});

/** What is shown of a run of a test that fails. */
async function shownOf(options: Partial<AdHocOptions>): Promise<string> {
  const run = new AdHocOrchestrator({
    platform: "here",
    tests: ["/a", "/b"],
    provisioners: [new PretendedPool({ maxRemotes: 1 })],
    executor: (remote) => new PretendedExecutor(remote, () => 1),
    aggregator: new PretendedAggregator(),
    ...options,
  }).run();
  const text = await shown(run);
  await run.finished.catch(() => {});
  return text;
}

Deno.test("showProgress() names the rule that ends a run, and what it threw", async () => {
  for (const thrown of [new Error("boom"), "boom"]) {
    const text = await shownOf({
      rerun: () => {
        throw thrown;
      },
    });
    match(text, /^no further test is started: the rule "rerun" threw: boom$/m);
  }
});

Deno.test("showProgress() tells that a run ends because there is no place for artifacts", async () => {
  const file = await Deno.makeTempFile({ prefix: "atex-test-" });
  try {
    const text = await shownOf({ artifacts: file });
    match(text, /^no further test is started: .*artifacts.*: .*os error/m);
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("showProgress() shows of a message of several lines the first and the last", async () => {
  const error = (message: string) =>
    Object.assign(new Error(message), { name: "TestSetupError" });
  const text = await shown(runOf(
    begin,
    ended("/a", {
      exitCode: undefined,
      error: error("Cannot set up: …\na\nb"),
    }),
    ended("/b", {
      exitCode: undefined,
      error: error("Cannot set up: a\n\n b\n"),
    }),
    finish,
  ));
  match(
    text,
    /^FAIL {3}\/a {2}TestSetupError: Cannot set up: … b, 1\.2 s on /m,
  );
  match(
    text,
    /^FAIL {3}\/b {2}TestSetupError: Cannot set up: a … b, 1\.2 s on /m,
  );
});

Deno.test("showProgress() lets no control character of a test through", async () => {
  const evil = "/a\x1b]0;owned\x07\x1b[2J\r\n\u202e\u0085\ud800end";
  for (const live of [false, true]) {
    const text = await shown(
      runOf(
        begin,
        started(evil),
        ended(evil, {
          exitCode: undefined,
          error: new Error(`x\x1b[1m\ny`),
          remote: "r\x9b1",
        }),
        {
          type: "ingest-finished",
          test: evil,
          attempt: 1,
          earlier: false,
          ms: 1,
          stored: { output: "out/\x1b[31m" },
        },
        {
          type: "reservation-failed",
          provisioner: "p\x1b",
          error: new Error("\x1b[5m"),
          failures: 1,
          dead: true,
        },
        finish,
      ),
      { live, color: false, size: () => ({ columns: 80, rows: 24 }) },
    );
    // Of our own there are only: up, carriage return, clear to the end.
    // deno-lint-ignore no-control-regex
    const rest = text.replaceAll(/\x1b\[\d+A\r\x1b\[J/g, "");
    // deno-lint-ignore no-control-regex
    doesNotMatch(rest, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]|\p{Surrogate}/u);
    match(rest, /end/);
  }
});

Deno.test("showProgress() keeps a live block within the terminal", async () => {
  let text = "";
  const many = Array.from(
    { length: 40 },
    (_, i) => started(`/a/rather/long/name/of/test/${i}`),
  );
  await showProgress(runOf(begin, ...many, ended("/a"), finish), {
    write: (part) => text += part,
    live: true,
    color: false,
    size: () => ({ columns: 40, rows: 10 }),
  });
  match(text, /0\.0 s · 1\/3 done · 1 running · 1 queue/);
  match(text, /… and \d+ more/);
  for (const line of text.split("\n")) {
    // deno-lint-ignore no-control-regex
    const visible = line.replaceAll(/\x1b\[[^A-Z]*[A-Z]\r?/g, "");
    if (line.includes("rather")) ok(visible.length < 40, line);
  }
});

Deno.test("showProgress() tells that nothing goes on before there are systems", async () => {
  const run = runOf(begin, finish);
  const idle = { ...STATUS, running: 0, queued: 2, requested: 2 };
  const text = await shown({ ...run, status: idle }, {
    live: true,
    color: false,
    size: () => ({ columns: 80, rows: 24 }),
  });
  match(text, /2 queued · 1 failed · waiting for 2 systems/);
  const over = { ...idle, queued: 0, requested: 0, done: 3 };
  doesNotMatch(
    await shown({ ...run, status: over }, {
      live: true,
      color: false,
      size: () => ({ columns: 80, rows: 24 }),
    }),
    /waiting/,
  );
});

Deno.test("showProgress() waits for no system when the run comes to its end, but tells which it gives back", async () => {
  const status = { ...STATUS, running: 0, requested: 0 };
  const last = async (...events: RunEventBody[]) => {
    // a line is printed at once, and the block drawn anew below it
    const run = { ...runOf(begin, ...events, ended("/a")), status };
    const text = await shown(run, {
      live: true,
      color: false,
      size: () => ({ columns: 80, rows: 24 }),
    });
    return text.split("\n").findLast((line) => line.includes("queued"));
  };
  const starts: RunEventBody = {
    type: "release-started",
    remote: "p:1",
    reason: "abort",
  };
  const ends: RunEventBody = { ...starts, type: "release-finished", ms: 1 };
  const fails: RunEventBody = {
    ...starts,
    type: "release-failed",
    ms: 1,
    error: new Error("gone"),
  };
  const aborting: RunEventBody = { type: "aborting", reason: "" };
  const draining: RunEventBody = {
    type: "draining",
    kind: "NoRemotes",
    why: "no pool",
  };
  for (const end of [aborting, draining]) {
    match(
      await last(end, starts, starts, ready("p:2")) ?? "",
      /1 failed · 2 giving back$/,
    );
    match(await last(end, starts, starts, ends, fails) ?? "", /1 failed$/);
  }
  match(await last(ready("p:2")) ?? "", /1 failed · waiting for systems$/);
});

Deno.test("showProgress() removes its live block at the end", async () => {
  let text = "";
  await showProgress(runOf(begin, started("/a"), ended("/a"), finish), {
    write: (part) => text += part,
    live: true,
    color: false,
    size: () => ({ columns: 80, rows: 24 }),
  });
  const block = text.lastIndexOf("running");
  const erased = text.lastIndexOf("\x1b[J");
  ok(block >= 0 && erased > block);
});

/** What a terminal shows of a text with live blocks. */
function screenOf(text: string): string[] {
  const lines: string[] = [];
  let rest = "";
  // deno-lint-ignore no-control-regex -- this is what it looks for
  for (const part of text.split(/(\x1b\[\d+A\r\x1b\[J|\n)/)) {
    const up = Number(/\[(\d+)A/.exec(part)?.[1] ?? 0);
    lines.length -= up;
    if (part === "\n") lines.push(rest);
    rest = up > 0 || part === "\n" ? "" : rest + part;
  }
  return lines;
}

Deno.test("showProgress() shows several runs at once, each with a live block", async () => {
  let text = "";
  const screens: string[][] = [];
  const both = Promise.withResolvers<void>();
  const first = Promise.withResolvers<void>();
  const run = (platform: string, test: string, gate?: Promise<void>) => ({
    ...runOf(),
    async *[Symbol.asyncIterator]() {
      const at = (event: object) =>
        ({ time: Date.now(), ...event }) as RunEvent;
      yield at({ ...begin, platform });
      yield at(started(test));
      yield at(ended(test, { exitCode: 1 }));
      if (gate) both.resolve();
      await (gate ?? both.promise);
      screens.push(screenOf(text));
      yield at(finish);
    },
  });
  const options = {
    write: (part: string) => text += part,
    live: true,
    color: false,
    size: () => ({ columns: 80, rows: 24 }),
  };
  const showing = showProgress(run("q\x1b", "/b", first.promise), options);
  await showProgress(run("p", "/a"), options);
  first.resolve();
  await showing;
  const failure = /^ {2}\/[ab] {2}exit/;
  const shape = (screen: string[]) =>
    screen.map((line) =>
      failure.test(line) ? line : line.replace(/\d\.\d s/, "t").slice(0, 11)
    );
  const printed = ["3 tests on ", "3 tests on ", "FAIL   /b  ", "FAIL   /a  "];
  const failed = (test: string) => [
    ...["", "Failed:", `  ${test}  exit code 1 on local:1`],
    ...["", "Not run: 1", "  /never", "", "1 passed, 1"],
  ];
  deepStrictEqual(
    shape(screens[0]!),
    [
      ...printed,
      "q\ufffd · t · 1/3",
      "p · t · 1/3 ",
    ].map((line) => line.slice(0, 11)),
  );
  deepStrictEqual(shape(screens[1]!), [
    ...printed,
    ...failed("/a"),
    "t · 1/3 don",
  ]);
  deepStrictEqual(shape(screenOf(text)), [
    ...printed,
    ...failed("/a"),
    ...failed("/b"),
  ]);
});

Deno.test("showProgress() of several runs names the platform of each line, and tells why one is incomplete", async () => {
  const orchestrator = (platform: string, pool: PretendedPool) =>
    new AdHocOrchestrator({
      platform,
      tests: ["/a", "/b"],
      provisioners: [pool],
      executor: (remote) =>
        new PretendedExecutor(remote, (test) => test === "/a" ? 3 : 0),
      aggregator: new PretendedAggregator(),
    });
  let text = "";
  const show = async (
    orchestrators: Orchestrator[],
    options: Parameters<typeof runAll>[1] = {},
  ) => {
    text = "";
    const all = runAll(orchestrators, options);
    await showProgress(all, { write: (part) => text += part, live: false });
    return await all.finished;
  };
  const { errors } = await show([
    orchestrator("good\x1b", new PretendedPool()),
    orchestrator("lab", new StoppedPool()),
  ]);
  const [during, ends] = [text, text.split("\n\n").slice(1).join("\n\n")];
  match(during, /^2 tests on good\ufffd$/m);
  match(during, /^good\ufffd: FAIL {3}\/a {2}exit code 3, /m);
  match(during, /^lab: no further test is started: no provisioner can /m);
  match(
    ends,
    /^Failed on good\ufffd:\n {2}\/a .*\n\ngood\ufffd: 1 passed, 1 failed in .*\n\nNot run on lab: 2\n {2}\/a\n {2}\/b\n\nlab: 0 passed, 0 failed, 2 not run in .*\nCannot complete the run on "lab": no provisioner can .*\n/,
  );
  deepStrictEqual(errors.length, 1);

  await show(
    [orchestrator("interrupted", new PretendedPool())],
    { signal: AbortSignal.abort(new InterruptedError("SIGINT")) },
  );
  match(text, /^interrupted: aborted: .*\n/m);
  doesNotMatch(text, /Cannot complete/);
});

Deno.test("showProgress() of a list of runs names the platform of each line, and leaves errors to who asks each", async () => {
  const error = new Error("nobody is there");
  const failed = Promise.reject(error);
  failed.catch(() => {});
  const stopped: RunEventBody = {
    ...finish,
    kind: "NoRemotes",
  } as RunEventBody;
  const text = await shown([
    runOf(begin, ended("/a"), finish),
    { ...runOf({ ...begin, platform: "q" }, stopped), finished: failed },
  ]);
  match(text, /^p: pass {3}\/a /m);
  match(text, /^3 tests on q$/m);
  for (const one of ["p", "q"]) {
    match(text, new RegExp(`^${one}: 1 passed, 1 failed, 1 not run `, "m"));
  }
  doesNotMatch(text, /nobody/);
});

Deno.test("showProgress() has no line for a run that has not begun, where it has one for each", async () => {
  let text = "";
  const begins = Promise.withResolvers<void>();
  const late = {
    ...runOf(),
    async *[Symbol.asyncIterator]() {
      await begins.promise;
      for (const event of [{ ...begin, platform: "q" }, finish]) {
        yield { time: 0, ...event } as RunEvent;
      }
    },
  };
  const lines: string[] = [];
  await showProgress([runOf(begin, started("/a"), finish), late], {
    ...{ live: true, color: false },
    write: (part) => {
      text += part;
      lines.push(...part.split("\n").filter((line) => / done /.test(line)));
      if (/ done /.test(part)) begins.resolve();
    },
    size: () => ({ columns: 80, rows: 24 }),
  });
  ok(lines.length > 0);
  for (const line of lines) match(line, /[pq] · /);
});

Deno.test("showProgress() keeps the live blocks of many runs within the terminal", async () => {
  let [text, most] = ["", 0];
  const write = (part: string) => {
    text += part;
    const blocks = screenOf(text).filter((line) => line.includes(" running"));
    most = Math.max(most, blocks.length);
  };
  await Promise.all(
    Array.from(
      { length: 30 },
      () =>
        showProgress(runOf(begin, started("/a"), ended("/a"), finish), {
          ...{ write, live: true, color: false },
          size: () => ({ columns: 80, rows: 24 }),
        }),
    ),
  );
  deepStrictEqual(most, 20);
});

Deno.test("note() writes lines above the live block, and without one", async () => {
  const { error } = console;
  let text = "";
  console.error = (line: string) => text += `${line}\n`;
  try {
    let screen: string[] = [];
    const run = {
      ...runOf(),
      async *[Symbol.asyncIterator]() {
        for (const event of [begin, ended("/a"), ended("/b"), finish]) {
          yield await Promise.resolve({ time: 0, ...event } as RunEvent);
          note(`note\x1b[2J of\r\n${event.type}`);
          screen = screenOf(text);
        }
      },
    };
    await showProgress(run, {
      write: (part) => text += part,
      live: true,
      color: false,
      size: () => ({ columns: 80, rows: 24 }),
    });
    deepStrictEqual(
      screen.map((line) => line.slice(0, 25)),
      [
        "3 tests on p",
        "note\ufffd[2J of",
        "run-started",
        "pass   /a  1.2 s on local",
        "note\ufffd[2J of",
        "test-finished",
        "pass   /b  1.2 s on local",
        "note\ufffd[2J of",
        "test-finished",
        "note\ufffd[2J of",
        "run-finished",
        "0.0 s · 1/3 done · 1 runn",
      ].map((line) => line.slice(0, 25)),
    );
    note("afterwards");
    ok(text.endsWith(" on 2 systems\nafterwards\n"), text);
  } finally {
    console.error = error;
  }
});

Deno.test("showProgress() leaves nothing behind when what it is to write to throws", async () => {
  const write = () => {
    throw new Error("the terminal is gone");
  };
  const run = runOf(begin, ended("/a"), finish);
  const error = await showProgress(run, { live: true, write })
    .catch((error) => error);
  deepStrictEqual(error.message, "the terminal is gone");
  // a timer that was left fails the test
});

Deno.test("showProgress() bears that its live block cannot be drawn while nothing happens", async () => {
  let drawn = 0;
  const twice = Promise.withResolvers<void>();
  const run = {
    ...runOf(),
    async *[Symbol.asyncIterator]() {
      yield { time: 0, ...begin } as RunEvent;
      await twice.promise;
      yield { time: 0, ...finish } as RunEvent;
    },
  };
  const write = () => {
    if (++drawn === 1) return; // the line of the first event
    if (drawn === 2) setTimeout(twice.resolve, 0);
    if (drawn === 2) throw new Error("for a moment");
  };
  await showProgress(run, { live: true, write });
  ok(drawn > 2);
});

Deno.test("showProgress() colours lines when it is asked to", async () => {
  const text = await shown(runOf(begin, ended("/a"), finish), {
    live: false,
    color: true,
  });
  ok(text.includes("\x1b[32mpass   /a"));
});

Deno.test("showProgress() goes on when nothing can be written", async () => {
  const events: RunEventBody[] = [begin, ended("/a"), finish];
  for (const live of [true, false]) {
    const script = `
      import { showProgress } from "${
      import.meta.resolve("../../orchestrators/progress.ts")
    }";
      const run = {
        status: ${JSON.stringify(STATUS)},
        async *[Symbol.asyncIterator]() {
          for (const event of ${
      JSON.stringify(events)
    }) yield { time: 0, ...event };
        },
      };
      await showProgress(run, { live: ${live}, color: false });
      console.error("went on");
    `;
    const { stderr } = await new Deno.Command("sh", {
      args: [
        ...["-c", 'exec "$@" >/dev/full', "sh"],
        ...[Deno.execPath(), "eval", "--quiet", "--no-check", script],
      ],
    }).output();
    match(new TextDecoder().decode(stderr), /^went on$/m);
  }
});
