import { within } from "../connections/time_limit.ts";
import { ProvisionError } from "./provisioner.ts";

/** Something to be done with a host. */
export interface HostStep {
  /** What cannot be done if it fails: the beginning of a message. */
  readonly what: string;
  /** How long it may take, in milliseconds. */
  readonly ms: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Does something with a host, which has so much time for it.
 *
 * @throws {ProvisionError} if that fails
 */
export async function hostStep<T>(
  { what, ms, signal }: HostStep,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = () => new Error(`it did not end within ${ms / 1000} s`);
  try {
    return await within({ ms, late, signal }, call);
  } catch (error) {
    signal?.throwIfAborted();
    throw new ProvisionError(`${what}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}
