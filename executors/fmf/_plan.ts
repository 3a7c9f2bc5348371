/** Carries out what a plan wants to be done before and after all tests. */
import { abortable } from "@std/async/abortable";
import type { Connection } from "../../connections/connection.ts";
import { SetupError } from "../executor.ts";
import { after, within } from "../../connections/time_limit.ts";
import type { Emit } from "./_events.ts";
import { linkFailure } from "./_link.ts";
import { lastLines, SetupOutput } from "./_setup_output.ts";
import { type Heartbeat, WrapperCommand } from "./_wrapper_command.ts";
import { ControlParser } from "./control.ts";
import type { Phase, Step } from "./_steps.ts";
import {
  installScript,
  planSetupScript,
  type WorkDirectory,
} from "./scripts.ts";

/** How steps are carried out. Times are in milliseconds. */
export interface StepOptions {
  readonly connection: Connection;
  readonly work: WorkDirectory;
  readonly phase: Phase;
  /** Entries `NAME=value`. */
  readonly environment: readonly string[];
  readonly timeout: number;
  readonly exitGrace: number;
  readonly heartbeat: Heartbeat | undefined;
  readonly emit: Emit;
  readonly signal: AbortSignal | undefined;
}

/**
 * Carries out a step.
 *
 * @throws {SetupError} if it fails
 * @throws {ConnectionError} if the link broke
 */
export async function carryOut(
  step: Step,
  options: StepOptions,
): Promise<void> {
  options.signal?.throwIfAborted();
  await new StepExecution(step, options).run();
}

class StepExecution {
  readonly #step: Step;
  readonly #options: StepOptions;
  readonly #nonce = crypto.randomUUID();
  readonly #setup = new SetupOutput(this.#nonce);
  readonly #grace = Promise.withResolvers<undefined>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #control: ControlParser | undefined;
  #printed = "";

  constructor(step: Step, options: StepOptions) {
    this.#step = step;
    this.#options = options;
  }

  /** What was printed. */
  get #output(): string {
    return this.#setup.text + this.#printed.slice(-KEPT);
  }

  async run(): Promise<void> {
    const { connection, work, environment, heartbeat } = this.#options;
    const install = this.#step.how === "install";
    await using command = WrapperCommand.start(connection, work, {
      state: work.plan,
      cwd: work.tests,
      flags: install
        ? ["only"]
        : ["nokill", "nocontrol", `marker=${this.#nonce}`],
      stderr: "piped",
      heartbeat,
      setup: this.#step.how === "install"
        ? installScript(work, this.#step.required, this.#step.recommended)
        : planSetupScript(work, this.#step.script, environment),
    });
    const output = command.output.getReader();
    const reading = Promise.all([
      this.#readControl(command),
      this.#readLines(output),
    ]);
    reading.catch(() => {});
    try {
      await this.#untilOver(Promise.all([reading, command.status]));
      if (this.#control?.ended) command.kill();
      const { code } = await command.status;
      const exitCode = this.#control?.exitCode;
      if (this.#control?.ended ? exitCode === 0 : install && code === 0) return;
      if (!this.#control?.ended) {
        const failure = await linkFailure(connection, code, this.#output);
        if (failure) throw failure;
      }
      const last = lastLines(this.#output);
      throw this.#error(`ended with ${exitCode ?? code}${last && `: ${last}`}`);
    } finally {
      await command.end();
      await output.cancel().catch(() => {});
      await reading.catch(() => {});
      clearTimeout(this.#timer);
    }
  }

  /** Waits until the step has ended. What is done then takes none of its time: how it ended is no longer open. */
  async #untilOver(ended: Promise<unknown>): Promise<void> {
    const { timeout: ms, signal } = this.#options;
    const late = () => this.#error(`did not end within ${ms} ms`);
    // whoever holds the output when the script is over has some time to let go
    const over = Promise.race([ended, this.#grace.promise]);
    await within({ ms, late, signal }, (signal) => abortable(over, signal));
  }

  #error(how: string): SetupError {
    return new SetupError(
      `Cannot ${this.#options.phase} the system: ${
        describe(this.#step)
      } ${how}`,
      { output: this.#output },
    );
  }

  async #readControl(command: WrapperCommand): Promise<void> {
    for (;;) {
      let bytes = await command.read();
      if (!bytes) break;
      if (!this.#control) {
        bytes = this.#setup.take(bytes);
        if (!bytes) continue;
        this.#control = new ControlParser({ nonce: this.#nonce });
      }
      for (const _ of this.#control.feed(bytes));
      if (this.#control.ended) {
        this.#timer ??= after(
          this.#options.exitGrace,
          () => this.#grace.resolve(undefined),
        );
      }
    }
    if (this.#step.how === "install") this.#printLines(this.#setup.text);
  }

  async #readLines(
    output: ReadableStreamDefaultReader<Uint8Array>,
  ): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for (;;) {
      const { done, value } = await output.read();
      const text = done
        ? decoder.decode()
        : decoder.decode(value, { stream: true });
      this.#printed += text;
      if (this.#printed.length > 2 * KEPT) {
        this.#printed = this.#printed.slice(-KEPT);
      }
      const newline = text.lastIndexOf("\n");
      if (newline !== -1) {
        this.#printLines(rest + text.slice(0, newline + 1));
        rest = text.slice(newline + 1);
      } else rest += text;
      if (rest.length > LONGEST_LINE) {
        this.#printLines(rest);
        rest = "";
      }
      if (done) break;
    }
    this.#printLines(rest);
  }

  #printLines(text: string): void {
    const { emit, phase } = this.#options;
    if (text === "") return;
    for (const line of text.replace(/\n$/, "").split("\n")) {
      emit({ type: "output", phase, line });
    }
  }
}

/** How much of what a step prints is kept, in characters. */
const KEPT = 4 * 1024 * 1024;
/** Longer lines are given out in pieces, in characters. */
const LONGEST_LINE = 64 * 1024;

function describe(step: Step): string {
  if (step.how === "install") return `installing ${step.required.join(", ")}`;
  const script = step.script.trim();
  const [line] = script.split("\n", 1);
  const shown = line!.length > 80 ? line!.slice(0, 80) : line!;
  return `the script "${shown}${shown === script ? "" : "…"}"`;
}
