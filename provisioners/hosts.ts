/**
 * Lends machines that one has, by `ssh`: hosts from a list, each to one user at a
 * time.
 *
 * Nothing is reinstalled or cleaned up between two users of a host. Nothing
 * keeps two scripts, or two provisioners, from using a host at the same time.
 *
 * Needs `ssh` of OpenSSH, and the permissions that connections by it need.
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
 * @module
 */
import type { Semaphore } from "@std/async/unstable-semaphore";
import type { SignalOptions } from "../connections/connection.ts";
import { SshConnection, type SshOptions } from "../connections/ssh.ts";
import { HostsBackend } from "./_hosts_backend.ts";
import { Pool } from "./_pool.ts";
import type { EventOptions } from "./events.ts";
import type { Provisioner, Remote } from "./provisioner.ts";

/** A host and how to get there. */
export interface HostOptions extends SshOptions {
  /**
   * What is to be known of the host: added to the attributes of the remote.
   *
   * @default {{}}
   */
  labels?: Readonly<Record<string, string>>;
}

/** Options of {@linkcode HostsProvisioner}. */
export interface HostsProvisionerOptions extends EventOptions {
  /**
   * The hosts, in the order in which they are tried: `USER@HOST:PORT` with user
   * and port optional, or an object that says more.
   */
  hosts: readonly (string | HostOptions)[];
  /**
   * How to connect to all of them; what a host says itself wins.
   *
   * @default {{}}
   */
  ssh?: Omit<SshOptions, "host">;
  /**
   * Most hosts lent at one moment.
   *
   * @default the number of hosts
   */
  maxRemotes?: number;
  /**
   * Milliseconds for which a host that could not be reached is left alone.
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
 * all hosts are set aside.
 */
export class HostsProvisioner implements Provisioner {
  /** `hosts` */
  readonly name: string = "hosts";
  /** Most hosts lent at one moment. */
  readonly maxRemotes: number;
  readonly #pool: Pool;

  /**
   * Stores the options.
   *
   * @throws {TypeError} if a host is none, is there twice, or its options cannot be used
   * @throws {RangeError} if a number is out of range
   */
  constructor(options: HostsProvisionerOptions) {
    const {
      ssh = {},
      maxRemotes = Infinity,
      retryAfter = 300_000,
      connectTimeout = 30_000,
      rebootTimeout = 120_000,
      limit,
      onEvent,
    } = options;
    const hosts = options.hosts.map((host) => describe(host, ssh));
    const names = hosts.map(({ options }) => options.host);
    const twice = names.find((name, index) => names.indexOf(name) !== index);
    if (twice !== undefined) {
      throw new TypeError(
        `Cannot lend the host "${twice}": it is listed twice`,
      );
    }
    const times = { retryAfter, connectTimeout, rebootTimeout };
    for (const [name, ms] of Object.entries(times)) {
      if (!(ms >= 0) || ms === 0 && name === "connectTimeout") {
        throw new RangeError(
          `Cannot use ${ms} as "${name}": it must be a positive number of milliseconds`,
        );
      }
    }
    this.maxRemotes = maxRemotes > hosts.length ? hosts.length : maxRemotes;
    this.#pool = new Pool({
      name: this.name,
      maxRemotes: this.maxRemotes,
      limit,
      onEvent,
      backend: new HostsBackend({ hosts, ...times }),
    });
  }

  /**
   * Begins to serve. Hosts are connected to when they are needed.
   *
   * @throws {ProvisionError} if the list of hosts is empty
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
   * @throws {ProvisionError} if no host can be reached; `fatal` if there is no ssh program
   * @throws {ProvisionerStoppedError} if `stop()` was called
   */
  getRemote(options?: SignalOptions): Promise<Remote> {
    return this.#pool.getRemote(options);
  }

  /** Drops what was asked for and has not begun. */
  clear(): void {
    this.#pool.clear();
  }

  /** Disconnects from all hosts. */
  stop(): Promise<void> {
    return this.#pool.stop();
  }

  /** Stops; failures are events only. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop().catch(() => {});
  }
}

/** One host with all its options, which are checked. */
function describe(
  host: string | HostOptions,
  common: Omit<SshOptions, "host">,
): { options: SshOptions; labels: Readonly<Record<string, string>> } {
  const { labels = {}, ...own } = typeof host === "string" ? { host } : host;
  const options = {
    ...common,
    ...own,
    options: { ...common.options, ...own.options },
  };
  new SshConnection(options); // throws
  return { options, labels };
}
