import { pathOf } from "../options.ts";
import type { HostEntry } from "./_hosts_types.ts";
import { type Lease, NO_LEASE } from "./_lease.ts";
import { LocalLease } from "./_local_lease.ts";
import { RemoteLease } from "./_remote_lease.ts";
import { getRunId } from "./_run.ts";

/** What leases of hosts have in common. */
export interface LeaseMakerOptions {
  readonly lease?: "remote" | "local" | "none";
  /** On a host that does not say another. */
  readonly leaseFile: string;
  readonly leaseDirectory?: string | URL;
  readonly rebootGrace: number;
  readonly connectTimeout: number;
  readonly purpose?: string;
}

/** The user, as holders of leases are named. */
export function thisUser(): string {
  return Deno.env.get("USER") || Deno.env.get("LOGNAME") ||
    `uid ${Deno.uid()}`;
}

/** The file that is locked on a host unless another is named. */
export const LEASE_FILE = "/var/tmp/atex.lock";

/** Makes leases of hosts, not taken yet. */
export function leaseMaker(
  options: LeaseMakerOptions,
): (host: HostEntry) => Lease {
  const {
    lease = "remote",
    leaseFile: file,
    leaseDirectory = "/tmp/atex-leases",
    rebootGrace,
    connectTimeout,
    purpose,
  } = options;
  // The same for all leases of a host: one whose connection was cut may still be
  // noted there when the next is taken.
  const ids = new WeakMap<HostEntry["options"], string>();
  const idOf = ({ options }: HostEntry) => {
    const id = ids.get(options) ?? crypto.randomUUID();
    ids.set(options, id);
    return id;
  };
  return (host) => {
    if (lease === "none") return NO_LEASE;
    const holder = {
      run: getRunId(),
      lease: idOf(host),
      user: thisUser(),
      host: Deno.hostname(),
      pid: Deno.pid,
      since: new Date().toISOString(),
      ...(purpose !== undefined && { purpose: purpose.slice(0, 200) }),
    };
    const { options: ssh, leaseFile = file, attributes } = host;
    return lease === "local"
      ? new LocalLease(pathOf(leaseDirectory), attributes!.address, holder)
      : new RemoteLease({
        ssh,
        file: leaseFile,
        holder,
        rebootGrace,
        connectTimeout,
      });
  };
}
