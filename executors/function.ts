/**
 * Tests that are functions of the script: the shortest way from nothing to a
 * test on several systems.
 *
 * @example
 * ```ts
 * import { run } from "jsr:@atex/atex/connections/process";
 * import { SshConnection } from "jsr:@atex/atex/connections/ssh";
 * import { FunctionExecutor } from "jsr:@atex/atex/executors/function";
 *
 * await using machine = await SshConnection.open({ host: "root@10.0.0.7" });
 * await using executor = await new FunctionExecutor(machine, {
 *   tests: {
 *     "/boots": ({ exec }) => exec(["systemctl", "is-system-running"]),
 *     "/disk": async ({ remote, report }) => {
 *       const df = await run(remote, ["df", "-P", "/"]);
 *       const full = df.includes("100%");
 *       report({ name: "root", status: full ? "fail" : "pass", files: { "df.txt": df } });
 *     },
 *   },
 * }).start();
 * await executor.runTest("/disk", await Deno.makeTempDir());
 * ```
 *
 * @module
 */
import {
  type Connection,
  ConnectionError,
  NotConnectedError,
  type SignalOptions,
} from "../connections/connection.ts";
import {
  checkKind,
  checkMilliseconds,
  checkOptions,
  type Known,
} from "../options.ts";
import { checkRunTest } from "./variables.ts";
import { lossBehind } from "./_loss.ts";
import { Activity } from "./activity.ts";
import {
  type Executor,
  type RunTestOptions,
  SetupError,
  TestAbortedError,
} from "./executor.ts";
import { FunctionArtifacts, type Report } from "./_function_artifacts.ts";
import { type ExecOptions, FunctionCommands } from "./_function_commands.ts";
import { after } from "../connections/time_limit.ts";

export type { Report } from "./_function_artifacts.ts";
export type { ExecOptions } from "./_function_commands.ts";

/** What a test is given. */
export interface TestContext<R extends Connection = Connection> {
  /** The system. */
  readonly remote: R;
  /** Name of the test. */
  readonly name: string;
  /** Which attempt of the test this is, counted from 1. */
  readonly attempt: number;
  /** Variables given for this run of the test. */
  readonly env: Readonly<Record<string, string>>;
  /** Aborted when the test has to end: its time is over or the run is aborted. */
  readonly signal: AbortSignal;
  /**
   * An empty directory on this machine. Files that are left in it belong to the
   * test's own result, unless a {@linkcode Report} takes them.
   */
  readonly artifacts: string;
  /**
   * Stores a result: with a `name` that of a subtest, without one the test's
   * own (which is stored at the end, so that a later error still counts).
   *
   * @throws {Error} if a file is not there, has a name that leads elsewhere, or was
   * reported before, or if the result cannot be written as JSON; nothing is stored then
   */
  report(result: Report): void;
  /** Adds a line to the output of the test. */
  log(text: string): void;
  /**
   * Runs a command on the system to its end; what it prints, to standard output and
   * error, becomes part of the output of the test. It is terminated when the test has to
   * end; `signal` can end it before that. To get what a command prints, use `run()` of
   * `connections/process`. The system needs `sh`.
   *
   * A command that the test does not wait for runs beside it: it is terminated when the
   * function has returned, which the output tells, and its promise never settles then. If it
   * fails before that, the test fails, unless there is a `catch()`.
   *
   * @throws {TypeError} if `argv` is no command
   * @throws {CommandError} if it ends with a status other than 0 (from `connections/process`)
   * @throws {NotConnectedError} if the connection is not connected (from `connections/connection`)
   * @throws {Error} if the test has ended
   */
  exec(argv: readonly string[], options?: ExecOptions): Promise<void>;
}

/**
 * A test. It passes by returning, and fails by throwing or by reporting a subtest
 * that failed (`fail` or `error`). A number that it returns is its exit code.
 */
export type TestFunction<R extends Connection = Connection> = (
  context: TestContext<R>,
) => unknown;

/** A test with a time limit of its own. */
export interface TimedTest<R extends Connection = Connection> {
  /** The test. */
  test: TestFunction<R>;
  /** Time limit in milliseconds; `Infinity`: none. */
  timeout: number;
}

/** Tests by name. */
export type TestFunctions<R extends Connection = Connection> = Readonly<
  Record<string, TestFunction<R> | TimedTest<R>>
>;

/** Options of {@linkcode FunctionExecutor}. */
export interface FunctionExecutorOptions<R extends Connection = Connection> {
  /** The tests, by name. */
  tests: TestFunctions<R>;
  /**
   * Time limit of a test in milliseconds; `Infinity`: none. The default is that of a
   * test in fmf.
   *
   * @default {300_000}
   */
  timeout?: number | undefined;
  /**
   * How long `setup` and `cleanup` may take, each, in milliseconds; `Infinity`: no
   * limit.
   *
   * @default {1_800_000}
   */
  setupTimeout?: number | undefined;
  /**
   * How long, in milliseconds, a function that was told to end is waited for. What
   * it does after that is not seen any more.
   *
   * @default {5_000}
   */
  grace?: number | undefined;
  /** Prepares the system, once, before the first test. */
  setup?: ((remote: R, options: SignalOptions) => unknown) | undefined;
  /** Cleans up the system, once, after a setup that was begun, even if that failed. */
  cleanup?: ((remote: R, options: SignalOptions) => unknown) | undefined;
}

const OPTIONS: Known<FunctionExecutorOptions> = {
  tests: "an object",
  timeout: "optional",
  setupTimeout: "optional",
  grace: "optional",
  setup: "optional",
  cleanup: "optional",
};

const LONG_FORM: Known<TimedTest> = {
  test: "a function",
  timeout: "anything",
};

/**
 * Runs functions as tests of one system. Results and files become the same
 * artifacts as those of other executors: a thrown error is a failed test with
 * the message as its note and the stack in its `output.txt`. An error of the
 * connection is not the test's fault: it is a {@linkcode TestAbortedError}. After a
 * test that failed otherwise the system is asked whether it is still there, since
 * whatever failed may come of its end: if it is not, that is told instead.
 */
export class FunctionExecutor<R extends Connection = Connection>
  implements Executor {
  readonly #remote: R;
  readonly #options: FunctionExecutorOptions<R>;
  readonly #timeout: number;
  readonly #setupTimeout: number;
  readonly #grace: number;
  readonly #activity = new Activity();
  #setUp = false;

  /**
   * Stores the options.
   *
   * @throws {TypeError} if `remote` is no connection, a test no function, or a time
   * no number
   * @throws {RangeError} if a time is not above 0
   */
  constructor(remote: R, options: FunctionExecutorOptions<R>) {
    checkKind("FunctionExecutor", "remote", remote, "a connection");
    checkOptions("FunctionExecutor", options, OPTIONS);
    for (const [name, entry] of Object.entries(options.tests)) {
      if (isLong(entry)) {
        checkOptions(`test "${name}" of FunctionExecutor`, entry, LONG_FORM);
        checkMilliseconds({ [`timeout of ${name}`]: entry.timeout });
      } else {
        checkKind('"tests" of FunctionExecutor', name, entry, "a function");
      }
    }
    const { timeout = 300_000, setupTimeout = 1_800_000, grace = 5_000 } =
      options;
    checkMilliseconds({ timeout, setupTimeout, grace });
    this.#timeout = timeout;
    this.#setupTimeout = setupTimeout;
    this.#grace = grace;
    this.#remote = remote;
    this.#options = options;
  }

  /**
   * Runs `setup`.
   *
   * @throws {SetupError} if that throws or takes too long; `cleanup` was run then
   * @throws {TypeError} if a test runs
   */
  async start({ signal }: SignalOptions = {}): Promise<this> {
    signal?.throwIfAborted();
    await this.#activity.run(
      "the setup",
      signal,
      (signal) => this.#start(signal),
    );
    return this;
  }

  async #start(signal: AbortSignal): Promise<void> {
    this.#setUp = true;
    try {
      await this.#carryOut("prepare", this.#options.setup, signal);
    } catch (error) {
      await this.#cleanUp().catch(() => {});
      throw signal.aborted || error instanceof SetupError
        ? error
        : asSetupError(error);
    }
  }

  /** Runs `setup` or `cleanup`, but not for ever. */
  async #carryOut(
    what: "prepare" | "clean up",
    step: FunctionExecutorOptions<R>["setup"],
    outer?: AbortSignal,
  ): Promise<void> {
    const timeout = this.#setupTimeout;
    using ending = new Ending(
      { signal: outer, timeout, grace: this.#grace },
      (why) =>
        why === "cancelled" ? outer!.reason : new SetupError(
          `Cannot ${what} the system: it takes longer than ${timeout / 1000} s`,
        ),
    );
    await ending.run((signal) => step?.(this.#remote, { signal }));
  }

  /** Whether there is such a test. */
  has(name: string): boolean {
    return Object.hasOwn(this.#options.tests, name);
  }

  /**
   * Runs one test; resolves with 0 if it passed, otherwise with 1, or with the
   * number that it returned.
   *
   * Needs `--allow-read` and `--allow-write` for the directory of artifacts.
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
    const entry = Object.hasOwn(this.#options.tests, name)
      ? this.#options.tests[name]
      : undefined;
    if (entry === undefined) {
      throw new TypeError(`Cannot run test "${name}": there is no such test`);
    }
    checkRunTest(options);
    const { test, timeout = this.#timeout } = typeof entry === "function"
      ? { test: entry }
      : entry;
    return await this.#activity.run(
      `test "${name}"`,
      options.signal,
      (signal) =>
        this.#runTest(name, { test, timeout }, artifacts, {
          ...options,
          signal,
        }),
    );
  }

  /**
   * Ends a setup or a test that is under way, and runs `cleanup`, if the executor
   * was started. May be called repeatedly.
   *
   * @throws what `cleanup` throws, except errors of the connection
   * @throws {SetupError} if `cleanup` takes too long
   */
  stop(): Promise<void> {
    return this.#activity.stop(() => this.#cleanUp());
  }

  /** The same as {@linkcode FunctionExecutor.stop}, but what `cleanup` throws is ignored. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop().catch(() => {});
  }

  async #cleanUp(): Promise<void> {
    if (!this.#setUp) return;
    this.#setUp = false;
    try {
      await this.#carryOut("clean up", this.#options.cleanup);
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
    }
  }

  async #runTest(
    name: string,
    test: TimedTest<R>,
    artifacts: string | URL,
    options: RunTestOptions,
  ): Promise<number> {
    using store = FunctionArtifacts.open(artifacts);
    try {
      const returned = await this.#run(name, test, store, options);
      store.checkStored();
      if (store.isFailed(returned)) await this.#checkSystem(options);
      return store.finish(returned);
    } catch (error) {
      const aborted = asAborted(error) ?? await this.#lossBehind(options);
      if (!aborted) return store.fail(error ?? nothing(error));
      if (aborted !== error && aborted.cause !== error) {
        store.tell(Deno.inspect(error));
      }
      store.abort(aborted);
      throw aborted;
    }
  }

  /** Whether a test failed since the system is not there any more: whatever it threw may come of that. */
  async #lossBehind(
    { signal }: RunTestOptions,
  ): Promise<TestAbortedError | undefined> {
    try {
      const loss = await lossBehind("the test failed", this.#remote, {
        signal,
      });
      // A test may need no system, and a script no permission to reach one.
      const unknown = loss?.cause instanceof NotConnectedError ||
        loss?.cause instanceof Deno.errors.NotCapable;
      return unknown ? undefined : loss;
    } catch (cause) {
      return new TestAbortedError(WHY.cancelled, "cancelled", { cause });
    }
  }

  /** @throws {TestAbortedError} if the system is not there any more */
  async #checkSystem(options: RunTestOptions): Promise<void> {
    const loss = await this.#lossBehind(options);
    if (loss) throw loss;
  }

  async #run(
    name: string,
    { test, timeout }: TimedTest<R>,
    store: FunctionArtifacts,
    { signal: outer, env = {}, attempt = 1 }: RunTestOptions,
  ): Promise<unknown> {
    using ending = new Ending(
      { signal: outer, timeout, grace: this.#grace },
      (why) => new TestAbortedError(WHY[why], why, { cause: outer?.reason }),
    );
    const commands = new FunctionCommands(this.#remote, store);
    const returned = await ending.run((signal) =>
      test({
        remote: this.#remote,
        name,
        attempt,
        env,
        signal,
        artifacts: store.scratch,
        report: (result) => store.report(result),
        log: (text) => store.log(text),
        exec: (argv, options = {}) =>
          commands.run(argv, {
            ...options,
            signal: AbortSignal.any([signal, options.signal ?? signal]),
          }),
      })
    ).finally(() => commands.end());
    commands.check();
    return returned;
  }
}

const WHY = {
  timeout: "test duration timeout reached",
  cancelled: "cancel requested",
};

/** How long a function may take. Times are in milliseconds. */
interface Limits {
  signal: AbortSignal | undefined;
  timeout: number;
  grace: number;
}

/** What a function that has to end is told. */
type ReasonFor = (why: "timeout" | "cancelled") => unknown;

/** Tells a function to end, and gives it up if it does not. */
class Ending implements Disposable {
  readonly #controller = new AbortController();
  readonly #over = Promise.withResolvers<never>();
  readonly #limits: Limits;
  readonly #reasonFor: ReasonFor;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(limits: Limits, reasonFor: ReasonFor) {
    this.#limits = limits;
    this.#reasonFor = reasonFor;
    this.#over.promise.catch(() => {});
    this.#timer = after(limits.timeout, () => this.#end("timeout"));
    if (limits.signal?.aborted) this.#cancel();
    limits.signal?.addEventListener("abort", this.#cancel);
  }

  /** Calls a function that is told to end by the signal; rejects if it was, whatever it made of that. */
  async run<T>(call: (signal: AbortSignal) => T): Promise<Awaited<T>> {
    const { signal } = this.#controller;
    signal.throwIfAborted();
    const outcome = Promise.try(call, signal)
      .finally(() => signal.throwIfAborted());
    return await Promise.race([outcome, this.#over.promise]);
  }

  readonly #cancel = () => this.#end("cancelled");

  #end(why: "timeout" | "cancelled"): void {
    const { signal } = this.#controller;
    if (signal.aborted) return;
    clearTimeout(this.#timer);
    this.#timer = after(
      this.#limits.grace,
      () => this.#over.reject(signal.reason),
    );
    this.#controller.abort(this.#reasonFor(why));
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#limits.signal?.removeEventListener("abort", this.#cancel);
  }
}

/** Whether a test has a time limit of its own. */
function isLong<R extends Connection>(
  entry: TestFunction<R> | TimedTest<R>,
): entry is TimedTest<R> {
  return typeof entry === "object" && entry !== null && !Array.isArray(entry);
}

/** What a test threw that threw nothing. */
function nothing(thrown: null | undefined): Error {
  return new Error(`the test threw ${thrown}`);
}

/** What `setup` threw, as an error of the executor. */
function asSetupError(cause: unknown): SetupError {
  const { message, output } = (cause ?? {}) as {
    message?: string;
    output?: string;
  };
  return new SetupError(
    `Cannot prepare the system: ${message ?? cause}`,
    { cause, ...(typeof output === "string" && { output }) },
  );
}

/** What ended a test without being its fault, if that is what an error tells. */
function asAborted(error: unknown): TestAbortedError | undefined {
  if (error instanceof TestAbortedError) return error;
  if (error instanceof ConnectionError) {
    return new TestAbortedError(error.message, "connection", { cause: error });
  }
}
