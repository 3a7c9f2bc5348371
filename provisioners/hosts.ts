/**
 * Lends machines that one has, by `ssh`: hosts from a list, each to one user at a
 * time.
 *
 * While a host is lent, nobody else gets it: neither another script, nor another
 * user or machine, as long as they use this provisioner, too. A process on the
 * host holds a lock for us, over a connection of its own, and is gone as soon as
 * the script is, however that ends. See {@linkcode HostsProvisionerOptions.lease}.
 *
 * Nothing is reinstalled or cleaned up between two users of a host, unless by
 * the hooks `prepare`, `recover` and `clean`.
 *
 * Needs `ssh` of OpenSSH, `flock` on the hosts, and the permissions that
 * connections by ssh need, and those to read the host name and the user id
 * (`--allow-sys=hostname,uid`).
 *
 * @example Run something on whichever host is free
 * ```ts no-run
 * import { HostsProvisioner } from "jsr:@atex/atex/provisioners/hosts";
 * import { run } from "jsr:@atex/atex/connections/process";
 *
 * await using pool = await new HostsProvisioner({
 *   hosts: ["root@10.0.0.7", "root@10.0.0.8:2222"],
 * }).start();
 * pool.provision();
 * await using remote = await pool.getRemote();
 * console.log(remote.id, await run(remote, ["uname", "-a"]));
 * ```
 *
 * @example Hosts that differ
 * ```ts no-run
 * import { HostsProvisioner } from "jsr:@atex/atex/provisioners/hosts";
 *
 * await using pool = new HostsProvisioner({
 *   hosts: [
 *     "lab1", // a name from the user's ssh_config
 *     { host: "admin@lab2", sudo: "root", labels: { arch: "aarch64" } },
 *   ],
 *   ssh: { identityFile: "/home/me/.ssh/lab" },
 *   onEvent: (event) => {
 *     if (event.type === "reserve-failed") console.error(event.error.message);
 *   },
 * });
 * ```
 *
 * @example A lab that many share, listed in a file
 * ```ts no-run
 * import { HostsProvisioner } from "jsr:@atex/atex/provisioners/hosts";
 * import { run } from "jsr:@atex/atex/connections/process";
 *
 * // lab.yaml:
 * // - host: root@lab1.example.org
 * //   labels: { arch: x86_64 }
 * // - { host: lab2.example.org, user: admin, port: 2222, sudo: root }
 * await using pool = new HostsProvisioner({
 *   hosts: new URL("./lab.yaml", import.meta.url),
 *   where: { arch: "x86_64" },
 *   order: "shuffle",
 *   purpose: "nightly",
 *   prepare: async (host) => void await run(host, ["systemctl", "start", "sshd"]),
 *   recover: async (_host, { host }) => {
 *     await fetch(`https://lab.example.org/reinstall/${host}`, { method: "POST" });
 *   },
 *   onEvent: (event) => {
 *     if (event.type === "taken") console.error(event.id, event.holder);
 *   },
 * });
 * ```
 *
 * @module
 */
import type { Semaphore } from "@std/async/unstable-semaphore";
import type { SignalOptions } from "../connections/connection.ts";
import { SshConnection, type SshOptions } from "../connections/ssh.ts";
import { guard } from "./_guard.ts";
import { type HostEntry, HostsBackend } from "./_hosts_backend.ts";
import type {
  HostContext,
  HostHooks,
  HostOptions,
  Listed,
  ReleasedHostContext,
  SshConfigHosts,
} from "./_hosts_types.ts";
import { type Lease, NO_LEASE } from "./_lease.ts";
import { LocalLease } from "./_local_lease.ts";
import { Pool } from "./_pool.ts";
import { RemoteLease } from "./_remote_lease.ts";
import { getRunId } from "./_run.ts";
import { resolveName } from "./_ssh_names.ts";
import type { EventOptions } from "./events.ts";
import {
  type Provisioner,
  ProvisionError,
  type Remote,
} from "./provisioner.ts";

export type {
  HostContext,
  HostHooks,
  HostOptions,
  ReleasedHostContext,
  SshConfigHosts,
};

/** Options of {@linkcode HostsProvisioner}. */
export interface HostsProvisionerOptions extends EventOptions, HostHooks {
  /**
   * The hosts: a list of `USER@HOST:PORT`, with user and port optional, or of
   * objects that say more; a file; or an `ssh_config`.
   *
   * A file that ends with `.json` or `.yaml` holds such a list, whose objects may
   * also have `user` and `port`. Any other is text, a host a line, as in
   * `root@lab1:2222 arch=x86_64 ssh.ProxyJump=gate # comment`: words with `=` are
   * labels, or ssh options if they begin with `ssh.`. Paths in a file are
   * relative to it.
   */
  hosts:
    | readonly (string | HostOptions)[]
    | string
    | URL
    | SshConfigHosts;
  /**
   * Which of the hosts: those that have all of these labels, or for which the
   * function is true.
   *
   * @default all
   */
  where?:
    | Readonly<Record<string, string>>
    | ((labels: Readonly<Record<string, string>>, host: string) => boolean);
  /**
   * In which order hosts are tried: as `listed`, or `shuffle`d, so that scripts
   * which share a list do not all begin with the same host.
   *
   * @default {"listed"}
   */
  order?: "listed" | "shuffle";
  /**
   * What keeps others from using a host at the same time.
   *
   * - `remote`: a lock on a file on the host, for all scripts, users and machines
   * - `local`: a lock on a file here, for the scripts of this machine
   * - `none`: nothing
   *
   * @default {"remote"}
   */
  lease?: "remote" | "local" | "none";
  /**
   * The file that is locked on a host, for `lease: "remote"`. It is made if it is
   * not there, and says who has the host. All who share hosts have to name the
   * same; it should be where a reboot leaves it alone.
   *
   * @default {"/var/tmp/atex.lock"}
   */
  leaseFile?: string;
  /**
   * The directory of the files that are locked here, for `lease: "local"`; not on
   * a network.
   *
   * @default {"/tmp/atex-leases"}
   */
  leaseDirectory?: string;
  /**
   * Milliseconds for which nobody else gets a host that reboots while it is ours,
   * for `lease: "remote"`. At most a day.
   *
   * @default {600_000} ten minutes
   */
  rebootGrace?: number;
  /**
   * What the host is used for, for others to see.
   *
   * @default nothing is said
   */
  purpose?: string;
  /**
   * Milliseconds, on average, between two looks at whether a host that another
   * script has is free.
   *
   * @default {1000}
   */
  pollInterval?: number;
  /**
   * A command that has to end with 0 on a host before it is lent.
   *
   * @default `true` is run
   */
  probe?: readonly string[];
  /**
   * Milliseconds that the probe may take.
   *
   * @default {30_000}
   */
  probeTimeout?: number;
  /**
   * Milliseconds that a hook may take.
   *
   * @default {600_000} ten minutes
   */
  hookTimeout?: number;
  /**
   * Milliseconds for which a host is left alone that was given back as `destroyed`
   * or `setup-failed`, if there is no hook `recover`. `Infinity`: until `stop()`.
   *
   * @default {0}
   */
  quarantine?: number;
  /**
   * A host that so many times in a row could not be reached, leased, probed,
   * prepared, recovered, cleaned or set up is not lent any more until `stop()`.
   *
   * @default {5}
   */
  maxFailures?: number;
  /**
   * How to connect to all of them; what a host says itself wins.
   *
   * @default {{}}
   */
  ssh?: Omit<SshOptions, "host">;
  /**
   * Most hosts lent at one moment.
   *
   * @default the number of hosts; unknown, and so `Infinity`, before a file is read
   */
  maxRemotes?: number;
  /**
   * Milliseconds for which a host is left alone that could not be reached, or
   * whose probe or hook failed.
   *
   * @default {300_000} five minutes
   */
  retryAfter?: number;
  /**
   * Milliseconds that an attempt to connect may take.
   *
   * @default {30_000}
   */
  connectTimeout?: number;
  /**
   * Milliseconds for which it is tried to reach a host that was reached before: a
   * test may have rebooted it.
   *
   * @default {120_000}
   */
  rebootTimeout?: number;
  /**
   * Shared by several provisioners, it bounds what they lend together.
   *
   * @default nothing is shared
   */
  limit?: Semaphore;
}

/**
 * Lends hosts from a list.
 *
 * A host that cannot be reached is reported by a `reserve-failed` event and set
 * aside; another is tried, or waited for, in its place. Requests fail only when
 * all hosts are set aside. One that somebody else has is reported by a `taken`
 * event, and waited for.
 */
export class HostsProvisioner implements Provisioner {
  /** `hosts` */
  readonly name: string = "hosts";
  readonly #leaseIds = new WeakMap<HostEntry, string>();
  readonly #options: HostsProvisionerOptions;
  readonly #pool: Pool;
  /** Unless they are in a file. */
  readonly #hosts?: HostEntry[];

  /**
   * Stores the options.
   *
   * @throws {TypeError} if a host is none, is there twice, or its options cannot be used
   * @throws {RangeError} if a number is out of range
   */
  constructor(options: HostsProvisionerOptions) {
    const { maxRemotes = Infinity, limit, onEvent, hosts } = options;
    this.#options = { ...options };
    const times = checkTimes(options);
    const { maxFailures = 5, leaseFile = LEASE_FILE } = options;
    if (!(maxFailures >= 1)) {
      throw new RangeError(
        `Cannot use ${maxFailures} as "maxFailures": it must be a positive number`,
      );
    }
    checkLeaseFile(leaseFile);
    if (isList(hosts)) {
      this.#hosts = this.#choose(
        hosts.map((host) => (
          { host: typeof host === "string" ? { host } : host, origin: "" }
        )),
      );
    }
    const { order, prepare, recover, clean, probe } = options;
    const backend = new HostsBackend({
      open: (signal) => this.#open(signal),
      makeLease: (host) => this.#makeLease(host),
      shuffle: order === "shuffle",
      ...times,
      maxFailures,
      ...(probe && { probe }),
      ...(prepare && { prepare }),
      ...(recover && { recover }),
      ...(clean && { clean }),
    }, guard(onEvent));
    this.#pool = new Pool({
      name: this.name,
      maxRemotes: Math.min(maxRemotes, this.#hosts?.length ?? Infinity),
      limit,
      onEvent,
      backend,
    });
  }

  /** Most hosts lent at one moment. */
  get maxRemotes(): number {
    return this.#pool.maxRemotes;
  }

  /**
   * Reads the file of hosts, if there is one, and begins to serve. Hosts are
   * connected to when they are needed.
   *
   * @throws {ProvisionError} if there is no host to lend
   * @throws {TypeError} if something in a file of hosts is wrong
   */
  async start(options?: SignalOptions): Promise<this> {
    await this.#pool.start(options);
    return this;
  }

  /**
   * Asks for more hosts: `count`, or 1. Never waits.
   *
   * @throws {RangeError} if `count` is neither a positive integer nor `Infinity`
   * @throws {ProvisionerStoppedError} before `start()` and after `stop()`
   */
  provision(count?: number): void {
    this.#pool.provision(count);
  }

  /**
   * Waits for the next host that is free and connected.
   *
   * @throws {ProvisionError} if no host can be used; `fatal` if none ever can
   * @throws {ProvisionerStoppedError} if `stop()` was called
   */
  getRemote(options?: SignalOptions): Promise<Remote> {
    return this.#pool.getRemote(options);
  }

  /** Drops what was asked for and has not begun. */
  clear(): void {
    this.#pool.clear();
  }

  /** Gives all hosts back. */
  stop(): Promise<void> {
    return this.#pool.stop();
  }

  /** Stops; failures are events only. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop().catch(() => {});
  }

  async #open(signal: AbortSignal): Promise<HostEntry[]> {
    const { hosts: source, maxRemotes = Infinity, lease } = this.#options;
    let hosts = this.#hosts;
    if (!hosts) {
      const { readInventory } = await import("./_inventory.ts");
      hosts = this.#choose(
        await readInventory(source as string | URL | SshConfigHosts),
      );
    }
    signal.throwIfAborted();
    if (hosts.length === 0) {
      throw new ProvisionError(
        this.#options.where
          ? 'Cannot lend hosts: the option "where" fits none'
          : "Cannot lend hosts: the list of hosts is empty",
        { fatal: true },
      );
    }
    if (
      lease === "local" || typeof source === "object" && "sshConfig" in source
    ) {
      hosts = await resolveAll(hosts, signal);
    }
    this.#pool.maxRemotes = Math.min(maxRemotes, hosts.length);
    return hosts;
  }

  /** Those that are wanted, with all their options, which are checked. */
  #choose(listed: readonly Listed[]): HostEntry[] {
    const { ssh = {}, where } = this.#options;
    const seen = new Set<string>();
    const entries = listed.map(({ host, origin }) => {
      try {
        const entry = describe(host, ssh);
        if (seen.has(host.host)) throw twice(host.host);
        seen.add(host.host);
        return entry;
      } catch (error) {
        if (!origin || !(error instanceof TypeError)) throw error;
        throw new TypeError(`Cannot use ${origin}: ${error.message}`, {
          cause: error,
        });
      }
    });
    if (!where) return entries;
    return entries.filter(({ labels, options: { host } }) =>
      typeof where === "function"
        ? where(labels, host)
        : Object.entries(where).every(([key, value]) => labels[key] === value)
    );
  }

  #makeLease(entry: HostEntry): Lease {
    const { options: ssh, leaseFile, attributes } = entry;
    const {
      lease = "remote",
      leaseFile: file = LEASE_FILE,
      leaseDirectory = "/tmp/atex-leases",
      rebootGrace = REBOOT_GRACE,
      connectTimeout = CONNECT_TIMEOUT,
      purpose,
    } = this.#options;
    if (lease === "none") return NO_LEASE;
    const holder = {
      run: getRunId(),
      lease: this.#leaseIdOf(entry),
      user: Deno.env.get("USER") || Deno.env.get("LOGNAME") ||
        `uid ${Deno.uid()}`,
      host: Deno.hostname(),
      pid: Deno.pid,
      since: new Date().toISOString(),
      ...(purpose !== undefined && { purpose: purpose.slice(0, 200) }),
    };
    return lease === "local"
      ? new LocalLease(leaseDirectory, attributes!.address, holder)
      : new RemoteLease({
        ssh,
        file: leaseFile ?? file,
        holder,
        rebootGrace,
        connectTimeout,
      });
  }

  /**
   * The same for all leases of a host: one whose connection was cut may still be
   * noted there when the next is taken.
   */
  #leaseIdOf(entry: HostEntry): string {
    const id = this.#leaseIds.get(entry) ?? crypto.randomUUID();
    this.#leaseIds.set(entry, id);
    return id;
  }
}

const LEASE_FILE = "/var/tmp/atex.lock";
const REBOOT_GRACE = 600_000;
const CONNECT_TIMEOUT = 30_000;
const DAY = 86_400_000;

function isList(
  hosts: HostsProvisionerOptions["hosts"],
): hosts is readonly (string | HostOptions)[] {
  return Array.isArray(hosts);
}

/** Times with their defaults. */
function checkTimes(options: HostsProvisionerOptions) {
  const {
    pollInterval = 1000,
    retryAfter = 300_000,
    quarantine = 0,
    connectTimeout = CONNECT_TIMEOUT,
    rebootTimeout = 120_000,
    rebootGrace = REBOOT_GRACE,
    probeTimeout = 30_000,
    hookTimeout = 600_000,
  } = options;
  const times = {
    pollInterval,
    retryAfter,
    quarantine,
    connectTimeout,
    rebootTimeout,
    rebootGrace,
    probeTimeout,
    hookTimeout,
  };
  const positive = new Set([
    "pollInterval",
    "connectTimeout",
    "probeTimeout",
    "hookTimeout",
  ]);
  for (const [name, ms] of Object.entries(times)) {
    if (!(ms >= 0) || ms === 0 && positive.has(name)) {
      throw new RangeError(
        `Cannot use ${ms} as "${name}": it must be a positive number of milliseconds`,
      );
    }
  }
  if (rebootGrace > DAY) {
    throw new RangeError(
      `Cannot use ${rebootGrace} as "rebootGrace": at most a day is possible, ${DAY} milliseconds`,
    );
  }
  return times;
}

function checkLeaseFile(path: string): void {
  if (!/^\/[^\0\n]*[^/\0\n]$/.test(path)) {
    throw new TypeError(
      `Cannot use "${path}" as "leaseFile": an absolute path of a file would be right`,
    );
  }
}

function twice(name: string): TypeError {
  return new TypeError(`Cannot lend the host "${name}": it is listed twice`);
}

/** One host with all its options, which are checked. */
function describe(
  host: HostOptions,
  common: Omit<SshOptions, "host">,
): HostEntry {
  const { labels = {}, leaseFile, ...own } = host;
  const options = {
    ...common,
    ...own,
    options: { ...common.options, ...own.options },
  };
  new SshConnection(options); // throws
  if (leaseFile !== undefined) checkLeaseFile(leaseFile);
  return { options, labels, ...(leaseFile !== undefined && { leaseFile }) };
}

/** How many `ssh -G` run at the same time. */
const LOOK_UPS = 4;

/** With their addresses, each of which may be there once. */
async function resolveAll(
  hosts: readonly HostEntry[],
  signal: AbortSignal,
): Promise<HostEntry[]> {
  const resolved = hosts.map((host) => ({
    ...host,
    attributes: { address: "" },
  }));
  const rest = resolved.values();
  const worker = async () => {
    for (const host of rest) {
      host.attributes.address = await resolveName(host.options, signal);
    }
  };
  await Promise.all(Array.from({ length: LOOK_UPS }, worker));
  const names = new Map<string, string>();
  for (const { options: { host }, attributes: { address } } of resolved) {
    const other = names.get(address);
    if (other !== undefined) {
      throw new TypeError(
        `Cannot lend the hosts "${other}" and "${host}": both are ${address}`,
      );
    }
    names.set(address, host);
  }
  return resolved;
}
