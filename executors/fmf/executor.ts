/** Running discovered tests on a system. */
import {
  type Connection,
  ConnectionError,
  type SignalOptions,
} from "../../connections/connection.ts";
import { upload } from "../../connections/copy.ts";
import { CommandError, run } from "../../connections/process.ts";
import {
  type Executor,
  type RunTestOptions,
  SetupError,
  TestSetupError,
} from "../executor.ts";
import { debugSwitches } from "./_debug.ts";
import {
  entriesOf,
  type Environment,
  mergeEnvironments,
  readEnvironment,
} from "./_environment.ts";
import type { Emit, FmfExecutorEvent } from "./_events.ts";
import { linkFailure, within } from "./_link.ts";
import { metadataYaml } from "./_metadata.ts";
import { carryOut, type Phase, type Step, stepsOf } from "./_plan.ts";
import { TestRun } from "./_test_run.ts";
import type { Heartbeat } from "./_wrapper_command.ts";
import { parseDuration } from "./duration.ts";
import { packagesOf } from "./packages.ts";
import { Reporter, type ReportLimits } from "./reporter.ts";
import {
  readStart,
  removeCommand,
  startCommand,
  testSetupScript,
  WorkDirectory,
} from "./scripts.ts";
import type { Variant } from "./variant.ts";

/** Tests that can be run: what `discover()` gives, or an object of your own. */
export interface RunnableTests {
  /** Data of the plan: `environment`, `prepare` and `finish` are used. */
  readonly plan: Readonly<Record<string, unknown>>;
  /**
   * Data of each test by name: `test`, `duration`, `environment`, `require`,
   * `recommend` and `tty` are used.
   */
  readonly data: ReadonlyMap<string, Readonly<Record<string, unknown>>>;
  /** The directory in which each test runs, relative to `root`. */
  readonly sources: ReadonlyMap<string, string>;
  /** Directory to upload, except for any `.git` in it. */
  readonly root: string | URL;
}

/** Options of {@linkcode FmfExecutor}. Times are in milliseconds. */
export interface FmfExecutorOptions {
  /** The tests. */
  tests: RunnableTests;
  /**
   * Variables for the scripts of the plan and for all tests. They win over those
   * of plan and test.
   *
   * @default {{}}
   */
  env?: Readonly<Record<string, string>>;
  /**
   * How long the set-up of a test may take, and each step of the plan's `prepare`
   * and `finish`.
   *
   * @default {1_800_000} 30 minutes
   */
  setupTimeout?: number;
  /**
   * How long processes that survived the test may hold its control channel and
   * output open.
   *
   * @default {10_000}
   */
  exitGrace?: number;
  /**
   * How often the system is told that this program is still there; `false`:
   * never. It matters where a link can die without either side noticing.
   *
   * @default {15_000} except on systems that share the kernel of this one
   */
  heartbeat?: number | false;
  /**
   * How long a test goes on without being told so.
   *
   * @default {240_000}
   */
  heartbeatLimit?: number;
  /**
   * Whether the wrapper marks begin and end of the test on the control channel.
   * Without marks, what a login shell prints is an error, and a process that
   * holds the channel open after the test makes it last until its duration is
   * over.
   *
   * @default {true}
   */
  markers?: boolean;
  /**
   * How much a test may report; more is an error.
   *
   * @default {{}} without limits
   */
  limits?: ReportLimits;
  /**
   * Called for what is worth knowing beside results. It should return quickly;
   * what it throws is ignored.
   *
   * @default nothing
   */
  onEvent?: (event: FmfExecutorEvent) => void;
}

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
 * itself. A test may restart the system: see `executors/executor` for what it
 * reports and `ATEX_TEST_CONTROL` for how.
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
 * ```ts no-run
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
  /** Name of the work directory; absent unless started. */
  #name: string | undefined;
  #work: WorkDirectory | undefined;
  #heartbeat: Heartbeat | undefined;
  #active: { cancel: AbortController; over: Promise<unknown> } | undefined;
  #stopping: Promise<void> | undefined;

  static {
    setVariant = (executor, variant) => executor.#variant = variant;
  }

  /**
   * Only stores the options. The connection stays yours: connect it before
   * `start()`, disconnect it after `stop()`.
   *
   * @throws {RangeError} if a time is not a positive number
   */
  constructor(connection: Connection, options: FmfExecutorOptions) {
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
    for (
      const name of [
        "setupTimeout",
        "exitGrace",
        "heartbeat",
        "heartbeatLimit",
      ] as const
    ) {
      const value = options[name];
      if (value === undefined || value === false) continue;
      if (!(value > 0)) {
        throw new RangeError(
          `Cannot use ${value} as "${name}": milliseconds, more than 0, would be right`,
        );
      }
    }
  }

  /**
   * Prepares the system: looks whether it has what tests need, uploads them, and
   * carries out the `prepare` of the plan.
   *
   * @throws {SetupError} if the system cannot be prepared; everything is undone
   * @throws {ConnectionError} if the link broke
   * @throws {TypeError} if it is started already
   */
  async start({ signal }: SignalOptions = {}): Promise<this> {
    if (this.#name !== undefined) {
      throw new TypeError("Cannot start the executor: it is started already");
    }
    signal?.throwIfAborted();
    this.#plan = this.#readPlan();
    this.#name = `atex-${randomName()}`;
    try {
      this.#work = await this.#makeWork(this.#name, signal);
      await this.#upload(this.#work, signal);
      await this.#carryOut("prepare", signal);
      const { packages } = this.#variant;
      if (packages) {
        await this.#step("prepare", { how: "install", ...packages }, signal);
      }
      return this;
    } catch (error) {
      await this[Symbol.asyncDispose]();
      throw error;
    }
  }

  /**
   * Runs a test. Its result for itself is in the artifacts whatever happens. The
   * test finds the `attempt` in `ATEX_TEST_ATTEMPT`.
   *
   * @throws {TestSetupError} if the system could not be prepared for it
   * @throws {TestAbortedError} if it did not come to its end
   * @throws {BadControlError} if it broke the rules of the control channel
   * @throws {ConnectionError} if the link broke before it began
   * @throws {TypeError} if there is no such test, another one runs, or the
   * executor is not started
   * @throws {Deno.errors.AlreadyExists} if there are artifacts already
   * @throws {Deno.errors.NotFound} if there is no such directory
   */
  async runTest(
    name: string,
    artifacts: string | URL,
    options: RunTestOptions = {},
  ): Promise<number> {
    const data = this.#options.tests.data.get(name);
    const reason = data === undefined
      ? "there is no such test"
      : this.#active
      ? "another test is running"
      : this.#work === undefined || this.#stopping
      ? "the executor is not started"
      : undefined;
    if (reason) throw new TypeError(`Cannot run "${name}": ${reason}`);
    const debug = debugSwitches();
    const reporter = Reporter.open(artifacts, {
      ...(this.#options.limits && { limits: this.#options.limits }),
    });
    const cancel = new AbortController();
    const { signal, env = {}, attempt = 1 } = options;
    const over = this.#runTest(name, data!, reporter, {
      env,
      attempt,
      flags: debug.flags,
      output: debug.output ?? reporter.output,
      signal: signal ? AbortSignal.any([signal, cancel.signal]) : cancel.signal,
    });
    this.#active = { cancel, over: over.catch(() => {}) };
    try {
      return await over;
    } finally {
      this.#active = undefined;
    }
  }

  /**
   * Ends a test that runs, carries out the `finish` of the plan and removes
   * everything from the system. A link that is broken is a `warning`, no error.
   *
   * @throws {SetupError} if a step of the plan failed; everything is removed
   */
  stop(): Promise<void> {
    return this.#stopping ??= this.#stop().finally(() => {
      this.#stopping = undefined;
    });
  }

  /** The same as {@linkcode FmfExecutor.stop}, but what fails is only a `warning`. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.stop();
    } catch (error) {
      this.#warn((error as Error).message);
    }
  }

  #warn(message: string, test?: string): void {
    this.#emit({
      type: "warning",
      message,
      ...(test !== undefined && { test }),
    });
  }

  #readPlan(): Plan {
    const { plan } = this.#options.tests;
    const warn = (message: string) => this.#warn(message);
    try {
      return {
        environment: readEnvironment(plan.environment),
        steps: {
          prepare: stepsOf(plan, "prepare", warn),
          finish: stepsOf(plan, "finish", warn),
        },
      };
    } catch (cause) {
      const { message } = cause as Error;
      throw new SetupError(message, { cause });
    }
  }

  async #makeWork(name: string, signal?: AbortSignal): Promise<WorkDirectory> {
    const { canReboot = true } = this.#connection;
    const { argv, stdin } = startCommand(name, canReboot);
    let text;
    try {
      text = await run(this.#connection, argv, {
        stdin,
        ...(signal && { signal }),
      });
    } catch (error) {
      signal?.throwIfAborted();
      throw await this.#setupFailure(
        "Cannot make a directory on the system",
        error,
      );
    }
    const { missing, work, boot } = readStart(name, text);
    if (missing.length > 0) {
      throw new SetupError(
        `Cannot run tests on the system: it lacks ${missing.join(", ")}`,
      );
    }
    if (work === undefined) {
      throw new SetupError(
        "Cannot run tests on the system: it does not answer as expected",
        { output: text },
      );
    }
    const { heartbeat = isThisKernel(boot) ? false : 15_000 } = this.#options;
    const { heartbeatLimit: limit = 240_000 } = this.#options;
    this.#heartbeat = heartbeat === false
      ? undefined
      : { interval: heartbeat, limit };
    return new WorkDirectory(work);
  }

  async #upload(work: WorkDirectory, signal?: AbortSignal): Promise<void> {
    try {
      await upload(this.#connection, this.#options.tests.root, work.tests, {
        exclude: [".git"],
        ...(signal && { signal }),
      });
    } catch (error) {
      signal?.throwIfAborted();
      throw await this.#setupFailure("Cannot upload the tests", error);
    }
  }

  /** What to throw when a command of the set-up failed. */
  async #setupFailure(what: string, error: unknown): Promise<unknown> {
    if (error instanceof ConnectionError) return error;
    const { cause = error } = error as Error;
    if (cause instanceof CommandError) {
      const { status: { code }, output } = cause;
      const failure = await linkFailure(this.#connection, code, output);
      if (failure) return failure;
    }
    return new SetupError(`${what}: ${(error as Error).message}`, {
      cause: error,
      output: cause instanceof CommandError ? cause.output : "",
    });
  }

  async #carryOut(phase: Phase, signal?: AbortSignal): Promise<void> {
    for (const step of this.#plan!.steps[phase]) {
      await this.#step(phase, step, signal);
    }
  }

  async #step(phase: Phase, step: Step, signal?: AbortSignal): Promise<void> {
    const work = this.#work!;
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
    reporter: Reporter,
    options: {
      env: Readonly<Record<string, string>>;
      attempt: number;
      flags: readonly string[];
      output: string;
      signal: AbortSignal;
    },
  ): Promise<number> {
    let test: TestRun | undefined;
    try {
      const work = this.#work!;
      const { setup, duration } = await this.#describe(name, data, options);
      const source = this.#options.tests.sources.get(name) ?? ".";
      test = new TestRun({
        connection: this.#connection,
        work,
        name,
        reporter,
        setup,
        cwd: source === "." ? work.tests : `${work.tests}/${source}`,
        flags: [...(data.tty === true ? ["pty"] : []), ...options.flags],
        output: options.output,
        duration,
        setupTimeout: this.#setupTimeout,
        exitGrace: this.#exitGrace,
        markers: this.#options.markers ?? true,
        heartbeat: this.#heartbeat,
        emit: this.#emit,
        signal: options.signal,
      });
      const code = await test.run();
      const exitCode = this.#variant.exitCode?.(code, reporter) ?? code;
      await reporter.finish({ exitCode });
      return exitCode;
    } catch (error) {
      if (test?.started) await reporter.finish({ error });
      else reportSetupFailure(reporter, error, test?.setupOutput ?? "");
      throw error;
    } finally {
      reporter.close();
    }
  }

  /** What follows from the data of a test. */
  async #describe(
    name: string,
    data: Readonly<Record<string, unknown>>,
    { env, attempt }: {
      env: Readonly<Record<string, string>>;
      attempt: number;
    },
  ): Promise<{ setup: string; duration: number }> {
    const work = this.#work!;
    try {
      if (typeof data.test !== "string") {
        throw new TypeError('Cannot use "test": it is not text');
      }
      const environment = mergeEnvironments(
        this.#plan!.environment,
        {
          TMT_PLAN_ENVIRONMENT_FILE: work.planEnvironment,
          TMT_TEST_NAME: name,
          TMT_TEST_METADATA: work.metadata,
          ATEX_TEST_ATTEMPT: String(attempt),
        },
        readEnvironment(data.environment),
        this.#options.env!,
        { TMT_TREE: work.tests },
        env,
        this.#variant.environment?.(work) ?? {},
      );
      const setup = testSetupScript(work, {
        test: data.test,
        required: packagesOf(data, "require"),
        recommended: packagesOf(data, "recommend"),
        terminal: data.tty === true,
        metadata: await metadataYaml(data),
        environment: entriesOf(environment),
        more: this.#variant.setup?.(work),
      });
      return { setup, duration: parseDuration(data.duration ?? "5m") };
    } catch (cause) {
      const { message } = cause as Error;
      throw new TestSetupError(`Cannot set up "${name}": ${message}`, {
        cause,
      });
    }
  }

  async #stop(): Promise<void> {
    this.#active?.cancel.abort();
    await this.#active?.over;
    const name = this.#name;
    if (name === undefined) return;
    let failure: unknown;
    const attempt = async (what: string, step: () => Promise<unknown>) => {
      try {
        await step();
      } catch (error) {
        const reason = await this.#setupFailure(what, error);
        if (reason instanceof ConnectionError) {
          this.#warn(`${what}: ${reason.message}`);
        } else failure ??= error instanceof SetupError ? error : reason;
      }
    };
    if (this.#work) {
      await attempt("Cannot finish", () => this.#carryOut("finish"));
    }
    const command = removeCommand(name, this.#work?.path);
    await attempt(
      "Cannot remove the tests from the system",
      () =>
        within(
          this.#setupTimeout,
          undefined,
          (signal) => run(this.#connection, command, { signal }),
        ),
    );
    this.#name = undefined;
    this.#work = undefined;
    if (failure) throw failure;
  }
}

/** Reports a test that did not begin. */
function reportSetupFailure(
  reporter: Reporter,
  error: unknown,
  printed: string,
): void {
  const output = error instanceof TestSetupError && error.output !== ""
    ? error.output
    : printed;
  const note = error instanceof Error
    ? `${error.name}(${error.message})`
    : String(error);
  try {
    reporter.write(
      { status: "infra", note },
      output === "" ? {} : { "setup.txt": output },
    );
  } catch {
    // the error itself tells more than a full disk
  }
}

/** Whether the system runs on the kernel that this program runs on: the link to it cannot be silent. */
function isThisKernel(boot: string): boolean {
  try {
    const own = Deno.readTextFileSync("/proc/sys/kernel/random/boot_id");
    return boot !== "" && own.trim() === boot;
  } catch {
    return false;
  }
}

function randomName(): string {
  const letters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  const numbers = crypto.getRandomValues(new Uint8Array(10));
  return Array.from(numbers, (number) => letters[number % letters.length])
    .join("");
}
