/**
 * Who has which host of a list, without taking any.
 *
 * Needs the permissions that `HostsProvisioner` needs.
 *
 * @example
 * ```ts no-run
 * import { readLeases } from "jsr:@atex/atex/provisioners/leases";
 *
 * for (const { host, state, holder } of await readLeases({ hosts: "lab.yaml" })) {
 *   console.log(host, state, holder ? `${holder.user}, since ${holder.since}` : "");
 * }
 * ```
 *
 * @module
 */
import type { SignalOptions } from "../connections/connection.ts";
import { checkMilliseconds, checkOptions, type Known } from "../options.ts";
import {
  checkCommon,
  checkHosts,
  checkWhere,
  HostList,
  isSshConfig,
  SELECTION_OPTIONS,
} from "./_host_list.ts";
import { LEASE_FILE, leaseMaker, thisUser } from "./_host_leases.ts";
import type {
  HostEntry,
  HostOptions,
  HostSelection,
  SshConfigHosts,
} from "./_hosts_types.ts";
import { type LeaseHolder, parseHolder } from "./_lease.ts";

export type { HostOptions, HostSelection, LeaseHolder, SshConfigHosts };

/** A host, and whether somebody has it. */
export interface HostLease {
  /** As it is listed. */
  readonly host: string;
  /** Its labels. */
  readonly labels: Readonly<Record<string, string>>;
  /**
   * `ours`: a script of this user on this machine has it; `taken`: somebody else;
   * `unreachable`: it does not let us in, or leases do not work on it.
   */
  readonly state: "free" | "ours" | "taken" | "unreachable";
  /** Who has it, if that is known. */
  readonly holder?: LeaseHolder | undefined;
  /** Why it is `unreachable`. */
  readonly error?: Error | undefined;
}

/** Options of {@linkcode readLeases}; the same as those of the provisioner. */
export interface ReadLeasesOptions extends HostSelection, SignalOptions {
  /**
   * How hosts are taken: by a lock on the host, or by one on this machine.
   *
   * @default {"remote"}
   */
  lease?: "remote" | "local" | undefined;
  /**
   * The file that is locked on a host.
   *
   * @default {"/var/tmp/atex.lock"}
   */
  leaseFile?: string | undefined;
  /**
   * The directory of the files that are locked here.
   *
   * @default {"/tmp/atex-leases"}
   */
  leaseDirectory?: string | URL | undefined;
  /**
   * Milliseconds that an attempt to connect may take.
   *
   * @default {30_000}
   */
  connectTimeout?: number | undefined;
}

const OPTIONS: Known<ReadLeasesOptions> = {
  ...SELECTION_OPTIONS,
  lease: ["remote", "local"],
  leaseFile: "optional",
  leaseDirectory: "a path or a URL, if given",
  connectTimeout: "optional",
  signal: "optional",
};

/** Hosts that are asked at the same time. */
const AT_ONCE = 16;

/**
 * Asks all hosts who has them, in the order in which they are listed.
 *
 * @throws {TypeError} if a host cannot be understood, or something in a file is wrong
 * @throws {RangeError} if `connectTimeout` is not above 0
 * @throws {ProvisionError} if there is no host, or the file cannot be read
 */
export async function readLeases(
  options: ReadLeasesOptions,
): Promise<HostLease[]> {
  checkOptions("readLeases()", options, OPTIONS);
  const {
    hosts,
    ssh,
    where,
    lease = "remote",
    leaseFile = LEASE_FILE,
    leaseDirectory,
    connectTimeout = 30_000,
    signal = new AbortController().signal,
  } = options;
  checkHosts("readLeases()", hosts);
  checkCommon("readLeases()", options.ssh);
  checkWhere("readLeases()", where);
  checkMilliseconds({ connectTimeout });
  signal.throwIfAborted();
  const list = new HostList({
    hosts,
    ssh,
    where,
    resolve: lease === "local" || isSshConfig(hosts),
  });
  const makeLease = leaseMaker({
    lease,
    leaseFile,
    leaseDirectory,
    rebootGrace: 0,
    connectTimeout,
  });
  const entries = await list.read(signal);
  const found = new Array<HostLease>(entries.length);
  const rest = entries.entries();
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (const [index, entry] of rest) {
      found[index] = await look(entry, makeLease, signal);
    }
  }));
  return found;
}

async function look(
  entry: HostEntry,
  makeLease: ReturnType<typeof leaseMaker>,
  signal: AbortSignal,
): Promise<HostLease> {
  const { options: { host }, labels } = entry;
  await using lease = makeLease(entry);
  try {
    const line = await lease.look(signal);
    if (line === undefined) return { host, labels, state: "free" };
    const found = parseHolder(line);
    if (!found) return { host, labels, state: "taken" };
    const { lease: _, ...holder } = found;
    const isOurs = holder.user === thisUser() &&
      holder.host === Deno.hostname();
    return { host, labels, state: isOurs ? "ours" : "taken", holder };
  } catch (error) {
    signal.throwIfAborted();
    return { host, labels, state: "unreachable", error: error as Error };
  }
}
