/** What follows from the data of a test: how it is set up and run. */
import { errorNote } from "../error_note.ts";
import { TestSetupError } from "../executor.ts";
import {
  entriesOf,
  type Environment,
  mergeEnvironments,
  readEnvironment,
} from "./_environment.ts";
import { metadataYaml } from "./_metadata.ts";
import { durationOf } from "./duration.ts";
import { packagesOf } from "./packages.ts";
import type { Reporter } from "./reporter.ts";
import { testSetupScript, type WorkDirectory } from "./scripts.ts";
import type { Variant } from "./variant.ts";

/** Where the variables of a test come from, beside its own data. */
export interface TestEnvironment {
  readonly plan: Environment;
  /** That of the executor. */
  readonly executor: Readonly<Record<string, string>>;
  /** That of the call. */
  readonly call: Readonly<Record<string, string>>;
  readonly attempt: number;
}

/** How a test is set up and run. */
export interface DescribedTest {
  /** Set-up script. */
  readonly setup: string;
  /** Milliseconds that it may take. */
  readonly duration: number;
  /** Flags of the wrapper. */
  readonly flags: readonly string[];
}

/**
 * Finds out how a test is set up and run.
 *
 * @throws {TestSetupError} if its data cannot be used
 */
export async function describeTest(
  name: string,
  data: Readonly<Record<string, unknown>>,
  work: WorkDirectory,
  env: TestEnvironment,
  variant: Variant,
): Promise<DescribedTest> {
  try {
    if (typeof data.test !== "string") {
      throw new TypeError('Cannot use "test": it is not a string');
    }
    const environment = mergeEnvironments(
      env.plan,
      {
        TMT_PLAN_ENVIRONMENT_FILE: work.planEnvironment,
        TMT_TEST_NAME: name,
        TMT_TEST_METADATA: work.metadata,
        ATEX_TEST_ATTEMPT: String(env.attempt),
      },
      readEnvironment(data.environment),
      env.executor,
      { TMT_TREE: work.tests },
      env.call,
      variant.environment?.(work) ?? {},
    );
    const terminal = data.tty === true;
    const setup = testSetupScript(work, {
      test: data.test,
      required: packagesOf(data, "require"),
      recommended: packagesOf(data, "recommend"),
      terminal,
      metadata: await metadataYaml(data),
      environment: entriesOf(environment),
      more: variant.setup?.(work),
    });
    const duration = durationOf(data.duration);
    return { setup, duration, flags: terminal ? ["pty"] : [] };
  } catch (cause) {
    const { message } = cause as Error;
    throw new TestSetupError(`Cannot set up "${name}": ${message}`, { cause });
  }
}

/** Reports a test that did not begin, with what its set-up printed. */
export function reportSetupFailure(
  reporter: Reporter,
  error: unknown,
  printed: string,
): void {
  const output = error instanceof TestSetupError && error.output !== ""
    ? error.output
    : printed;
  try {
    reporter.write(
      { status: "infra", note: errorNote(error) },
      output === "" ? {} : { "setup.txt": output },
    );
  } catch {
    // the error itself tells more than a full disk
  }
}
