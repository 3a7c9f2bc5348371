import type { Connection, SignalOptions } from "../connections/connection.ts";
import { output } from "../connections/process.ts";
import { within } from "../connections/time_limit.ts";
import { TestAbortedError } from "./executor.ts";

/** Milliseconds in which a system has to answer. */
const PATIENCE = 30_000;

/**
 * Looks whether a system is still there, after a failure that may come of its end as
 * well as of the test. Gives what became of the test if it is not.
 *
 * @throws what `signal` is aborted with
 */
export async function lossBehind(
  failure: string,
  connection: Connection,
  { signal }: SignalOptions = {},
): Promise<TestAbortedError | undefined> {
  const lost = await knownLoss(failure, connection);
  if (lost) return lost;
  let cause: unknown;
  try {
    const late = () => new Error(`it did not answer in ${PATIENCE / 1000} s`);
    const { success } = await within(
      { ms: PATIENCE, late, signal },
      (signal) => output(connection, ["true"], { signal }),
    );
    if (success) return await knownLoss(failure, connection); // told meanwhile
  } catch (error) {
    signal?.throwIfAborted();
    cause = error;
  }
  return new TestAbortedError(
    `${failure}, and the connection does not work any more`,
    "connection",
    { cause },
  );
}

/** The same, without asking the system: whether a provisioner told that it is lost. */
export async function knownLoss(
  failure: string,
  connection: Connection & { readonly lost?: Promise<Error> },
): Promise<TestAbortedError | undefined> {
  const cause = await Promise.race([connection.lost, undefined])
    .catch((error) => error);
  if (cause === undefined) return undefined;
  return new TestAbortedError(
    `${failure}, and the system is gone: ${cause?.message ?? cause}`,
    "connection",
    { cause },
  );
}
