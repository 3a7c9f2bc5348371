/**
 * Tests written with the Beakerlib shell library.
 *
 * Needs the permissions that `executors/fmf` needs: to run programs, to read the
 * tests, and to read and write the artifacts.
 *
 * @example Run the tests of a tree on a machine
 * ```ts no-run
 * import { SshConnection } from "jsr:@atex/atex/connections/ssh";
 * import { BeakerlibExecutor } from "jsr:@atex/atex/executors/beakerlib";
 * import { discover } from "jsr:@atex/atex/executors/fmf";
 *
 * await using tests = await discover("./suite");
 * await using machine = await SshConnection.open({ host: "root@10.0.0.7" });
 * await using executor = await new BeakerlibExecutor(machine, { tests })
 *   .start();
 * for (const name of tests.data.keys()) {
 *   const artifacts = `results${name}`;
 *   await Deno.mkdir(artifacts, { recursive: true });
 *   console.log(name, await executor.runTest(name, artifacts));
 * }
 * ```
 *
 * @module
 */
import type { Connection, SignalOptions } from "../connections/connection.ts";
import type { Known } from "../options.ts";
import type { Executor, RunTestOptions } from "./executor.ts";
import {
  checkExecutor,
  createVariant,
  EXECUTOR_OPTIONS,
  type FmfExecutor,
  type FmfExecutorOptions,
} from "./fmf/executor.ts";
import { quote, type WorkDirectory } from "./fmf/scripts.ts";
import type { Variant } from "./fmf/variant.ts";

/** Options of {@linkcode BeakerlibExecutor}. */
export interface BeakerlibExecutorOptions extends FmfExecutorOptions {
  /**
   * Whether to install the packages `beakerlib` and, if there is one,
   * `beakerlib-redhat`. Without it the library has to be there, for example from
   * its sources.
   *
   * @default {true}
   */
  install?: boolean | undefined;
}

const OPTIONS: Known<BeakerlibExecutorOptions> = {
  ...EXECUTOR_OPTIONS,
  install: "optional",
};

/**
 * Runs tests of the Flexible Metadata Format as `FmfExecutor` does, with what
 * those need that use Beakerlib: the library is installed, each phase becomes a
 * result of that name, submitted files belong to the result of the test.
 *
 * A Beakerlib test ends with 0 even when a phase failed. Unless the test reported
 * a result for itself, its exit code is therefore 1 if any of its results is
 * `fail`, `warn` (a phase that sets up or cleans up has failed) or `error`. Tests
 * that do not use the library run unchanged otherwise.
 */
export class BeakerlibExecutor implements Executor {
  readonly #executor: FmfExecutor;

  /**
   * Only stores the options. The connection stays yours: connect it before
   * `start()`, disconnect it after `stop()`.
   *
   * @throws {TypeError} if `connection` is no connection, `tests` cannot be run, or a time is no number
   * @throws {RangeError} if a time is not above 0, or does not fit another one
   */
  constructor(connection: Connection, options: BeakerlibExecutorOptions) {
    checkExecutor("BeakerlibExecutor", connection, options, OPTIONS);
    const { install = true } = options;
    const variant = install ? { ...VARIANT, packages: PACKAGES } : VARIANT;
    this.#executor = createVariant(connection, options, variant);
  }

  /** Whether there is such a test. */
  has(name: string): boolean {
    return this.#executor.has(name);
  }

  /**
   * Prepares the system: looks whether it has what tests need, uploads them,
   * carries out the `prepare` of the plan, and installs the library.
   *
   * @throws {SetupError} if the system cannot be prepared; everything is undone
   * @throws {ConnectionError} if the link broke
   * @throws {TypeError} if it is started already
   */
  async start(options: SignalOptions = {}): Promise<this> {
    await this.#executor.start(options);
    return this;
  }

  /**
   * Runs a test; resolves with its exit code, or with 1 if it reported a failure.
   * Its result for itself is in the artifacts whatever happens.
   *
   * @throws {TestSetupError} if the system could not be prepared for it
   * @throws {TestAbortedError} if it did not come to its end
   * @throws {BadControlError} if it broke the rules of the control channel
   * @throws {ConnectionError} if the link broke before it began
   * @throws {TypeError} if there is no such test, another one runs, the executor
   * is not started, or a variable of `env` is not a string
   * @throws {RangeError} if `attempt` is not a positive whole number
   * @throws {Deno.errors.AlreadyExists} if there are artifacts already
   * @throws {Deno.errors.NotFound} if there is no such directory
   */
  runTest(
    name: string,
    artifacts: string | URL,
    options: RunTestOptions = {},
  ): Promise<number> {
    return this.#executor.runTest(name, artifacts, options);
  }

  /**
   * Ends a test that runs, carries out the `finish` of the plan and removes
   * everything from the system but the library.
   *
   * @throws {SetupError} if a step of the plan failed; everything is removed
   */
  stop(): Promise<void> {
    return this.#executor.stop();
  }

  /** The same as {@linkcode BeakerlibExecutor.stop}, but what fails is only a `warning`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#executor[Symbol.asyncDispose]();
  }
}

const PACKAGES = {
  required: ["beakerlib"],
  recommended: ["beakerlib-redhat"],
};

const VARIANT: Variant = {
  setup(work) {
    const directory = quote(directoryIn(work));
    // the library looks there for the name of the test and for what it requires
    const link = `ln -s ../test/metadata.yaml ${directory}/metadata.yaml`;
    return `rm -rf ${directory}\nmkdir ${directory}\n${link}`;
  },
  environment: (work) => ({
    BEAKERLIB_DIR: directoryIn(work),
    BEAKERLIB_COMMAND_REPORT_RESULT: "atex-report-result",
    BEAKERLIB_COMMAND_SUBMIT_LOG: "atex-file-submit",
    BEAKERLIB_JOURNAL: "0", // no XML
    TESTID: crypto.randomUUID(), // it reports nothing without one
  }),
  exitCode: (code, reported) =>
    !reported.hasOwnResult && reported.hasStatus("fail", "warn", "error")
      ? 1
      : code,
};

/** Where the library keeps what has to survive a restart of the system. */
function directoryIn(work: WorkDirectory): string {
  return `${work.path}/beakerlib`;
}
