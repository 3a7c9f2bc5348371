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
import { output, start } from "../connections/process.ts";
import { checkKind, checkOptions, type Known } from "../options.ts";
import { Activity } from "./activity.ts";
import {
  type Executor,
  type RunTestOptions,
  TestAbortedError,
} from "./executor.ts";
import { ArtifactsWriter, normaliseFileName } from "./results.ts";
import { after, checkTimeout } from "../connections/time_limit.ts";

/** How a command ended, for {@linkcode CommandExecutorOptions.evaluate}. */
export interface CommandOutcome {
  /** Name of the test. */
  readonly name: string;
  /** Exit code of the command; 128 + n for signal n. */
  readonly exitCode: number;
  /** The file with what it printed, on this machine. */
  readonly outputPath: string;
}

/** Options of {@linkcode CommandExecutor}. */
export interface CommandExecutorOptions {
  /** The commands, by name of the test. */
  tests: Readonly<Record<string, readonly string[]>>;
  /**
   * Name of the file with what a command prints.
   *
   * @default {"output.txt"}
   */
  output?: string;
  /**
   * Status of the result.
   *
   * @default `pass` for exit code 0, otherwise `fail`
   */
  evaluate?: (outcome: CommandOutcome) => string | Promise<string>;
  /**
   * Time limit of a command in milliseconds; `Infinity`: none.
   *
   * @default {3_600_000} an hour
   */
  timeout?: number;
  /**
   * Variables for every command. They may be visible in process lists.
   *
   * @default {{}}
   */
  env?: Readonly<Record<string, string>>;
}

const OPTIONS: Known<CommandExecutorOptions> = {
  tests: "an object",
  output: "optional",
  evaluate: "optional",
  timeout: "optional",
  env: "optional",
};

/**
 * Becomes the command, and leaves a watcher beside it that ends the command's
 * process group when the standard input ends: with the client here, whatever
 * became of it, the command ends there too.
 */
const LEASH = `exec 7<&0 </dev/null
( exec <&7 7<&- >/dev/null 2>&1
  trap '' HUP INT TERM
  while read -r line; do :; done
  kill -0 $$ || exit
  kill -TERM -$$ || kill -TERM $$
  sleep 5
  kill -0 $$ || exit
  kill -KILL -$$ || kill -KILL $$
) &
exec 7<&-
exec "$@"`;

const HOUR = 3_600_000;

/** Clients use this code for failures of their own, and so may a command. */
const AMBIGUOUS_CODE = 255;

/**
 * Runs commands as tests of one system. The artifacts of a test are one result,
 * and one file with what the command printed, to standard output and error together.
 * A command gets nothing to read. When its time is over or the run is aborted, it
 * and its process group get SIGTERM, and SIGKILL 5 seconds later.
 *
 * The system needs `sh`.
 */
export class CommandExecutor implements Executor {
  readonly #connection: Connection;
  readonly #options: CommandExecutorOptions;
  readonly #output: string;
  readonly #timeout: number;
  readonly #activity = new Activity();

  /**
   * Stores the options.
   *
   * @throws {TypeError} if `connection` is none, a test is no command, `output` no
   * valid file name, or a time no positive number
   */
  constructor(connection: Connection, options: CommandExecutorOptions) {
    checkKind("CommandExecutor", "connection", connection, "a connection");
    checkOptions("CommandExecutor", options, OPTIONS);
    for (const [name, command] of Object.entries(options.tests)) {
      checkKind('"tests" of CommandExecutor', name, command, "a list");
      // "exec" of a shell does nothing without a command, and takes options
      if (/^[^-]/.test(command[0] ?? "")) continue;
      throw new TypeError(
        `Cannot use ${
          Deno.inspect(command)
        } as the command of test "${name}": a program and its arguments would be right`,
      );
    }
    this.#timeout = options.timeout ?? HOUR;
    checkTimeout("timeout", this.#timeout);
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
   * Needs `--allow-read` and `--allow-write` for the directory of artifacts, and
   * `--allow-run` as the connection does.
   *
   * @throws {TypeError} if there is no such test, or another one runs
   * @throws {TestAbortedError} if time was over, `signal` was aborted, or the connection failed
   */
  async runTest(
    name: string,
    artifacts: string | URL,
    options: RunTestOptions = {},
  ): Promise<number> {
    const argv = Object.hasOwn(this.#options.tests, name)
      ? this.#options.tests[name]
      : undefined;
    if (argv === undefined) {
      throw new TypeError(`Cannot run test "${name}": there is no such test`);
    }
    return await this.#activity.run(
      `test "${name}"`,
      options.signal,
      (signal) => this.#runTest(name, argv, artifacts, { ...options, signal }),
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
    argv: readonly string[],
    artifacts: string | URL,
    options: RunTestOptions,
  ): Promise<number> {
    using writer = ArtifactsWriter.open(artifacts);
    const outputPath = writer.pathFor(this.#output);
    try {
      const exitCode = await this.#run(argv, outputPath, options);
      const status =
        await this.#options.evaluate?.({ name, exitCode, outputPath }) ??
          (exitCode === 0 ? "pass" : "fail");
      writer.write({ status, files: [this.#output] });
      return exitCode;
    } catch (error) {
      const { name, message } = error as Error;
      writer.write({
        status: "infra",
        note: `${name}(${message})`,
        ...(exists(outputPath) && { files: [this.#output] }),
      });
      throw error;
    }
  }

  async #run(
    argv: readonly string[],
    outputPath: string,
    { signal, env }: RunTestOptions,
  ): Promise<number> {
    using limit = new TimeLimit(this.#timeout);
    const ending = signal
      ? AbortSignal.any([signal, limit.signal])
      : limit.signal;
    let status;
    try {
      ending.throwIfAborted();
      const leashed = ["sh", "-c", LEASH, "sh", ...argv];
      await using process = start(this.#connection, leashed, {
        stdin: "piped",
        stdout: { append: outputPath },
        stderr: "stdout",
        env: { ...this.#options.env, ...env },
        signal: ending,
      });
      status = await process.status;
    } catch (cause) {
      if (!(cause instanceof ConnectionError)) {
        throw this.#aborted(ending, limit) ?? cause;
      }
      throw new TestAbortedError(cause.message, "connection", { cause });
    }
    const aborted = this.#aborted(ending, limit);
    if (aborted) throw aborted;
    if (status.code === AMBIGUOUS_CODE) await this.#checkConnection(ending);
    return status.code;
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

  /** Whether it was the command that ended with 255, or the client that could not run it. */
  async #checkConnection(signal: AbortSignal): Promise<void> {
    let reason: unknown;
    try {
      const { success } = await output(this.#connection, ["true"], { signal });
      if (success) return;
    } catch (error) {
      reason = error;
    }
    throw new TestAbortedError(
      `the command ended with ${AMBIGUOUS_CODE} and the connection does not work any more`,
      "connection",
      { cause: reason },
    );
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
    return Deno.lstatSync(path).isFile;
  } catch {
    return false;
  }
}
