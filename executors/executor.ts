/**
 * The contract of executors: how one system is prepared and runs one test at a
 * time.
 *
 * An object of your own that fits {@linkcode Executor} is as good as the ones of
 * this package.
 *
 * @example A test that failed is a code; one that could not be carried out is an error
 * ```ts
 * import { LocalConnection } from "jsr:@atex/atex/connections/local";
 * import { CommandExecutor } from "jsr:@atex/atex/executors/command";
 * import { ExecutorError } from "jsr:@atex/atex/executors/executor";
 *
 * await using here = await LocalConnection.open();
 * await using executor = await new CommandExecutor(here, {
 *   tests: { "/slow": ["sleep", "10"] },
 * }).start();
 * const artifacts = await Deno.makeTempDir();
 * try {
 *   const signal = AbortSignal.timeout(100);
 *   console.log(await executor.runTest("/slow", artifacts, { signal }));
 * } catch (error) {
 *   if (!(error instanceof ExecutorError)) throw error;
 *   console.log(error.name, error.message); // TestAbortedError …
 * }
 * ```
 *
 * @module
 */
import type { SignalOptions } from "../connections/connection.ts";

/** Options of {@linkcode Executor.runTest}. */
export interface RunTestOptions extends SignalOptions {
  /**
   * Variables for this run of the test.
   *
   * @default `{}`
   */
  env?: Readonly<Record<string, string>> | undefined;
  /**
   * Which attempt of the test this is, counted from 1.
   *
   * @default {1}
   */
  attempt?: number | undefined;
}

/**
 * Runs tests on one system, one at a time. It does not own its connection, but
 * may disconnect and connect it again when a test restarts the system.
 */
export interface Executor extends AsyncDisposable {
  /**
   * Whether there is such a test. An orchestrator asks before it has a system
   * prepared, so that a name that is wrong is told at once.
   */
  has?(name: string): boolean;

  /**
   * Prepares the system: uploads files, installs packages, runs scripts.
   *
   * @throws {SetupError} if the system cannot be prepared
   */
  start(options?: SignalOptions): Promise<this>;

  /**
   * Runs one test and writes its artifacts (see `executors/results`) into an
   * existing empty directory. A test that fails is data, not an error: the
   * promise resolves with its exit code (0–255; 128 + n for signal n). Orchestrators
   * take what is no integer as a test that could not be carried out.
   *
   * How long a test may take is the executor's to say: orchestrators wait until it
   * ends. When the time is over, it ends the test and rejects with a
   * {@linkcode TestAbortedError} whose reason is `timeout`.
   *
   * @throws {TypeError} if there is no such test, another one runs, or a variable
   * of `env` is not a string
   * @throws {TestSetupError} if the system could not be prepared for this test
   * @throws {TestAbortedError} if the test did not come to its end
   * @throws {BadControlError} if the test broke the rules of the control channel
   */
  runTest(
    name: string,
    artifacts: string | URL,
    options?: RunTestOptions,
  ): Promise<number>;

  /**
   * Ends a test that runs and cleans up the system. May be called repeatedly, and
   * without `start()`. Disposing does the same, but a failure to clean up is not
   * thrown.
   */
  stop(): Promise<void>;
}

/** The base of what executors throw. */
export class ExecutorError extends Error {
  /** Creates the error. */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ExecutorError";
  }
}

/** What is known of a failed preparation. */
export interface SetupErrorOptions extends ErrorOptions {
  /**
   * What the failing command printed.
   *
   * @default {""}
   */
  output?: string | undefined;
}

/** A system could not be prepared for tests. */
export class SetupError extends ExecutorError {
  /** What the failing command printed. */
  readonly output: string;

  /** Creates the error. */
  constructor(message: string, options: SetupErrorOptions = {}) {
    super(message, options);
    this.name = "SetupError";
    this.output = options.output ?? "";
  }
}

/** A system could not be prepared for one test. */
export class TestSetupError extends ExecutorError {
  /** What the failing command printed. */
  readonly output: string;

  /** Creates the error. */
  constructor(message: string, options: SetupErrorOptions = {}) {
    super(message, options);
    this.name = "TestSetupError";
    this.output = options.output ?? "";
  }
}

/**
 * Why a test did not come to its end: its duration was over (`timeout`), the
 * caller ended it (`cancelled`), the system could not be reached any more
 * (`connection`), the program around the test failed (`wrapper`), the test
 * ended without an exit code (`no-exitcode`), or artifacts could not be stored
 * here (`storage`).
 */
export type AbortReason =
  | "timeout"
  | "cancelled"
  | "connection"
  | "wrapper"
  | "no-exitcode"
  | "storage";

/** A test did not come to its end. */
export class TestAbortedError extends ExecutorError {
  /** Why. */
  readonly reason: AbortReason;

  /** Creates the error. */
  constructor(message: string, reason: AbortReason, options?: ErrorOptions) {
    super(message, options);
    this.name = "TestAbortedError";
    this.reason = reason;
  }
}

/** A test broke the rules of the control channel. */
export class BadControlError extends ExecutorError {
  /** Creates the error. */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "BadControlError";
  }
}

/** The JSON of a result, or what it asks for, cannot be used. */
export class BadReportJSONError extends BadControlError {
  /** Creates the error. */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "BadReportJSONError";
  }
}
