/**
 * Tests that are commands: a name, a program, its arguments.
 *
 * @example
 * ```ts
 * import { LocalConnection } from "jsr:@atex/atex/connections/local";
 * import { CommandExecutor } from "jsr:@atex/atex/executors/command";
 *
 * await using here = await LocalConnection.open();
 * await using executor = await new CommandExecutor(here, {
 *   tests: { "/date": ["date", "+%s"], "/no": ["false"] },
 * }).start();
 * const artifacts = await Deno.makeTempDir();
 * const code = await executor.runTest("/date", artifacts); // 0
 * ```
 *
 * @module
 */
import {
  type Connection,
  ConnectionError,
  type SignalOptions,
} from "../connections/connection.ts";
import { start } from "../connections/process.ts";
import {
  checkKind,
  checkMilliseconds,
  checkOptions,
  type Known,
} from "../options.ts";
import { HERALD } from "./_herald.ts";
import { knownLoss, lossBehind } from "./_loss.ts";
import { Activity } from "./activity.ts";
import { errorNote } from "./error_note.ts";
import {
  type Executor,
  ExecutorError,
  type RunTestOptions,
  TestAbortedError,
} from "./executor.ts";
import { LEASH } from "./leash.ts";
import { checkRunTest, checkVariables } from "./variables.ts";
import { ArtifactsWriter, normaliseFileName } from "./results.ts";
import { checkOutput, storeResults, withStorage } from "./storage.ts";
import { after } from "../connections/time_limit.ts";

/** How a command ended, for {@linkcode CommandExecutorOptions.evaluate}. */
export interface CommandOutcome {
  /** Name of the test. */
  readonly name: string;
  /** Exit code of the command; 128 + n for signal n. */
  readonly exitCode: number;
  /** The file with what it printed, on this machine. */
  readonly outputPath: string;
}

/** A command with a time limit of its own. */
export interface TimedCommand {
  /** The program and its arguments. */
  command: readonly string[];
  /** Time limit in milliseconds; `Infinity`: none. */
  timeout: number;
}

/** Options of {@linkcode CommandExecutor}. */
export interface CommandExecutorOptions {
  /** The commands, by name of the test: each a program and its arguments. */
  tests: Readonly<Record<string, readonly string[] | TimedCommand>>;
  /**
   * Name of the file with what a command prints.
   *
   * @default {"output.txt"}
   */
  output?: string | undefined;
  /**
   * Status of the result. What this throws, the run ends with.
   *
   * @default `pass` for exit code 0, otherwise `fail`
   */
  evaluate?:
    | ((outcome: CommandOutcome) => string | Promise<string>)
    | undefined;
  /**
   * Time limit of a command in milliseconds; `Infinity`: none. The default is longer
   * than that of a function or of a test in fmf, as a command may well be a whole suite.
   *
   * @default `3_600_000`, an hour
   */
  timeout?: number | undefined;
  /**
   * How long, in milliseconds, what a command left running may hold its output open.
   * What it prints meanwhile is kept, unless the system is this one: there, nothing
   * is waited for.
   *
   * @default {10_000}
   */
  exitGrace?: number | undefined;
  /**
   * Variables for every command. They may be visible in process lists.
   *
   * @default `{}`
   */
  env?: Readonly<Record<string, string>> | undefined;
}

const OPTIONS: Known<CommandExecutorOptions> = {
  tests: "an object",
  output: "optional",
  evaluate: "optional",
  timeout: "optional",
  exitGrace: "optional",
  env: "optional",
};

const LONG_FORM: Known<TimedCommand> = {
  command: "anything",
  timeout: "anything",
};

const HOUR = 3_600_000;

/** From there on, a signal ended the command: it may be that of a system that ends. */
const SIGNALLED = 128;

/**
 * Runs commands as tests of one system. The artifacts of a test are one result,
 * and one file with what the command printed, to standard output and error together.
 * A command gets nothing to read. When its time is over or the run is aborted, it
 * and its process group get SIGTERM, and SIGKILL 5 seconds later. A test is over when
 * its command has ended; what that leaves running is left alone. Where the system may
 * be what ended a command, it is asked whether it is still there: a test whose system
 * vanished has not failed.
 *
 * The system needs `sh`.
 */
export class CommandExecutor implements Executor {
  readonly #connection: Connection;
  readonly #options: CommandExecutorOptions;
  readonly #output: string;
  readonly #timeout: number;
  readonly #exitGrace: number;
  readonly #activity = new Activity();

  /**
   * Stores the options.
   *
   * @throws {TypeError} if `connection` is no connection, a test is no command,
   * `output` no valid file name, a variable of `env` not a string, or a time no number
   * @throws {RangeError} if a time is not above 0
   */
  constructor(connection: Connection, options: CommandExecutorOptions) {
    checkKind("CommandExecutor", "connection", connection, "a connection");
    checkOptions("CommandExecutor", options, OPTIONS);
    checkVariables("CommandExecutor", options.env);
    for (const [name, test] of Object.entries(options.tests)) {
      if (isLong(test)) {
        checkOptions(`test "${name}" of CommandExecutor`, test, LONG_FORM);
        checkMilliseconds({ [`timeout of ${name}`]: test.timeout });
      }
      const { command } = timed(test);
      checkKind('"tests" of CommandExecutor', name, command, "a list");
      // "exec" of a shell does nothing without a command, and takes options
      if (/^[^-]/.test(command[0] ?? "")) continue;
      throw new TypeError(
        `Cannot use ${
          Deno.inspect(command)
        } as the command of test "${name}": a program and its arguments would be right`,
      );
    }
    const { timeout = HOUR, exitGrace = 10_000 } = options;
    checkMilliseconds({ timeout, exitGrace });
    this.#timeout = timeout;
    this.#exitGrace = exitGrace;
    this.#connection = connection;
    this.#options = options;
    this.#output = normaliseFileName(options.output ?? "output.txt");
  }

  /** Does nothing: a command needs no preparation. */
  start({ signal }: SignalOptions = {}): Promise<this> {
    return Promise.try(() => {
      signal?.throwIfAborted();
      return this;
    });
  }

  /** Whether there is such a test. */
  has(name: string): boolean {
    return Object.hasOwn(this.#options.tests, name);
  }

  /**
   * Runs the command of a test; resolves with its exit code.
   *
   * Needs `--allow-write` for the directory of artifacts, and
   * `--allow-run` as the connection does.
   *
   * @throws {TypeError} if there is no such test, another one runs, a variable
   * of `env` is not a string, or an option is misspelt
   * @throws {RangeError} if `attempt` is not a positive whole number
   * @throws {TestAbortedError} if time was over, `signal` was aborted, the connection failed,
   * or artifacts cannot be stored
   */
  async runTest(
    name: string,
    artifacts: string | URL,
    options: RunTestOptions = {},
  ): Promise<number> {
    const test = Object.hasOwn(this.#options.tests, name)
      ? this.#options.tests[name]
      : undefined;
    if (test === undefined) {
      throw new TypeError(`Cannot run test "${name}": there is no such test`);
    }
    checkRunTest(options);
    const { command, timeout = this.#timeout } = timed(test);
    return await this.#activity.run(
      `test "${name}"`,
      options.signal,
      (signal) =>
        this.#runTest(name, { command, timeout }, artifacts, {
          ...options,
          signal,
        }),
    );
  }

  /** Ends a test that runs. */
  stop(): Promise<void> {
    return this.#activity.stop();
  }

  /** The same as {@linkcode CommandExecutor.stop}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #runTest(
    name: string,
    test: TimedCommand,
    artifacts: string | URL,
    options: RunTestOptions,
  ): Promise<number> {
    using writer = ArtifactsWriter.open(artifacts);
    const outputPath = writer.pathFor(this.#output);
    try {
      const exitCode = await this.#run(test, outputPath, options);
      checkOutput(outputPath);
      const status = await this.#evaluate({ name, exitCode, outputPath });
      storeResults(writer, { status, files: [this.#output] });
      return exitCode;
    } catch (thrown) {
      const error = withStorage(thrown, outputPath);
      try {
        storeResults(writer, {
          status: "infra",
          note: errorNote(error),
          ...(exists(outputPath) && { files: [this.#output] }),
        });
      } catch {
        // the error itself tells more than a full disk
      }
      throw error;
    }
  }

  /** The status of a test; rejects with an error even if something else is thrown. */
  async #evaluate(outcome: CommandOutcome): Promise<string> {
    const { evaluate } = this.#options;
    if (!evaluate) return outcome.exitCode === 0 ? "pass" : "fail";
    let status: unknown;
    try {
      status = await evaluate(outcome);
    } catch (cause) {
      if (cause instanceof Error) throw cause;
      throw new ExecutorError(
        `Cannot evaluate test "${outcome.name}": "evaluate" threw ${
          Deno.inspect(cause)
        }`,
        { cause },
      );
    }
    checkKind(`"evaluate" for ${outcome.name}`, "status", status, "a string");
    return status as string;
  }

  async #run(
    { command, timeout }: TimedCommand,
    outputPath: string,
    { signal, env }: RunTestOptions,
  ): Promise<number> {
    using limit = new TimeLimit(timeout);
    const ending = signal
      ? AbortSignal.any([signal, limit.signal])
      : limit.signal;
    let told, status;
    try {
      ending.throwIfAborted();
      const leashed = ["sh", "-c", HERALD, "sh", LEASH, "sh", ...command];
      await using process = start(this.#connection, leashed, {
        stdin: "piped",
        stdout: "piped",
        stderr: { append: outputPath },
        env: { ...this.#options.env, ...env },
        signal: ending,
      });
      const herald = process.stdout.getReader();
      const letGo = () => {
        process.kill("SIGKILL");
        void herald.cancel();
      };
      ending.addEventListener("abort", () => process.status.then(letGo));
      const telling = exitCodeFrom(herald).then((exitCode) => ({
        exitCode,
        aborted: this.#aborted(ending, limit), // later, it does not matter any more
      }));
      await Promise.race([telling, process.status]);
      using patience = new TimeLimit(this.#exitGrace);
      patience.signal.addEventListener("abort", letGo);
      [told, status] = await Promise.all([telling, process.status]);
    } catch (cause) {
      if (!(cause instanceof ConnectionError)) {
        throw this.#aborted(ending, limit) ?? cause;
      }
      throw new TestAbortedError(cause.message, "connection", { cause });
    }
    const { exitCode, aborted } = told;
    if (aborted) throw aborted;
    const code = exitCode ?? status.code;
    if (code !== 0) {
      const loss = await this.#lossBehind(code, exitCode !== undefined, {
        signal: ending,
      }).catch((error) => {
        throw this.#aborted(ending, limit) ?? error;
      });
      if (loss) throw loss;
    } else if (exitCode === undefined) {
      throw new TestAbortedError("exitcode not reported", "no-exitcode");
    }
    return code;
  }

  /** Whether it was not the command that ended with this code, but the system. */
  #lossBehind(
    code: number,
    isTold: boolean,
    options: SignalOptions,
  ): Promise<TestAbortedError | undefined> {
    const failure = `the command ended with ${code}`;
    // Without a word from there, it may be the client's, or that of the herald's end.
    return isTold && code <= SIGNALLED
      ? knownLoss(failure, this.#connection)
      : lossBehind(failure, this.#connection, options);
  }

  #aborted(
    ending: AbortSignal,
    limit: TimeLimit,
  ): TestAbortedError | undefined {
    if (!ending.aborted) return undefined;
    return limit.signal.aborted
      ? new TestAbortedError("test duration timeout reached", "timeout")
      : new TestAbortedError("cancel requested", "cancelled", {
        cause: ending.reason,
      });
  }
}

/** Neither a list nor what was meant to be one. */
function isLong(test: readonly string[] | TimedCommand): test is TimedCommand {
  return typeof test === "object" && test !== null &&
    !(Symbol.iterator in test);
}

/** A test in its long form. */
function timed(
  test: readonly string[] | TimedCommand,
): Partial<TimedCommand> & Pick<TimedCommand, "command"> {
  return isLong(test) ? test : { command: test };
}

/** What the herald tells; `undefined` if it ends, or its client, without a word. */
async function exitCodeFrom(
  herald: ReadableStreamDefaultReader<Uint8Array>,
): Promise<number | undefined> {
  const decoder = new TextDecoder();
  let text = ""; // a login shell may print something before
  try {
    for (;;) {
      const { done, value } = await herald.read();
      if (done) return undefined;
      text = (text + decoder.decode(value, { stream: true })).slice(-100);
      const told = /\nended (\d+)\n$/.exec(text);
      if (told) return Number(told[1]);
    }
  } finally {
    await herald.cancel();
  }
}

/** A signal that is aborted after a time. */
class TimeLimit implements Disposable {
  readonly #controller = new AbortController();
  readonly #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(ms: number) {
    this.#timer = after(ms, () => this.#controller.abort());
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}

function exists(path: string): boolean {
  try {
    // takes no permission but that to write
    Deno.openSync(path, { append: true }).close();
    return true;
  } catch {
    return false;
  }
}
