/** Telling a broken link from a command that failed. */
import {
  type Connection,
  ConnectionError,
  ConnectionLostError,
} from "../../connections/connection.ts";
import { run } from "../../connections/process.ts";
import { within as withinLimit } from "../../connections/time_limit.ts";

/** How long a command may take that only looks around. */
const PROBE_TIMEOUT = 15_000;

/**
 * The error of the link, if the link is why a command ended with this code; it
 * takes a moment, because the link is tried.
 */
export async function linkFailure(
  connection: Connection,
  code: number,
  output: string,
): Promise<ConnectionError | undefined> {
  const before = knownFailure(connection);
  if (before) return before;
  try {
    await within(
      PROBE_TIMEOUT,
      undefined,
      (signal) => run(connection, ["true"], { signal }),
    );
    return undefined;
  } catch (cause) {
    if (cause instanceof ConnectionError) return cause;
    return knownFailure(connection) ?? new ConnectionLostError(
      `Cannot reach the system any more: a command ended with ${code}, then no other could be run`,
      { cause, code, output: output.slice(-64 * 1024) },
    );
  }
}

/** What the connection itself knows. */
function knownFailure(connection: Connection): ConnectionError | undefined {
  try {
    connection.local(["true"]);
    return undefined;
  } catch (error) {
    if (error instanceof ConnectionError) return error;
    throw error;
  }
}

/**
 * Calls a function with a signal that is aborted after so many milliseconds, or
 * with another one.
 */
export function within<T>(
  ms: number,
  signal: AbortSignal | undefined,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = () =>
    new DOMException(`not done within ${ms} ms`, "TimeoutError");
  return withinLimit({ ms, late, signal }, call);
}
