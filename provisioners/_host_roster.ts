import type { SshConnection } from "../connections/ssh.ts";
import type { HostEntry } from "./_hosts_types.ts";
import { type Lease, parseHolder } from "./_lease.ts";
import { getRunId } from "./_run.ts";
import { waitFor } from "./_wait_for.ts";
import { ProvisionError } from "./provisioner.ts";

/** A host, and whether it can be lent. */
export interface Host extends HostEntry {
  readonly id: string;
  /** Lent, or about to be. */
  taken: boolean;
  /** It was reached before. */
  known: boolean;
  /** How often in a row it could not be used. */
  failures: number;
  /** Why it is left alone, and until when. */
  aside?: { readonly why: string; readonly until: number };
  /** Nobody knows yet whether somebody else has it. */
  asking?: boolean;
  /** Somebody else has it: not before that time it is tried again. */
  busyUntil?: number;
  holder?: string;
  /** How, if that is this script. */
  ours?: string | undefined;
  /** When somebody was last seen to have it. */
  heldAt?: number;
  /** Since when it drops connections, as if it had too many. */
  droppingSince?: number;
  /** Ready to take it, or holding it. */
  lease?: Lease;
  connection?: SshConnection;
}

/** The hosts of a pool: which of them can be tried, and why the others cannot. */
export class HostRoster {
  #hosts: readonly Host[] = [];
  #changed = Promise.withResolvers<void>();

  /** All of them, in the order in which they are tried. */
  get hosts(): readonly Host[] {
    return this.#hosts;
  }

  /** Takes the hosts of a list; those that were reached before are known to have been. */
  fill(entries: readonly HostEntry[], { shuffle }: { shuffle: boolean }): void {
    const known = new Set(
      this.#hosts.flatMap(({ known, id }) => known ? [id] : []),
    );
    const hosts = entries.map((entry): Host => {
      const id = `ssh:${entry.options.host}`;
      return { ...entry, id, taken: false, known: known.has(id), failures: 0 };
    });
    this.#hosts = shuffle ? shuffled(hosts) : hosts;
  }

  /** The host of that id, which is one of them. */
  find(id: string): Host {
    return this.#hosts.find((host) => host.id === id)!;
  }

  /** Whether all are left alone. */
  get isSpent(): boolean {
    return this.#hosts.every(({ aside }) => aside);
  }

  /** Whether it is being asked who has one of them. */
  get isAsking(): boolean {
    return this.#hosts.some(({ asking }) => asking);
  }

  /** The next host to try: one that was never found taken comes first. */
  next(): Host | undefined {
    const now = performance.now();
    for (const host of this.#hosts) {
      if (host.aside && host.aside.until <= now) host.aside = undefined;
      if (host.busyUntil !== undefined && host.busyUntil <= now) {
        host.busyUntil = undefined;
      }
    }
    const free = this.#hosts.filter(({ taken, aside, busyUntil }) =>
      !taken && !aside && busyUntil === undefined
    );
    return free.find(({ holder }) => holder === undefined) ?? free[0];
  }

  /** Of hosts that others have; nothing if there are none. */
  whoHasThem(): string | undefined {
    const had = this.#hosts.filter(({ holder, aside }) =>
      holder !== undefined && !aside
    );
    const others = had.filter(({ ours }) => ours === undefined)
      .map(({ options: { host }, holder }) =>
        holder ? `${host}: ${holder}` : host
      );
    const ours = Map.groupBy(had, ({ ours }) => ours);
    ours.delete(undefined);
    const reasons = [
      ...others.length > 0 ? [`others have ${others.join("; ")}`] : [],
      ...ours.entries().map(([how, hosts]) =>
        `this script has ${
          hosts.map(({ options: { host } }) => host).join(", ")
        } already, ${how}`
      ),
    ];
    return reasons.length > 0 ? reasons.join("; ") : undefined;
  }

  /** How this script has a host, if it has: under another name, or from another pool. */
  oursBy(line: string): string | undefined {
    const found = parseHolder(line);
    if (found?.run !== getRunId()) return undefined;
    const other = this.#hosts.find(({ lease }) => lease?.id === found.lease);
    if (other) return `it is the same machine as ${other.options.host}`;
    const { purpose } = found;
    return `from another provisioner${purpose ? `, for ${purpose}` : ""}`;
  }

  /** Has a host left alone for so many milliseconds. */
  leaveAlone(host: Host, why: string, ms: number): void {
    host.aside = { why, until: performance.now() + ms };
  }

  /** The error if all are left alone. */
  spentError(cause?: unknown): ProvisionError {
    const reasons = this.#hosts.map(({ aside }) => aside?.why).join("; ");
    const forEver = this.#hosts.every(({ aside }) => aside?.until === Infinity);
    return new ProvisionError(`Cannot use any host: ${reasons}`, {
      cause,
      fatal: forEver,
    });
  }

  /** Something changed that those wait for who wait for a host. */
  notify(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  /** Until a host was released or set aside, or may be tried again. */
  async change(signal: AbortSignal): Promise<void> {
    const times = this.#hosts.flatMap(({ taken, aside, busyUntil }) =>
      taken ? [] : [aside?.until ?? busyUntil ?? Infinity]
    );
    const ms = Math.max(0, Math.min(...times) - performance.now());
    await waitFor(this.#changed.promise, ms, signal);
  }
}

function shuffled<T>(list: readonly T[]): T[] {
  const result = [...list];
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [result[i], result[j]] = [result[j], result[i]];
  }
  return result;
}
