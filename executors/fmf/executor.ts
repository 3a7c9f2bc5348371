/** Running discovered tests on a system. */
import {
  type Connection,
  ConnectionError,
  type SignalOptions,
} from "../../connections/connection.ts";
import { LONGEST_TIMER } from "../../connections/time_limit.ts";
import { checkRunTest } from "../variables.ts";
import { Activity } from "../activity.ts";
import { type Executor, type RunTestOptions, SetupError } from "../executor.ts";
import { checkOutput, withStorage } from "../storage.ts";
import { debugSwitches } from "./_debug.ts";
import {
  entriesOf,
  type Environment,
  mergeEnvironments,
  readEnvironment,
} from "./_environment.ts";
import type { Emit } from "./_events.ts";
import {
  checkExecutor,
  checkTimes,
  EXECUTOR_OPTIONS,
  type FmfExecutorOptions,
  heartbeatOf,
} from "./_options.ts";
import { carryOut } from "./_plan.ts";
import { ignoredSteps, type Phase, type Step, stepsOf } from "./_steps.ts";
import { Workplace } from "./_system.ts";
import { TestRun } from "./_test_run.ts";
import { describeTest, reportSetupFailure } from "./_test_setup.ts";
import type { Heartbeat } from "./_wrapper_command.ts";
import { Reporter } from "./reporter.ts";
import type { Variant } from "./variant.ts";

export { checkExecutor, EXECUTOR_OPTIONS } from "./_options.ts";
export type { FmfExecutorOptions, RunnableTests } from "./_options.ts";

/** The steps of a plan, checked. */
interface Plan {
  readonly environment: Environment;
  readonly steps: Readonly<Record<Phase, readonly Step[]>>;
}

let setVariant: (executor: FmfExecutor, variant: Variant) => void;

/** An executor for tests of another kind; for modules of this package. */
export function createVariant(
  connection: Connection,
  options: FmfExecutorOptions,
  variant: Variant,
): FmfExecutor {
  const executor = new FmfExecutor(connection, options);
  setVariant(executor, variant);
  return executor;
}

/**
 * Runs tests of the Flexible Metadata Format on one system, one at a time. The
 * system needs bash (4.2 or newer), `setsid`, rsync or tar, a mounted `/proc`
 * and the usual small tools (those of busybox will do), and no Python. A test
 * with `tty: true` also needs the `script` of util-linux, which is installed if
 * it is missing.
 *
 * `start()` uploads the tests and prepares the system as the plan says, `stop()`
 * carries out the `finish` of the plan and removes everything that was put there.
 *
 * Whatever a test leaves running in its session is killed at its end; when
 * the connection is lost, or this program is killed, the system ends the test by
 * itself. A test that is ended gets SIGHUP, and is killed 5 seconds later.
 *
 * A test reports by its control channel, the descriptor in `ATEX_TEST_CONTROL`.
 * To restart the system it writes `disconnect` there, goes on with `noop` until
 * that fails (with SIGPIPE ignored), and restarts; it is then started again, with
 * `TMT_REBOOT_COUNT` one higher.
 *
 * Shell tests need not write to that channel themselves, there are commands in
 * their `PATH`: `atex-report-result NAME STATUS [LOG]` for a part of the test,
 * `atex-file-submit -l FILE`, `atex-reboot [-c COMMAND]`, `atex-abort`. They have
 * the names and the options that tests for tmt, rstrnt and rhts expect, too.
 *
 * Needs the permissions to run programs, to read the tests, and to read and
 * write the artifacts.
 *
 * @example Run all tests of a tree on a machine
 * ```ts
 * import { SshConnection } from "jsr:@atex/atex/connections/ssh";
 * import { discover, FmfExecutor } from "jsr:@atex/atex/executors/fmf";
 *
 * await using tests = await discover("./suite");
 * await using machine = await SshConnection.open({ host: "root@10.0.0.7" });
 * await using executor = await new FmfExecutor(machine, { tests }).start();
 * for (const name of tests.data.keys()) {
 *   const artifacts = `results${name}`;
 *   await Deno.mkdir(artifacts, { recursive: true });
 *   console.log(name, await executor.runTest(name, artifacts));
 * }
 * ```
 */
export class FmfExecutor implements Executor {
  readonly #connection: Connection;
  readonly #options: FmfExecutorOptions;
  readonly #emit: Emit;
  readonly #setupTimeout: number;
  readonly #exitGrace: number;
  #variant: Variant = {};
  #plan: Plan | undefined;
  /** Absent unless there is something to clean up. */
  #place: Workplace | undefined;
  #ready = false;
  #heartbeat: Heartbeat | undefined;
  /** A start or a test that is under way. */
  readonly #activity = new Activity();

  static {
    setVariant = (executor, variant) => executor.#variant = variant;
  }

  /**
   * Only stores the options. The connection stays yours: connect it before
   * `start()`, disconnect it after `stop()`.
   *
   * @throws {TypeError} if `connection` is no connection, `tests` cannot be run, or a time is no number
   * @throws {RangeError} if a time is not above 0, or does not fit another one
   */
  constructor(connection: Connection, options: FmfExecutorOptions) {
    checkExecutor("FmfExecutor", connection, options, EXECUTOR_OPTIONS);
    checkTimes(options);
    this.#connection = connection;
    this.#options = { ...options, env: { ...options.env } };
    this.#setupTimeout = options.setupTimeout ?? 30 * 60_000;
    this.#exitGrace = options.exitGrace ?? 10_000;
    const { onEvent } = options;
    this.#emit = (event) => {
      try {
        onEvent?.(event);
      } catch {
        // it must not decide how a test ends
      }
    };
  }

  /** Whether there is such a test. */
  has(name: string): boolean {
    return this.#options.tests.data.has(name);
  }

  /**
   * Prepares the system: looks whether it has what tests need, uploads them, and
   * carries out the `prepare` of the plan.
   *
   * @throws {SetupError} if the system cannot be prepared; everything is undone
   * @throws {ConnectionError} if the link broke
   * @throws {TypeError} if it is started already, or being stopped
   */
  async start({ signal }: SignalOptions = {}): Promise<this> {
    if (this.#place) {
      throw new TypeError("Cannot start the executor: it is started already");
    }
    signal?.throwIfAborted();
    this.#plan = this.#readPlan();
    await this.#activity.run("the setup", signal, async (signal) => {
      const place = this.#place = new Workplace(this.#connection);
      try {
        await this.#prepare(place, signal);
        this.#ready = true;
      } catch (error) {
        await this.#finish().catch((error) => this.#warn(error));
        throw error;
      }
    });
    return this;
  }

  /**
   * Runs a test. Its result for itself is in the artifacts whatever happens. The
   * test finds the `attempt` in `ATEX_TEST_ATTEMPT`.
   *
   * @throws {TestSetupError} if the system could not be prepared for it
   * @throws {TestAbortedError} if it did not come to its end
   * @throws {BadControlError} if it broke the rules of the control channel
   * @throws {ConnectionError} if the link broke before it began
   * @throws {TypeError} if there is no such test, another one runs, the executor
   * is not started, a variable of `env` is not a string, or an option is misspelt
   * @throws {RangeError} if `attempt` is not a positive whole number
   * @throws {Deno.errors.AlreadyExists} if there are artifacts already
   * @throws {Deno.errors.NotFound} if there is no such directory
   */
  async runTest(
    name: string,
    artifacts: string | URL,
    options: RunTestOptions = {},
  ): Promise<number> {
    const data = this.#options.tests.data.get(name);
    if (data === undefined || !this.#ready) {
      const reason = data
        ? "the executor is not started"
        : "there is no such test";
      throw new TypeError(`Cannot run test "${name}": ${reason}`);
    }
    checkRunTest(options);
    return await this.#activity.run(
      `test "${name}"`,
      options.signal,
      (signal) => this.#runTest(name, data, artifacts, { ...options, signal }),
    );
  }

  /**
   * Ends a start or a test that is under way, carries out the `finish` of the plan
   * and removes everything from the system. A link that is broken is a `warning`,
   * no error.
   *
   * @throws {SetupError} if a step of the plan failed; everything is removed
   */
  stop(): Promise<void> {
    return this.#activity.stop(() => this.#finish());
  }

  /** The same as {@linkcode FmfExecutor.stop}, but what fails is only a `warning`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop().catch((error) => this.#warn(error));
  }

  #warn({ message }: { readonly message: string }): void {
    this.#emit({ type: "warning", message });
  }

  #readPlan(): Plan {
    const { plan } = this.#options.tests;
    for (const message of ignoredSteps(plan)) this.#warn({ message });
    try {
      return {
        environment: readEnvironment(plan.environment),
        steps: {
          prepare: stepsOf(plan, "prepare"),
          finish: stepsOf(plan, "finish"),
        },
      };
    } catch (cause) {
      const { message } = cause as Error;
      throw new SetupError(message, { cause });
    }
  }

  async #prepare(place: Workplace, signal: AbortSignal): Promise<void> {
    const limits = { timeout: this.#setupTimeout, signal };
    await place.make(limits);
    const { interval, limit } = heartbeatOf(this.#options);
    const needed = this.#options.heartbeat !== undefined || !place.sharesKernel;
    this.#heartbeat = needed && interval !== false && interval <= LONGEST_TIMER
      ? { interval, limit }
      : undefined;
    await place.upload(this.#options.tests.root, limits);
    await this.#carryOut("prepare", signal);
    const { packages } = this.#variant;
    if (packages) {
      await this.#step("prepare", { how: "install", ...packages }, signal);
    }
  }

  async #carryOut(phase: Phase, signal?: AbortSignal): Promise<void> {
    for (const step of this.#plan!.steps[phase]) {
      await this.#step(phase, step, signal);
    }
  }

  async #step(phase: Phase, step: Step, signal?: AbortSignal): Promise<void> {
    const work = this.#place!.directory!;
    const { environment } = this.#plan!;
    const variables = mergeEnvironments(environment, this.#options.env!, {
      TMT_TREE: work.tests,
      TMT_PLAN_ENVIRONMENT_FILE: work.planEnvironment,
    });
    await carryOut(step, {
      connection: this.#connection,
      work,
      phase,
      environment: entriesOf(variables),
      timeout: this.#setupTimeout,
      exitGrace: this.#exitGrace,
      heartbeat: this.#heartbeat,
      emit: this.#emit,
      signal,
    });
  }

  async #runTest(
    name: string,
    data: Readonly<Record<string, unknown>>,
    artifacts: string | URL,
    { env = {}, attempt = 1, signal }: RunTestOptions,
  ): Promise<number> {
    const debug = debugSwitches();
    const { limits } = this.#options;
    const reporter = Reporter.open(artifacts, { ...(limits && { limits }) });
    let test: TestRun | undefined;
    try {
      const work = this.#place!.directory!;
      const described = await describeTest(
        name,
        data,
        work,
        {
          plan: this.#plan!.environment,
          executor: this.#options.env!,
          call: env,
          attempt,
        },
        this.#variant,
      );
      const source = this.#options.tests.sources.get(name) ?? ".";
      test = new TestRun({
        connection: this.#connection,
        work,
        name,
        reporter,
        setup: described.setup,
        cwd: source === "." ? work.tests : `${work.tests}/${source}`,
        flags: [...described.flags, ...debug.flags],
        output: debug.output ?? reporter.output,
        duration: described.duration,
        setupTimeout: this.#setupTimeout,
        exitGrace: this.#exitGrace,
        markers: this.#options.markers ?? true,
        heartbeat: this.#heartbeat,
        emit: this.#emit,
        signal,
      });
      const code = await test.run();
      checkOutput(reporter.output);
      const exitCode = this.#variant.exitCode?.(code, reporter) ?? code;
      await reporter.finish({ exitCode });
      return exitCode;
    } catch (thrown) {
      const error = test?.started
        ? withStorage(thrown, reporter.output)
        : thrown;
      if (test?.started) await reporter.finish({ error });
      else reportSetupFailure(reporter, error, test?.setupOutput ?? "");
      throw error;
    } finally {
      reporter.close();
    }
  }

  async #finish(): Promise<void> {
    const place = this.#place;
    if (!place) return;
    let failure: unknown;
    const attempt = async (what: string, step: () => Promise<void>) => {
      try {
        await place.attempt(what, step);
      } catch (error) {
        if (error instanceof ConnectionError) {
          this.#warn({ message: `${what}: ${error.message}` });
        } else failure ??= error;
      }
    };
    if (place.directory) {
      await attempt("Cannot finish", () => this.#carryOut("finish"));
    }
    await attempt(
      "Cannot remove the tests from the system",
      () => place.remove(this.#setupTimeout),
    );
    this.#place = undefined;
    this.#ready = false;
    if (failure) throw failure;
  }
}
