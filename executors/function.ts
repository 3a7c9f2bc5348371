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
 *     "/boots": async ({ remote }) => {
 *       await run(remote, ["systemctl", "is-system-running"]);
 *     },
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
  type SignalOptions,
} from "../connections/connection.ts";
import { checkKind, checkOptions, type Known } from "../options.ts";
import { Activity } from "./activity.ts";
import {
  type Executor,
  type RunTestOptions,
  SetupError,
  TestAbortedError,
} from "./executor.ts";
import { FunctionArtifacts, type Report } from "./_function_artifacts.ts";
import { after, checkTimeout } from "../connections/time_limit.ts";

export type { Report } from "./_function_artifacts.ts";

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
  /** Time limit in milliseconds. */
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
   * Time limit of a test in milliseconds.
   *
   * @default {300_000}
   */
  timeout?: number;
  /**
   * How long, in milliseconds, a test that was told to end is waited for. What it
   * does after that is not seen any more.
   *
   * @default {5_000}
   */
  grace?: number;
  /** Prepares the system, once, before the first test. */
  setup?: (remote: R, options: SignalOptions) => unknown;
  /** Cleans up the system, once, after a setup that was begun, even if that failed. */
  cleanup?: (remote: R) => unknown;
}

const OPTIONS: Known<FunctionExecutorOptions> = {
  tests: "an object",
  timeout: "optional",
  grace: "optional",
  setup: "optional",
  cleanup: "optional",
};

/**
 * Runs functions as tests of one system. Results and files become the same
 * artifacts as those of other executors: a thrown error is a failed test with
 * the message as its note and the stack in its `output.txt`. An error of the
 * connection is not the test's fault: it is a {@linkcode TestAbortedError}.
 */
export class FunctionExecutor<R extends Connection = Connection>
  implements Executor {
  readonly #remote: R;
  readonly #options: FunctionExecutorOptions<R>;
  readonly #timeout: number;
  readonly #grace: number;
  readonly #activity = new Activity();
  #setUp = false;

  /**
   * Stores the options.
   *
   * @throws {TypeError} if `remote` is no connection, a test no function, or a time
   * no positive number
   */
  constructor(remote: R, options: FunctionExecutorOptions<R>) {
    checkKind("FunctionExecutor", "remote", remote, "a connection");
    checkOptions("FunctionExecutor", options, OPTIONS);
    for (const [name, entry] of Object.entries(options.tests)) {
      const test = typeof entry === "object" ? entry?.test : entry;
      checkKind('"tests" of FunctionExecutor', name, test, "a function");
      if (typeof entry === "object") {
        checkTimeout(`timeout of ${name}`, entry.timeout);
      }
    }
    this.#timeout = options.timeout ?? 300_000;
    this.#grace = options.grace ?? 5_000;
    checkTimeout("timeout", this.#timeout);
    checkTimeout("grace", this.#grace);
    this.#remote = remote;
    this.#options = options;
  }

  /**
   * Runs `setup`.
   *
   * @throws {SetupError} if that throws; `cleanup` was run then
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
      await this.#options.setup?.(this.#remote, { signal });
    } catch (error) {
      const reason = signal.aborted ? signal.reason : asSetupError(error);
      await this.#cleanUp().catch(() => {});
      throw reason;
    }
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
   * @throws {TypeError} if there is no such test, or another one runs
   * @throws {TestAbortedError} if time was over, `signal` was aborted, or the connection failed
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
      await this.#options.cleanup?.(this.#remote);
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
      return store.finish(returned);
    } catch (error) {
      const aborted = asAborted(error);
      if (aborted) {
        store.abort(aborted);
        throw aborted;
      }
      return store.fail(error);
    }
  }

  async #run(
    name: string,
    { test, timeout }: TimedTest<R>,
    store: FunctionArtifacts,
    { signal: outer, env = {}, attempt = 1 }: RunTestOptions,
  ): Promise<unknown> {
    using ending = new Ending(outer, timeout, this.#grace);
    if (ending.reason) throw ending.reason;
    const context: TestContext<R> = {
      remote: this.#remote,
      name,
      attempt,
      env,
      signal: ending.signal,
      artifacts: store.scratch,
      report: (result) => store.report(result),
      log: (text) => store.log(text),
    };
    const returned = Promise.try(() => test(context));
    // Whatever a test makes of being ended, having been ended is what happened.
    const outcome = returned.then(
      (value) => ({ value, error: ending.reason }),
      (error) => ({
        value: undefined,
        error: ending.reason ?? error ?? nothing(error),
      }),
    );
    const { value, error } = await Promise.race([outcome, ending.over]);
    if (error !== undefined) throw error;
    return value;
  }
}

/** Tells a test to end, and when waiting for it has to end. */
class Ending implements Disposable {
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal | undefined;
  readonly #grace: number;
  readonly #over = Promise.withResolvers<never>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  reason: TestAbortedError | undefined;

  constructor(outer: AbortSignal | undefined, timeout: number, grace: number) {
    this.#outer = outer;
    this.#grace = grace;
    this.#over.promise.catch(() => {});
    this.#timer = after(
      timeout,
      () => this.#end("timeout", "test duration timeout reached"),
    );
    if (outer?.aborted) this.#cancel();
    outer?.addEventListener("abort", this.#cancel);
  }

  /** For the test. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Rejects when a test that was told to end has had its time. */
  get over(): Promise<never> {
    return this.#over.promise;
  }

  readonly #cancel = () =>
    this.#end("cancelled", "cancel requested", this.#outer?.reason);

  #end(
    reason: "timeout" | "cancelled",
    message: string,
    cause?: unknown,
  ): void {
    if (this.reason) return;
    clearTimeout(this.#timer);
    this.reason = new TestAbortedError(message, reason, { cause });
    this.#timer = after(
      this.#grace,
      () => this.#over.reject(this.reason),
    );
    this.#controller.abort(this.reason);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#outer?.removeEventListener("abort", this.#cancel);
  }
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
