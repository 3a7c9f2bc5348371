/** What an executor is given. */
import type { Connection } from "../../connections/connection.ts";
import {
  checkKind,
  checkMilliseconds,
  checkOptions,
  type Known,
} from "../../options.ts";
import { checkVariables } from "../variables.ts";
import type { FmfExecutorEvent } from "./_events.ts";
import type { ReportLimits } from "./reporter.ts";

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
  /** Directory to upload, except for any directory `.git` in it. */
  readonly root: string | URL;
}

/** Options of {@linkcode FmfExecutor}. */
export interface FmfExecutorOptions {
  /** The tests. */
  tests: RunnableTests;
  /**
   * Variables for the scripts of the plan and for all tests. They win over those
   * of plan and test.
   *
   * @default `{}`
   */
  env?: Readonly<Record<string, string>> | undefined;
  /**
   * How long, in milliseconds, it may take to look at the system, to upload the tests,
   * each step of the plan's `prepare` and `finish`, and the set-up of a test.
   *
   * @default `1_800_000`, 30 minutes
   */
  setupTimeout?: number | undefined;
  /**
   * How long, in milliseconds, processes that survived the test may hold its control
   * channel and output open.
   *
   * @default {10_000}
   */
  exitGrace?: number | undefined;
  /**
   * Milliseconds between two signs to the system that this program is still there;
   * `false` or `Infinity`: none. They matter where a link can die without either side
   * noticing.
   *
   * @default `15_000`, or a quarter of `heartbeatLimit` if that is less; never on
   * systems that share the kernel of this one
   */
  heartbeat?: number | false | undefined;
  /**
   * How long, in milliseconds, a test goes on without such a sign: at least twice
   * `heartbeat`.
   *
   * @default {240_000}
   */
  heartbeatLimit?: number | undefined;
  /**
   * Whether the wrapper marks begin and end of the test on the control channel.
   * Without marks, what a login shell prints is an error, and a process that
   * holds the channel open after the test makes it last until its duration is
   * over.
   *
   * @default {true}
   */
  markers?: boolean | undefined;
  /**
   * How much a test may report; more is an error.
   *
   * @default `{}`, without limits
   */
  limits?: ReportLimits | undefined;
  /**
   * Called for what is worth knowing beside results. It should return quickly;
   * what it throws is ignored.
   *
   * @default nothing
   */
  onEvent?: ((event: FmfExecutorEvent) => void) | undefined;
}

/** All of them. */
export const EXECUTOR_OPTIONS: Known<FmfExecutorOptions> = {
  tests: "what discover() gives",
  env: "optional",
  setupTimeout: "optional",
  exitGrace: "optional",
  heartbeat: "optional",
  heartbeatLimit: "optional",
  markers: "optional",
  limits: "optional",
  onEvent: "optional",
};

/**
 * Checks what an executor is given.
 *
 * @param of the class of the executor
 * @throws {TypeError} if something is missing or of the wrong kind
 */
export function checkExecutor<O extends FmfExecutorOptions>(
  of: string,
  connection: Connection,
  options: O,
  known: Known<O>,
): void {
  checkKind(of, "connection", connection, "a connection");
  checkOptions(of, options, known);
  checkVariables(of, options.env);
}

/** How often a system is told that this program is there, and how long it goes on without. */
export function heartbeatOf(
  { heartbeat, heartbeatLimit: limit = 240_000 }: FmfExecutorOptions,
): { interval: number | false; limit: number } {
  return { interval: heartbeat ?? Math.min(15_000, limit / 4), limit };
}

/**
 * Checks what TypeScript cannot.
 *
 * @throws {TypeError} if a time is no number
 * @throws {RangeError} if a time is not above 0, or does not fit another one
 */
export function checkTimes(options: FmfExecutorOptions): void {
  const { setupTimeout, exitGrace, heartbeat, heartbeatLimit } = options;
  checkMilliseconds({
    ...setupTimeout !== undefined && { setupTimeout },
    ...exitGrace !== undefined && { exitGrace },
    ...heartbeat !== undefined && heartbeat !== false && { heartbeat },
    ...heartbeatLimit !== undefined && { heartbeatLimit },
  });
  const { interval, limit } = heartbeatOf(options);
  if (interval === false || interval === Infinity) return;
  if (limit < 2 * interval) {
    throw new RangeError(
      `Cannot use ${limit} as "heartbeatLimit": with a "heartbeat" of ${interval}, ${
        2 * interval
      } or more would be right`,
    );
  }
}
