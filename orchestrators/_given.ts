/**
 * What blocks of others gave, as the contracts say that it is: journals and event logs
 * are read back, and refuse what is not.
 */
import type { Stored } from "../aggregators/aggregator.ts";
import type { Remote } from "../provisioners/provisioner.ts";

/** Something as a text for a message, whatever it is. */
export function shown(value: unknown): string {
  try {
    return Deno.inspect(value);
  } catch {
    return "something that cannot be shown";
  }
}

/** Whether something is an exit code: Node.js has `null` for a process that a signal ended. */
export function isExitCode(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

/** The error if it is something else. */
export function noExitCode(value: unknown, test: string): TypeError {
  return new TypeError(
    `Cannot tell what came of "${test}": the executor gave ${
      shown(value)
    }, which is no exit code`,
  );
}

/** The attributes of a system, as texts. */
export function attributesOf(
  { attributes }: Remote,
): Readonly<Record<string, string>> {
  const texts: Record<string, string> = { ...attributes };
  for (const name in texts) {
    if (typeof texts[name] !== "string") {
      texts[name] = shown(texts[name]);
    }
  }
  return texts;
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
