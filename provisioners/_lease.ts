import { ProvisionError } from "./provisioner.ts";

/** The right to use a host, for one at a time. */
export interface Lease extends AsyncDisposable {
  /**
   * Tries to get the host.
   *
   * @returns `true`, or who has it: nothing if that cannot be told
   * @throws {LeaseError} if leases do not work on this host
   * @throws {ConnectError} if the host cannot be reached
   */
  take(signal: AbortSignal): Promise<true | string>;
  /** Resolves when the host is, against our will, not ours any more. */
  readonly lost?: Promise<Error>;
  /** Waits while the lease is got back after a reboot. Rejects if that is in vain. */
  held(signal?: AbortSignal): Promise<void>;
  /** The program does not end by itself while the lease stands. */
  keepRunning(): void;
}

/** Leases do not work on a host. */
export class LeaseError extends ProvisionError {}

/** Who has a host, as others see it. */
export interface Holder {
  readonly run: string;
  /** Tells leases of one process apart. */
  readonly lease: string;
  readonly user: string;
  readonly host: string;
  readonly pid: number;
  readonly since: string;
  readonly purpose?: string;
}

/** The holder in the line that {@linkcode Lease.take} found, for people. */
export function describeHolder(line: string): string {
  try {
    const { user, host, pid, since, purpose } = JSON.parse(line);
    if (typeof user !== "string" || typeof host !== "string") return "";
    return `${user}@${host}, process ${pid}, since ${since}${
      purpose ? `, for ${purpose}` : ""
    }`;
  } catch {
    return "";
  }
}

/** No lease at all. */
export const NO_LEASE: Lease = {
  take: () => Promise.resolve(true),
  held: () => Promise.resolve(),
  keepRunning: () => {},
  [Symbol.asyncDispose]: () => Promise.resolve(),
};
