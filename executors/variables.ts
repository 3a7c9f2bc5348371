/** Variables for tests, and what else a script gives for one run of a test. */
import {
  checkCounts,
  checkKind,
  checkOptions,
  type Known,
} from "../options.ts";
import type { RunTestOptions } from "./executor.ts";

/**
 * Checks that each variable has a text.
 *
 * @param of whose `env` it is
 * @throws {TypeError} that names the variable, but not its value, if one has none
 */
export function checkVariables(of: string, env: unknown): void {
  if (env === undefined) return;
  checkKind(of, "env", env, "an object");
  for (const [name, value] of Object.entries(env as object)) {
    checkKind(`"env" of ${of}`, name, value, "a string");
  }
}

const RUN_TEST_OPTIONS: Known<RunTestOptions> = {
  env: "optional",
  attempt: "optional",
  signal: "optional",
};

/**
 * Checks what a script gives for one run of a test.
 *
 * @throws {TypeError} if an option is misspelt, a variable has no text, or the attempt is no number
 * @throws {RangeError} if the attempt is not a positive whole number
 */
export function checkRunTest(options: RunTestOptions): void {
  checkOptions("runTest()", options, RUN_TEST_OPTIONS);
  const { env, attempt = 1 } = options;
  checkVariables("runTest()", env);
  checkCounts({ attempt });
}
