/** Switches for people who look for a mistake in tests or here. */

/** What the environment of this program asks for. */
export interface DebugSwitches {
  /** Flags of the wrapper. */
  readonly flags: readonly string[];
  /** File that takes the raw output of tests in place of the artifacts. */
  readonly output?: string;
}

/**
 * Reads the switches; without permission to read them they are off.
 *
 * @throws {TypeError} if the descriptor that is to take the output is not open
 */
export function debugSwitches(): DebugSwitches {
  const flags: string[] = [];
  if (variable("ATEX_DEBUG_NO_EXITCODE") === "1") flags.push("noexitcode");
  if (variable("ATEX_DEBUG_NO_BG_KILL") === "1") flags.push("nokill");
  const descriptor = variable("ATEX_DEBUG_TEST_OUTPUT_FD");
  if (!descriptor) return { flags };
  const output = `/proc/${Deno.pid}/fd/${descriptor}`;
  try {
    if (!/^\d+$/.test(descriptor)) throw new TypeError("it is not a number");
    Deno.lstatSync(output);
  } catch (cause) {
    throw new TypeError(
      `Cannot use ATEX_DEBUG_TEST_OUTPUT_FD=${descriptor}: it is not the number of an open descriptor`,
      { cause },
    );
  }
  return { flags, output };
}

function variable(name: string): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable: name });
  return state === "granted" ? Deno.env.get(name) : undefined;
}
