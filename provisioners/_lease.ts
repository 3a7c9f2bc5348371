import { ProvisionError } from "./provisioner.ts";

/** The right to use a host, for one at a time. */
export interface Lease extends AsyncDisposable {
  /** Tells it apart: that of a holder is in {@linkcode Holder.lease}. */
  readonly id?: string;
  /**
   * Tries to get the host.
   *
   * @returns `true`, or who has it: nothing if that cannot be told
   * @throws {LeaseError} if leases do not work on this host
   * @throws {ConnectError} if the host cannot be reached
   */
  take(signal: AbortSignal): Promise<true | string>;
  /**
   * Tells who has the host, without taking it: a line that may say nothing;
   * `undefined` if nobody has it.
   *
   * @throws {LeaseError} if leases do not work on this host
   * @throws {ConnectError} if the host cannot be reached
   */
  look(signal: AbortSignal): Promise<string | undefined>;
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
export interface LeaseHolder {
  /** The run of the script. */
  readonly run: string;
  /** The user who started it. */
  readonly user: string;
  /** The machine it runs on. */
  readonly host: string;
  /** Its process there. */
  readonly pid: number;
  /** Since when, in ISO form. */
  readonly since: string;
  /** What for, if it says so. */
  readonly purpose?: string | undefined;
}

/** What a lease writes down about its holder. */
export interface Holder extends LeaseHolder {
  /** Tells leases of one process apart. */
  readonly lease: string;
}

/** The holder in the line that {@linkcode Lease.take} found, for people. */
export function describeHolder(line: string): string {
  const found = parseHolder(line);
  if (!found) return "";
  const { user, host, pid, since, purpose } = found;
  return `${user}@${host}, process ${pid}, since ${since}${
    purpose ? `, for ${purpose}` : ""
  }`;
}

/** The holder that a line tells of; `undefined` if it tells of none: anybody can write into the file. */
export function parseHolder(line: string): Holder | undefined {
  let data: unknown;
  try {
    data = JSON.parse(line);
  } catch {
    return undefined;
  }
  const { user, host, run, lease, pid, since, purpose } = Object(data);
  if (typeof user !== "string" || typeof host !== "string") return undefined;
  return {
    user,
    host,
    run: String(run ?? ""),
    lease: String(lease ?? ""),
    pid: Number(pid),
    since: String(since ?? ""),
    ...(typeof purpose === "string" && { purpose }),
  };
}

/** No lease at all. */
export const NO_LEASE: Lease = {
  take: () => Promise.resolve(true),
  look: () => Promise.resolve(undefined),
  held: () => Promise.resolve(),
  keepRunning: () => {},
  [Symbol.asyncDispose]: () => Promise.resolve(),
};
