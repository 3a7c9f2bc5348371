import type {
  OrchestratorErrorKind,
  RunEvent,
  RunStatus,
  RunSummary,
  TestOutcome,
} from "./orchestrator.ts";
import { errorText } from "./_error_text.ts";
import { count, fit, formatDuration, pad, printable } from "./_text.ts";

/** How a line is meant; a terminal shows it as a colour. */
export type Tone = "good" | "bad" | "notice" | "dim" | "plain";

/** A line for people, safe to print. */
export interface Line {
  readonly tone: Tone;
  readonly text: string;
}

interface Running {
  readonly attempt: number;
  readonly remote: string;
  readonly since: number;
}

/** How a test failed. */
interface Failure {
  /** These are absent if an earlier process ran it: the summary knows them. */
  readonly attempt?: number;
  readonly remote?: string;
  readonly how?: string;
  place?: string;
}

const line = (tone: Tone) => (text: string): Line => ({
  tone,
  text: printable(text),
});
const plain = line("plain");
const notice = line("notice");
const bad = line("bad");
const good = line("good");

/** A message on one line: of several, the first, and the last, which tends to say why. */
function brief({ message }: { message: string }): string {
  const [first = "", ...more] = message.trim().split("\n");
  if (more.length === 0) return first;
  return `${first.replace(/…$/, "").trimEnd()} … ${more.at(-1)!.trim()}`;
}

/** How a test failed. */
function howOf({ exitCode, error }: { exitCode?: number; error?: Error }) {
  return error ? `${error.name}: ${brief(error)}` : `exit code ${exitCode}`;
}

/** Why a run comes to its end; what it came of is not said again if a line before has told it. */
function reasonOf(
  { kind, why, error }: RunEvent & { type: "draining" },
): string {
  if (kind === "NoRemotes") return "no provisioner can supply systems";
  const told = !error || why.includes(error.message) ||
    kind === "SetupRetriesExceeded" || kind === "ExecutorFailed";
  const reason = brief({ message: why });
  return told ? reason : `${reason}: ${brief(error)}`;
}

/** Why a run is incomplete although it has a journal, if another start would be so, too. */
const FOR_GOOD = new Set<OrchestratorErrorKind>([
  "JournalFailed",
  "ResultsExist",
  "UnknownTest",
]);

/** What a run looks like to somebody who watches: events in, lines out. */
export class Progress {
  readonly #running = new Map<string, Running>();
  /** Tests that failed and are not run again, by name, in the order of their ends. */
  #failed = new Map<string, Failure>();
  /** Those of a process before this one, if it saw that, too. */
  #failedBefore = new Map<string, Failure>();
  #done = 0;
  #tests = 0;
  #began = 0;
  #platform = "";
  /** Whether lines have to tell which run they are of. */
  readonly #named: boolean;
  #aborting = false;
  #draining = false;
  /** How many systems are being given back. */
  #releasing = 0;
  /** Why each provisioner failed to give a system since it last gave one, without numbers. */
  readonly #reasons = new Map<string, string>();
  /** Why a setup last failed. */
  #setupReason = "";
  #summary: RunSummary | undefined;
  /** Whether the same script, started again, goes on with what is left. */
  #goesOn = false;
  /** Whether anything was run, or stored. */
  #ran = false;

  constructor({ named = false }: { named?: boolean } = {}) {
    this.#named = named;
  }

  /** Takes an event; gives the lines that a log of the run has for it. */
  *take(event: RunEvent): Generator<Line> {
    const isName = event.type === "run-started";
    for (const one of this.#take(event)) {
      yield isName ? one : { ...one, text: this.#prefix() + one.text };
    }
  }

  /** What lines begin with. */
  #prefix(): string {
    return this.#named ? `${printable(this.#platform)}: ` : "";
  }

  *#take(event: RunEvent): Generator<Line> {
    switch (event.type) {
      case "run-started":
        this.#start(event);
        yield plain(`${count(this.#tests, "test")} on ${event.platform}`);
        break;
      case "run-resumed":
        this.#done = event.done.length;
        for (const test of event.failed) {
          const place = event.outputs?.[test];
          this.#failed.set(test, {
            ...(place !== undefined && { place }),
            ...this.#failedBefore.get(test),
          });
        }
        yield notice(`goes on: ${this.#done} of them are done already`);
        break;
      case "test-started":
        this.#ran = true;
        this.#running.set(event.test, { ...event, since: event.time });
        break;
      case "test-finished":
        yield this.#ended(event);
        break;
      case "ingest-finished":
        this.#placed(event, event.stored?.output ?? event.stored?.directory);
        break;
      case "ingest-failed":
        this.#ran = true;
        this.#placed(event, event.artifacts);
        yield bad(
          `results of ${event.test} could not be stored: ${
            brief(event.error)
          } (they are in ${event.artifacts})`,
        );
        break;
      case "remote-ready":
        this.#reasons.delete(event.provisioner);
        break;
      case "reservation-failed":
        yield* this.#withoutSystem(event);
        break;
      case "setup-failed":
        if (this.#aborting || event.cancelled) break;
        yield this.#setupFailed(event.remote, brief(event.error));
        break;
      case "remote-lost":
        yield notice(`${event.remote}: lost: ${brief(event.error)}`);
        break;
      case "release-started":
        this.#releasing++;
        break;
      case "release-finished":
        this.#releasing--;
        break;
      case "release-failed":
        this.#releasing--;
        yield notice(
          `${event.remote}: not ${
            event.givenBack ? "cleaned up" : "given back"
          }: ${brief(event.error)}`,
        );
        break;
      case "stalled":
        yield notice(
          `waiting for systems of ${event.waitingFor.join(", ")} for ${
            formatDuration(event.ms)
          }`,
        );
        break;
      case "draining":
        this.#draining = true;
        yield bad(`no further test is started: ${reasonOf(event)}`);
        break;
      case "aborting":
        this.#aborting = true;
        yield notice("aborted: no further test is started, what runs is ended");
        break;
      case "run-finished":
        this.#summary = event.summary;
        this.#goesOn &&= event.kind !== null && !FOR_GOOD.has(event.kind) &&
          // before anything ran, that was refused: another start would be, too
          (event.kind !== "IngestFailed" || this.#ran);
        break;
    }
  }

  /** Begins, perhaps once more after a process that was killed. */
  #start(
    { tests, platform, time, journal }: RunEvent & { type: "run-started" },
  ): void {
    this.#goesOn = journal !== undefined;
    this.#tests = tests.length;
    this.#platform = platform;
    this.#began = time;
    this.#running.clear();
    this.#failedBefore = this.#failed;
    this.#failed = new Map();
    this.#done = this.#releasing = 0;
    this.#aborting = this.#draining = this.#ran = false;
  }

  /** Notes where the output of a test is, if it failed. */
  #placed(
    { test, earlier }: RunEvent & {
      type: "ingest-finished" | "ingest-failed";
    },
    place?: string,
  ): void {
    const failure = this.#failed.get(test);
    if (failure && !earlier) failure.place = place;
  }

  /** The same reason again is not worth a line, unless it was the last attempt. */
  *#withoutSystem(
    event: RunEvent & { type: "reservation-failed" },
  ): Generator<Line> {
    const { provisioner, error, failures, dead } = event;
    const reason = brief(error);
    const kind = reason.replace(/\d+/g, "#"); // systems are numbered
    const isNew = this.#reasons.get(provisioner) !== kind;
    this.#reasons.set(provisioner, kind);
    const often = failures > 1 ? ` after ${failures} failures` : "";
    if (isNew) yield notice(`${provisioner}: no system: ${reason}`);
    if (dead) yield notice(`${provisioner}: not asked again${often}`);
  }

  #setupFailed(remote: string, reason: string): Line {
    const shown = reason === this.#setupReason ? "as before" : reason;
    this.#setupReason = reason;
    return notice(`${remote}: setup failed: ${shown}`);
  }

  #ended(event: RunEvent & { type: "test-finished" }): Line {
    this.#running.delete(event.test);
    const { test, attempt, remote } = event;
    const how = howOf(event);
    if (this.#aborting && event.error) {
      return notice(`ended  ${test}  ${formatDuration(event.ms)} on ${remote}`);
    }
    const passed = event.exitCode === 0;
    const again = attempt > 1 ? `, attempt ${attempt}` : "";
    if (event.rerun) {
      return notice(
        `again  ${test}  ${how}, ${
          formatDuration(event.ms)
        } on ${remote}${again}`,
      );
    }
    this.#done += 1;
    const place = `${
      formatDuration(event.ms)
    } on ${remote}${again}  [${this.#done}/${this.#tests}]`;
    if (passed) return good(`pass   ${test}  ${place}`);
    this.#failed.set(test, { attempt, remote, how });
    return bad(`FAIL   ${test}  ${how}, ${place}`);
  }

  /** The live block: a line of counts, then what runs, at most `rows` lines in all. */
  *block(
    status: RunStatus,
    now: number,
    { columns, rows, named }: {
      columns: number;
      rows: number;
      /** Whether it is to be told which run it is. */
      named: boolean;
    },
  ): Generator<Line> {
    if (rows < 1) return;
    if (named && this.#platform === "") return; // it has not begun
    // What grows stands at the end: a narrow terminal cuts it.
    const parts = [
      ...named ? [printable(this.#platform)] : [],
      formatDuration(this.#began ? now - this.#began : 0),
      `${status.done}/${status.tests} done`,
      `${status.running} running`,
      `${status.queued} queued`,
    ];
    if (status.failed > 0) parts.push(`${status.failed} failed`);
    if (status.reruns > 0) parts.push(count(status.reruns, "rerun"));
    if (status.settingUp > 0) parts.push(`${status.settingUp} setting up`);
    if (status.spares > 0) parts.push(count(status.spares, "spare"));
    if (this.#releasing > 0) parts.push(`${this.#releasing} giving back`);
    const busy = status.running + status.settingUp + status.spares;
    const ending = this.#aborting || this.#draining;
    if (busy === 0 && status.done < status.tests && !ending) {
      const { requested } = status;
      const what = requested > 0 ? count(requested, "system") : "systems";
      parts.push(`waiting for ${what}`);
    }
    yield {
      tone: status.failed > 0 ? "bad" : "plain",
      text: fit(parts.join(" · "), columns),
    };

    if (rows < 2) return;
    const running = [...this.#running];
    const shown = running.length < rows ? running : running.slice(0, rows - 2);
    const width = Math.min(
      Math.max(8, ...shown.map(([test]) => test.length)),
      Math.max(8, columns - 40),
    );
    for (const [test, { remote, since, attempt }] of shown) {
      const name = pad(fit(printable(test), width), width);
      const again = attempt > 1 ? ` (attempt ${attempt})` : "";
      yield {
        tone: "dim",
        text: fit(
          `  ${name}  ${pad(formatDuration(now - since), 12)}  ${
            printable(remote)
          }${again}`,
          columns,
        ),
      };
    }
    if (shown.length < running.length) {
      yield {
        tone: "dim",
        text: `  … and ${running.length - shown.length} more`,
      };
    }
  }

  /** What is left to say when the run is over: failed tests, then the counts, then why it is incomplete. */
  *end(error?: Error): Generator<Line> {
    const summary = this.#summary;
    if (!summary) return;
    const { notRun, ingested } = summary;
    const on = this.#named ? ` on ${summary.platform}` : "";
    for (const test of notRun) this.#failed.delete(test); // it could not be carried out
    if (this.#failed.size > 0) {
      yield plain("");
      yield plain(`Failed${on}:`);
      for (const [test, failure] of this.#failed) {
        yield bad(`  ${test}  ${describe(failure, ingested.get(test))}`);
        if (failure.place) yield plain(`    ${failure.place}`);
      }
    }
    if (notRun.length > 0) {
      yield plain("");
      yield plain(`Not run${on}: ${notRun.length}`);
      for (const test of notRun.slice(0, 10)) yield bad(`  ${test}`);
      if (notRun.length > 10) yield bad(`  … and ${notRun.length - 10} more`);
    }
    yield plain("");
    yield {
      tone: summary.passed === summary.tests ? "good" : "bad",
      text: this.#prefix() + totals(summary),
    };
    if (this.#goesOn) {
      yield notice(`${this.#prefix()}start the script again to go on`);
    }
    for (const text of error ? errorText(error).split("\n") : []) {
      yield bad(text);
    }
  }
}

/** How a test failed and where, as far as it is known. */
function describe(failure: Failure, outcome?: TestOutcome): string {
  const { how, remote, attempt = 1 } = failure.how || !outcome
    ? failure
    : { ...outcome, how: howOf(outcome) };
  if (how === undefined) return "before the run went on";
  const attempts = attempt > 1 ? `, after ${attempt} attempts` : "";
  return `${how} on ${remote}${attempts}`;
}

function totals(summary: RunSummary): string {
  const parts = [`${summary.passed} passed`, `${summary.failed} failed`];
  if (summary.notRun.length > 0) parts.push(`${summary.notRun.length} not run`);
  if (summary.flaky > 0) parts.push(`${summary.flaky} flaky`);
  const time = formatDuration(summary.finishedAt - summary.startedAt);
  return `${parts.join(", ")} in ${time} on ${
    count(summary.systems, "system")
  }`;
}
