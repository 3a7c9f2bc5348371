/** Writing events of runs as lines of JSON. */
import type { RunEvent } from "./orchestrator.ts";

/** What is kept of an error. */
interface LoggedError {
  name: string;
  message: string;
  cause?: unknown;
  errors?: LoggedError[];
  /** What a failed command printed. */
  output?: string;
}

/** An event as one line of JSON, without the newline. */
export function encodeEvent(event: RunEvent): string {
  const plain = event.type === "aborting" && !(event.reason instanceof Error)
    ? { ...event, reason: String(event.reason) } // it may be anything
    : event;
  return JSON.stringify(plain, (_key, value) => {
    if (value instanceof Error) return loggedError(value);
    if (value instanceof Map) return [...value.values()];
    return value === Infinity ? "Infinity" : value;
  });
}

const MAX_CAUSES = 10;

function loggedError(error: Error, depth = 0): LoggedError {
  const { name, message, cause } = error;
  const { output } = error as { output?: unknown };
  const deeper = (inner: unknown) =>
    inner instanceof Error ? loggedError(inner, depth + 1) : String(inner);
  return {
    name,
    message,
    ...(cause !== undefined && depth < MAX_CAUSES && { cause: deeper(cause) }),
    ...(error instanceof AggregateError && depth < MAX_CAUSES && {
      errors: error.errors.map((one) =>
        loggedError(
          one instanceof Error ? one : new Error(String(one)),
          depth + 1,
        )
      ),
    }),
    ...(typeof output === "string" && { output }),
  };
}
