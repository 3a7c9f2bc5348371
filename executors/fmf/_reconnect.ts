/** Reaching a system again that a test restarts. */
import { abortable } from "@std/async/abortable";
import { delay } from "@std/async/delay";
import {
  type Connection,
  ConnectionError,
} from "../../connections/connection.ts";
import { CommandError, run } from "../../connections/process.ts";
import { TestAbortedError } from "../executor.ts";
import { within } from "./_link.ts";
import {
  probeCommand,
  type ProbeFindings,
  readProbe,
  type WorkDirectory,
} from "./scripts.ts";

/** How long a command may take that only looks around. */
const PROBE_TIMEOUT = 15_000;
/** How long it may take to end a test on a system that was just reached again. */
const LINGER_TIMEOUT = 30_000;
/** Between two attempts to reach the system. */
const PAUSE = 500;

/**
 * Waits until the system can be reached and the last start of the test has gone.
 *
 * @param onFound called with what was found there, each time
 * @throws {TestAbortedError} if the work directory has gone too (`wrapper`)
 */
export async function reconnect(
  connection: Connection,
  work: WorkDirectory,
  onFound: (found: ProbeFindings) => void,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    // those of others may never settle, whatever the signal
    await abortable(connection.disconnect(), signal);
    try {
      await abortable(connection.connect({ signal }), signal);
      const text = await within(
        PROBE_TIMEOUT,
        signal,
        (signal) => run(connection, probeCommand(work), { signal }),
      );
      const found = readProbe(text);
      if (!found) {
        throw new TestAbortedError(
          "the work directory has gone with the restart of the system",
          "wrapper",
        );
      }
      onFound(found);
      // two of them at the same time would be worse than waiting
      if (!found.alive) return;
    } catch (error) {
      signal.throwIfAborted();
      if (!isPassing(error)) throw error;
    }
    await delay(PAUSE, { signal });
  }
}

/** Ends a test that lives on while its connection was given up. */
export async function endLingering(
  connection: Connection,
  work: WorkDirectory,
): Promise<void> {
  try {
    await within(LINGER_TIMEOUT, undefined, async (signal) => {
      await abortable(connection.connect({ signal }), signal);
      await run(connection, probeCommand(work, true), { signal });
    });
  } catch {
    // then it is out of reach
  }
}

/** Whether it may be different in a moment. */
function isPassing(error: unknown): boolean {
  return error instanceof ConnectionError || error instanceof CommandError ||
    error instanceof DOMException && error.name === "TimeoutError";
}
