/**
 * What blocks of others gave, as the contracts say that it is: journals and event logs
 * are read back, and refuse what is not.
 */
import type { Stored } from "../aggregators/aggregator.ts";
import type { Remote } from "../provisioners/provisioner.ts";

/**
 * An exit code.
 *
 * @throws {TypeError} if it is something else: Node.js has `null` for a process that a signal ended
 */
export function asExitCode(value: unknown, test: string): number {
  if (Number.isSafeInteger(value)) return value as number;
  throw new TypeError(
    `Cannot tell what came of "${test}": the executor gave ${
      Deno.inspect(value)
    }, which is no exit code`,
  );
}

/** The attributes of a system, as texts. */
export function attributesOf(
  { attributes }: Remote,
): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(attributes ?? {}).map(([name, value]: [string, unknown]) => [
      name,
      typeof value === "string" ? value : Deno.inspect(value),
    ]),
  );
}

/** Where an aggregator says that it put files, if it says so. */
export function asStored(value: unknown): Stored | undefined {
  const { directory, output }: Record<string, unknown> = Object(value);
  if (typeof directory !== "string" && typeof output !== "string") return;
  return {
    ...(typeof directory === "string" && { directory }),
    ...(typeof output === "string" && { output }),
  };
}
