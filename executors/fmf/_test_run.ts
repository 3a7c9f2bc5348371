/** One run of one test: from its set-up, across restarts of the system, to its end. */
import { abortable } from "@std/async/abortable";
import type { Connection } from "../../connections/connection.ts";
import {
  type AbortReason,
  TestAbortedError,
  TestSetupError,
} from "../executor.ts";
import { after, LONGEST_TIMER } from "../../connections/time_limit.ts";
import type { Emit } from "./_events.ts";
import { Launch } from "./_launch.ts";
import { linkFailure } from "./_link.ts";
import { endLingering, reconnect } from "./_reconnect.ts";
import { lastLines, SetupOutput } from "./_setup_output.ts";
import { judgeEnd } from "./_test_end.ts";
import { type Heartbeat, WrapperCommand } from "./_wrapper_command.ts";
import { DurationLimit } from "./duration.ts";
import type { ControlChannel, Reporter } from "./reporter.ts";
import type { WorkDirectory } from "./scripts.ts";
import { NOT_STARTED, SETUP_FAILED } from "./wrapper.ts";

/** What to run. Times are in milliseconds. */
export interface TestRunOptions {
  readonly connection: Connection;
  readonly work: WorkDirectory;
  readonly name: string;
  readonly reporter: Reporter;
  /** Set-up script. */
  readonly setup: string;
  /** Directory to run in. */
  readonly cwd: string;
  /** Flags of the wrapper. */
  readonly flags: readonly string[];
  /** File that the output of the test is appended to. */
  readonly output: string;
  readonly duration: number;
  readonly setupTimeout: number;
  readonly exitGrace: number;
  readonly markers: boolean;
  readonly heartbeat: Heartbeat | undefined;
  readonly emit: Emit;
  readonly signal: AbortSignal | undefined;
}

/** What tells a test how often it was started again. */
const RESTART_COUNTS = [
  "TMT_REBOOT_COUNT",
  "TMT_TEST_RESTART_COUNT",
  "REBOOTCOUNT",
  "RSTRNT_REBOOTCOUNT",
];

/** Runs a test once. */
export class TestRun {
  readonly #options: TestRunOptions;
  /** Aborted with the error that the run is to end with. */
  readonly #ending = new AbortController();
  readonly #nonce = crypto.randomUUID();
  readonly #setupOutput = new SetupOutput(this.#nonce);
  #timer: ReturnType<typeof setTimeout> | undefined;
  #limit: DurationLimit | undefined;
  #channel: ControlChannel | undefined;
  /** Whether the last start was still there when we reached the system again. */
  #lingers = false;

  /** Stores the options. */
  constructor(options: TestRunOptions) {
    this.#options = options;
  }

  /** Whether the set-up is over. */
  get started(): boolean {
    return this.#limit !== undefined;
  }

  /** What the set-up printed. */
  get setupOutput(): string {
    return this.#setupOutput.text;
  }

  /**
   * Runs the test and returns its exit code.
   *
   * @throws {TestSetupError} if the system could not be prepared for it
   * @throws {TestAbortedError} if it did not come to its end
   * @throws {BadControlError} if it broke the rules of the control channel
   * @throws {ConnectionError} if the link broke before it started
   */
  async run(): Promise<number> {
    const { connection, work, name, emit } = this.#options;
    const { signal, markers, setupTimeout } = this.#options;
    const cancel = () =>
      this.#abort("cancel requested", "cancelled", signal!.reason);
    signal?.addEventListener("abort", cancel);
    if (signal?.aborted) cancel();
    try {
      this.#timer = after(
        setupTimeout,
        () => this.#abort("setup timeout reached", "timeout"),
      );
      if (!markers) await this.#setUp();
      for (let restarts = 0;; restarts++) {
        const code = await this.#launch(restarts);
        if (code !== undefined) return code;
        await reconnect(connection, work, ({ alive, restarted: rebooted }) => {
          this.#lingers = alive;
          const count = restarts + 1;
          if (!alive) emit({ type: "restarted", test: name, count, rebooted });
        }, this.#ending.signal);
      }
    } catch (error) {
      if (this.#lingers) await endLingering(connection, work);
      throw error;
    } finally {
      signal?.removeEventListener("abort", cancel);
      clearTimeout(this.#timer);
      this.#timer = undefined;
    }
  }

  #abort(message: string, reason: AbortReason, cause?: unknown): void {
    this.#ending.abort(new TestAbortedError(message, reason, { cause }));
  }

  /** Sets up and does not start the test. */
  async #setUp(): Promise<void> {
    this.#ending.signal.throwIfAborted();
    await using command = this.#start(["only"], this.#options.setup);
    const launch = new Launch({
      command,
      setup: this.#setupOutput,
      open: () => {
        throw new Error("nothing starts here");
      },
    });
    try {
      const all = Promise.all([launch.over(), command.status]);
      const [, { code }] = await abortable(all, this.#ending.signal);
      if (code !== 0) throw await this.#startFailure(code, true);
    } finally {
      await launch.stop();
    }
    this.#begin();
  }

  #start(flags: readonly string[], setup?: string): WrapperCommand {
    const { connection, work, cwd, output, heartbeat } = this.#options;
    return WrapperCommand.start(connection, work, {
      state: work.test,
      cwd,
      flags: [...this.#options.flags, ...flags],
      stderr: { append: output },
      heartbeat,
      ...(setup !== undefined && { setup }),
    });
  }

  /** The test begins: from now on its own time counts. */
  #begin(): DurationLimit {
    const { duration, name, emit } = this.#options;
    if (this.#limit) return this.#limit;
    const output = this.setupOutput;
    if (output !== "") emit({ type: "set-up", test: name, output });
    this.#limit = new DurationLimit(duration, {
      onChange: () => this.#watchDuration(),
    });
    this.#watchDuration();
    return this.#limit;
  }

  /** Sets the timer to the end of the duration, which may have moved. */
  #watchDuration(): void {
    clearTimeout(this.#timer);
    if (this.#channel?.ended) return; // what is left has its exit grace
    if (this.#limit!.remaining <= 0) {
      this.#abort("test duration timeout reached", "timeout");
      return;
    }
    this.#timer = setTimeout(
      () => this.#watchDuration(),
      Math.min(Math.ceil(this.#limit!.remaining), LONGEST_TIMER),
    );
  }

  /** Starts the test once; returns its exit code, or nothing if the system went away as announced. */
  async #launch(restarts: number): Promise<number | undefined> {
    const { markers, setup, exitGrace, reporter } = this.#options;
    this.#ending.signal.throwIfAborted();
    const withSetup = markers && restarts === 0;
    await using command = this.#start([
      ...(markers ? [`marker=${this.#nonce}`] : []),
      ...RESTART_COUNTS.map((name) => `${name}=${restarts}`),
    ], withSetup ? setup : undefined);
    const launch = new Launch({
      command,
      ...(withSetup && { setup: this.#setupOutput }),
      open: () =>
        this.#channel = reporter.channel({
          duration: this.#begin(),
          ...(markers && { nonce: this.#nonce }),
        }),
      ...(markers && { exitGrace }),
    });
    try {
      return await this.#follow(launch, command);
    } finally {
      await launch.stop();
    }
  }

  async #follow(
    launch: Launch,
    command: WrapperCommand,
  ): Promise<number | undefined> {
    const { connection, name, emit } = this.#options;
    const { signal } = this.#ending;
    const how = await abortable(launch.over(), signal);
    if (how === "disconnect") {
      if (connection.canReboot === false) {
        throw new TestAbortedError(
          "restart requested by the test is not supported by this system",
          "connection",
        );
      }
      command.release();
      await command.closeControl();
    }
    const status = await abortable(
      Promise.race([command.status, launch.grace]),
      signal,
    );
    if (how === "grace" || !status) {
      const message =
        "descriptor left open by a process that survived the test";
      emit({ type: "warning", test: name, message });
    }
    if (!status) command.kill();
    const { channel } = launch;
    const verdict = judgeEnd({ how, code: status?.code, channel });
    const dropped = channel?.started ? channel.dropped : "";
    if (dropped !== "") {
      emit({ type: "set-up", test: name, output: dropped });
    }
    switch (verdict.is) {
      case "not-started":
        throw await this.#startFailure(status!.code, verdict.inSetup);
      case "over":
        return verdict.exitCode;
      case "away":
        emit({ type: "reconnecting", test: name, code: status!.code });
        return undefined;
      case "complete":
        this.#warnOfRest(channel!.end());
        if (verdict.exitCode !== undefined) return verdict.exitCode;
        throw new TestAbortedError("exitcode not reported", "no-exitcode");
      case "cut-off":
        throw await this.#cutOff(status!.code, verdict.by);
    }
  }

  #warnOfRest(rest: string): void {
    if (rest === "") return;
    const { name, emit } = this.#options;
    const message = `the last control line is not complete: ${
      JSON.stringify(rest.slice(0, 80))
    }`;
    emit({ type: "warning", test: name, message });
  }

  /** The error for a wrapper that did not come to its end. */
  async #cutOff(
    code: number,
    by: "wrapper" | "connection",
  ): Promise<TestAbortedError> {
    const message =
      `test wrapper unexpectedly exited with ${code} and disconnect was not sent via test control`;
    if (by === "wrapper") return new TestAbortedError(message, by);
    const { connection } = this.#options;
    // what is known of the link is gone with it
    const cause = await linkFailure(connection, code, "");
    await connection.disconnect();
    return new TestAbortedError(message, by, { cause });
  }

  /** Why the command ended before the test began. */
  async #startFailure(code: number, inSetup: boolean): Promise<Error> {
    const { connection, reporter, name } = this.#options;
    const said = this.setupOutput + await endOf(reporter.output);
    const ours = code === SETUP_FAILED || code === NOT_STARTED;
    if (!ours || !inSetup) {
      const failure = await linkFailure(connection, code, said);
      if (failure && inSetup) return failure;
      const message =
        `test wrapper unexpectedly exited with ${code} before it started the test again`;
      if (failure) {
        await connection.disconnect();
        return new TestAbortedError(message, "connection", { cause: failure });
      }
      if (!inSetup) return new TestAbortedError(message, "wrapper");
    }
    const last = lastLines(said) || `its command ended with ${code}`;
    return new TestSetupError(`Cannot set up "${name}": ${last}`, {
      output: said,
    });
  }
}

/** How much of a test's output tells why it did not start, in bytes. */
const OUTPUT_SHOWN = 64 * 1024;

/** The end of a file. */
async function endOf(path: string): Promise<string> {
  using file = await Deno.open(path);
  const { size } = await file.stat();
  await file.seek(Math.max(0, size - OUTPUT_SHOWN), Deno.SeekMode.Start);
  return await new Response(file.readable).text();
}
