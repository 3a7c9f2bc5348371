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
 * the hooks `prepare`, `recover` and `clean`; except that what tests left running is
 * ended (see {@linkcode HostHooks.clean}), and that directories of tests are
 * removed that scripts of this machine left on it when they were killed.
 *
 * Needs `ssh` of OpenSSH, `flock` on the hosts, and the permissions that
 * connections by ssh need, and those to read the host name and the user id
 * (`--allow-sys=hostname,uid`).
 *
 * @example Run something on whichever host is free
 * ```ts
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
 *     if (event.type === "waiting") console.error(event.reason);
 *   },
 * });
 * ```
 *
 * @module
 */
import {
  checkCounts,
  checkMilliseconds,
  checkOptions,
  type Known,
} from "../options.ts";
import { guard } from "./_guard.ts";
import {
  checkCommon,
  checkHosts,
  checkLeaseFile,
  checkWhere,
  HostList,
  isSshConfig,
  SELECTION_OPTIONS,
} from "./_host_list.ts";
import { LEASE_FILE, leaseMaker } from "./_host_leases.ts";
import { HostsBackend } from "./_hosts_backend.ts";
import type {
  HostContext,
  HostHooks,
  HostOptions,
  HostSelection,
  ReleasedHostContext,
  SshConfigHosts,
} from "./_hosts_types.ts";
import { type PoolOptions, STOP_TIMEOUT } from "./_pool.ts";
import type { EventOptions } from "./events.ts";
import { PooledProvisioner } from "./pooled.ts";
import type { SharedLimit } from "./shared_limit.ts";

export type {
  HostContext,
  HostHooks,
  HostOptions,
  HostSelection,
  ReleasedHostContext,
  SshConfigHosts,
};

/** Options of {@linkcode HostsProvisioner}. */
export interface HostsProvisionerOptions
  extends EventOptions, HostHooks, HostSelection {
  /**
   * In which order hosts are tried: as `listed`, or `shuffle`d, so that scripts
   * which share a list do not all begin with the same host.
   *
   * @default {"listed"}
   */
  order?: "listed" | "shuffle" | undefined;
  /**
   * What keeps others from using a host at the same time.
   *
   * - `remote`: a lock on a file on the host, for all scripts, users and machines
   * - `local`: a lock on a file here, for the scripts of this machine
   * - `none`: nothing
   *
   * @default {"remote"}
   */
  lease?: "remote" | "local" | "none" | undefined;
  /**
   * The file that is locked on a host, for `lease: "remote"`. It is made if it is
   * not there, and says who has the host. All who share hosts have to name the
   * same; it should be where a reboot leaves it alone.
   *
   * @default {"/var/tmp/atex.lock"}
   */
  leaseFile?: string | undefined;
  /**
   * The directory of the files that are locked here, for `lease: "local"`; not on
   * a network.
   *
   * @default {"/tmp/atex-leases"}
   */
  leaseDirectory?: string | URL | undefined;
  /**
   * Milliseconds for which nobody else gets a host that reboots while it is ours,
   * for `lease: "remote"`. At most a day.
   *
   * @default `600_000`, ten minutes
   */
  rebootGrace?: number | undefined;
  /**
   * What the host is used for, for others to see.
   *
   * @default nothing is said
   */
  purpose?: string | undefined;
  /**
   * Milliseconds, on average, between two looks at whether a host that another
   * script has is free.
   *
   * @default {1000}
   */
  pollInterval?: number | undefined;
  /**
   * A command that has to end with 0 on a host before it is lent.
   *
   * @default `true` is run
   */
  probe?: readonly string[] | undefined;
  /**
   * Milliseconds that the probe may take.
   *
   * @default {30_000}
   */
  probeTimeout?: number | undefined;
  /**
   * Milliseconds that a hook may take, and the end of what tests left running on
   * a host, and the removal of what tests of killed scripts left there; it is lent
   * nevertheless.
   *
   * @default `600_000`, ten minutes
   */
  hookTimeout?: number | undefined;
  /**
   * Milliseconds for which a host is left alone that was given back as `destroyed`
   * or `setup-failed`, if there is no hook `recover`. `Infinity`: until `stop()`.
   *
   * @default {0}
   */
  quarantine?: number | undefined;
  /**
   * A host that so many times in a row could not be reached, leased, probed,
   * prepared, recovered, cleaned or set up is not lent any more until `stop()`;
   * `Infinity`: it is tried again and again.
   *
   * @default {5}
   */
  maxFailures?: number | undefined;
  /**
   * Most hosts lent at one moment.
   *
   * @default the number of hosts; unknown, and so `Infinity`, before a file is read
   */
  maxRemotes?: number | undefined;
  /**
   * Milliseconds for which a host is left alone that could not be reached, or
   * whose probe or hook failed.
   *
   * @default `300_000`, five minutes
   */
  retryAfter?: number | undefined;
  /**
   * Milliseconds that an attempt to connect may take, and the answer of a host that
   * is given back.
   *
   * @default {30_000}
   */
  connectTimeout?: number | undefined;
  /**
   * Milliseconds for which it is tried to reach a host that was reached before, as
   * a test may have rebooted it, or one that drops connections, as if it had too
   * many at the moment.
   *
   * @default {120_000}
   */
  rebootTimeout?: number | undefined;
  /**
   * Milliseconds in which a host has to be connected and probed from the moment at
   * which it is ours; the hook `prepare`, and the removal of what killed scripts left
   * there, have `hookTimeout` beside that. One that was reached before gets
   * `rebootTimeout` in addition.
   *
   * @default `120_000`, or as long as `connectTimeout` and `probeTimeout` together, if that is more
   */
  reserveTimeout?: number | undefined;
  /**
   * Shared by several provisioners, it bounds what they lend together: see
   * {@linkcode SharedLimit}.
   *
   * @default nothing is shared
   */
  limit?: SharedLimit | undefined;
}

const OPTIONS: Known<HostsProvisionerOptions> = {
  ...SELECTION_OPTIONS,
  order: ["listed", "shuffle"],
  lease: ["remote", "local", "none"],
  leaseFile: "optional",
  leaseDirectory: "a path or a URL, if given",
  rebootGrace: "optional",
  purpose: "a string, if given",
  pollInterval: "optional",
  probe: "a list of strings, if given",
  probeTimeout: "optional",
  hookTimeout: "optional",
  quarantine: "optional",
  maxFailures: "a number, if given",
  maxRemotes: "a number, if given",
  retryAfter: "optional",
  connectTimeout: "optional",
  rebootTimeout: "optional",
  reserveTimeout: "optional",
  prepare: "a function, if given",
  recover: "a function, if given",
  clean: "a function, if given",
  limit: "what sharedLimit() gives, if given",
  onEvent: "a function, if given",
};

/**
 * Lends hosts from a list.
 *
 * A host that cannot be reached is reported by a `reserve-failed` event and set
 * aside; another is tried, or waited for, in its place. Requests fail only when
 * all hosts are set aside. That others have those that are left is reported by a
 * `waiting` event.
 *
 * `start()` reads the file of hosts, if there is one: it rejects with a
 * {@linkcode ProvisionError} if it cannot be read or there is no host to lend, and
 * with a `TypeError` if something in it is wrong. Hosts are connected to when they are needed.
 */
export class HostsProvisioner extends PooledProvisioner {
  /**
   * Stores the options.
   *
   * @throws {TypeError} if a host cannot be understood, is there twice, or its options cannot be used
   * @throws {RangeError} if a number is out of range
   */
  constructor(options: HostsProvisionerOptions) {
    super(poolOptions(options));
  }
}

const REBOOT_GRACE = 600_000;
const CONNECT_TIMEOUT = 30_000;
const DAY = 86_400_000;

/** What the pool is made of; checks the options. */
function poolOptions(options: HostsProvisionerOptions): PoolOptions {
  checkOptions("HostsProvisioner", options, OPTIONS);
  const {
    hosts,
    ssh,
    where,
    lease,
    maxRemotes = Infinity,
    maxFailures = 5,
    leaseFile = LEASE_FILE,
    order,
    prepare,
    recover,
    clean,
    probe,
    limit,
    onEvent,
  } = options;
  checkHosts("HostsProvisioner", hosts);
  checkCommon("HostsProvisioner", ssh);
  checkWhere("HostsProvisioner", where);
  const times = checkTimes(options);
  checkCounts({ maxFailures }, { orInfinity: true });
  checkLeaseFile(leaseFile);
  if (probe?.length === 0) {
    throw new TypeError('Cannot lend hosts: "probe" must be a command');
  }
  const list = new HostList({
    hosts,
    ssh,
    where,
    resolve: lease === "local" || isSshConfig(hosts),
  });
  const backend = new HostsBackend({
    list,
    makeLease: leaseMaker({ ...options, ...times, leaseFile }),
    shuffle: order === "shuffle",
    ...times,
    maxFailures,
    probe,
    prepare,
    recover,
    clean,
  }, guard(onEvent));
  return {
    name: "hosts",
    maxRemotes,
    limit,
    onEvent,
    // room for `sweep` and `clean`, and for what is done around them
    stopTimeout: Math.max(STOP_TIMEOUT, 3 * times.hookTimeout),
    backend,
  };
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
    reserveTimeout = Math.max(120_000, connectTimeout + probeTimeout),
    hookTimeout = 600_000,
  } = options;
  const positive = {
    pollInterval,
    connectTimeout,
    probeTimeout,
    reserveTimeout,
    hookTimeout,
  };
  const orZero = { retryAfter, quarantine, rebootTimeout, rebootGrace };
  checkMilliseconds(positive);
  checkMilliseconds(orZero, { orZero: true });
  if (rebootGrace > DAY) {
    throw new RangeError(
      `Cannot use ${rebootGrace} as "rebootGrace": at most a day is possible, ${DAY} milliseconds`,
    );
  }
  return { ...positive, ...orZero };
}
