/**
 * Lends domains (virtual machines) of a libvirt host that many scripts share.
 *
 * The host has a fixed set of domains, which keeps it from being overloaded, and
 * a set of disk images. A program on it, the
 * {@link https://jsr.io/@atex/atex/doc/provisioners/virt-helper | virt helper},
 * reserves a domain for one script at a time; the image is cloned onto the disk of
 * the domain, which is started. Nothing needs to be cleaned up: whoever gets the
 * domain next overwrites it. It is reserved as long as a helper runs at the end of
 * a connection of its own, so a script that is killed, or cut off, has none.
 *
 * What the host needs:
 *
 * - The virt helper (`installVirtHelper()`), Python 3.6 or later, `virsh` of
 *   libvirt 8.5 or later, `cp` of the GNU kind.
 * - ssh with keys, as root (for `qemu:///system`) or as a user who has domains of
 *   his own (`qemu:///session`). Membership in a group is not enough: the helper
 *   needs the files of the storage pool. In `sshd_config`, `ClientAliveInterval 5`
 *   frees the domains of a script whose network is cut after 15 s.
 * - A storage pool of the type `dir`, started at boot. Images are volumes of it. On
 *   XFS or btrfs, clones of sparse raw images cost nearly nothing. No image may
 *   have a backing file.
 * - Persistent domains, each with its disk in this pool:
 *   `<disk type='volume' device='disk'>` with `<source pool='…' volume='…'/>`. It
 *   takes the format of the image, so all images are of the format that the
 *   `<driver>` of the disk names.
 * - In each domain, an interface whose ssh port is forwarded, reachable from where
 *   the script runs:
 *
 *   ```xml
 *   <interface type='user'>
 *     <backend type='passt'/>
 *     <model type='virtio'/>
 *     <ip address='100.80.60.1' family='ipv4' prefix='24'/>
 *     <portForward proto='tcp' address='0.0.0.0'><range start='5001' to='22'/></portForward>
 *   </interface>
 *   ```
 *
 * Needs `ssh`, and the permissions to run programs, to use the network, to read
 * the environment and the directory of temporary files, and to write there
 * (`--allow-run`, `--allow-net`, `--allow-env`, `--allow-read`, `--allow-write`).
 *
 * @example Run something in a virtual machine
 * ```ts no-run
 * import { SharedLibvirtProvisioner } from "jsr:@atex/atex/provisioners/shared-libvirt";
 * import { run } from "jsr:@atex/atex/connections/process";
 *
 * await using pool = await new SharedLibvirtProvisioner({
 *   host: "root@virt.example.org",
 *   image: "fedora-42.raw",
 *   sshKey: "~/.ssh/id_images",
 *   reserveName: "nightly",
 * }).start();
 * pool.provision();
 * await using remote = await pool.getRemote();
 * console.log(await run(remote, ["cat", "/etc/os-release"]));
 * ```
 *
 * @example A host that has no helper: it is run from here
 * ```ts no-run
 * import { SharedLibvirtProvisioner } from "jsr:@atex/atex/provisioners/shared-libvirt";
 * import { VIRT_HELPER } from "jsr:@atex/atex/provisioners/virt-helper";
 *
 * await using pool = new SharedLibvirtProvisioner({
 *   host: "root@virt.example.org",
 *   image: "fedora-42.raw",
 *   helper: ["python3", "-c", VIRT_HELPER],
 * });
 * ```
 *
 * @module
 */
import type { Connection, SignalOptions } from "../connections/connection.ts";
import { checkProgram } from "../connections/program.ts";
import type { SshOptions } from "../connections/ssh.ts";
import { checkMilliseconds, checkOptions, type Known } from "../options.ts";
import { guard } from "./_guard.ts";
import type { PoolOptions } from "./_pool.ts";
import { SharedLibvirtBackend } from "./_shared_libvirt_backend.ts";
import { VirtHost } from "./_virt_host.ts";
import type { EventOptions } from "./events.ts";
import { PooledProvisioner } from "./pooled.ts";
import type { SharedLimit } from "./shared_limit.ts";

/** Which libvirt host, and how its helper is run. */
export interface SharedLibvirtHostOptions {
  /**
   * The host: `user@host:port` or the options of ssh to it. Each system has a
   * connection of its own. Or any connection to it; one that is multiplexed has to
   * allow as many commands at once as there are systems. It is connected if need
   * be, and stays so.
   */
  host: string | SshOptions | Connection;
  /**
   * The virt helper and its arguments: `["atex-virt-helper", "qemu:///system"]`.
   *
   * @default {["atex-virt-helper"]}
   */
  helper?: readonly string[] | undefined;
  /**
   * Milliseconds in which a command on the host has to be answered that does not
   * copy an image.
   *
   * @default {120_000}
   */
  commandTimeout?: number | undefined;
}

/** Options of {@linkcode SharedLibvirtProvisioner}. */
export interface SharedLibvirtProvisionerOptions
  extends SharedLibvirtHostOptions, EventOptions {
  /** The volume of the pool that is cloned for each system. */
  image: string;
  /**
   * The storage pool.
   *
   * @default {"default"}
   */
  pool?: string | undefined;
  /**
   * Which domains may be used: a regular expression, of Python, for all of the
   * name.
   *
   * @default all persistent ones
   */
  domainFilter?: string | undefined;
  /**
   * Name or address of the host at which the ports of the domains are. Needed if
   * `host` is a connection.
   *
   * @default that of the host, as ssh knows it
   */
  domainHost?: string | undefined;
  /**
   * Whom to log in to a system as.
   *
   * @default {"root"}
   */
  user?: string | undefined;
  /**
   * File with the private key that the image lets in.
   *
   * @default the usual ones of ssh, and those of its agent
   */
  sshKey?: string | URL | undefined;
  /**
   * More options of the connection to a system.
   *
   * @default `{}`
   */
  ssh?: Omit<SshOptions, "host" | "identityFile"> | undefined;
  /**
   * Milliseconds between two reservations, and between two attempts to get a domain
   * when others have all of them (then up to a fifth more).
   *
   * @default {3000}
   */
  reserveDelay?: number | undefined;
  /**
   * The name by which other users know who has a domain; 15 bytes of it are shown.
   *
   * @default the name of the process there
   */
  reserveName?: string | undefined;
  /**
   * Most domains at one moment.
   *
   * @default `Infinity`, as many as the host has
   */
  maxRemotes?: number | undefined;
  /**
   * Milliseconds in which a domain that was reserved has to be ready. There is no
   * limit to the time that it takes until one is free.
   *
   * @default `900_000`, a quarter of an hour
   */
  reserveTimeout?: number | undefined;
  /**
   * Whether domains are switched off when they are given back, which saves memory
   * of the host. Otherwise they run until somebody needs them.
   *
   * @default {true}
   */
  destroyOnRelease?: boolean | undefined;
  /**
   * Shared by several provisioners, it bounds what they lend together: see
   * {@linkcode SharedLimit}.
   *
   * @default nothing is shared
   */
  limit?: SharedLimit | undefined;
}

const HOST_OPTIONS: Known<SharedLibvirtHostOptions> = {
  host: "anything",
  helper: "optional",
  commandTimeout: "optional",
};

const OPTIONS: Known<SharedLibvirtProvisionerOptions> = {
  ...HOST_OPTIONS,
  image: "a string",
  pool: "optional",
  domainFilter: "a string, if given",
  domainHost: "a string, if given",
  user: "optional",
  sshKey: "a path or a URL, if given",
  ssh: "an object, if given",
  reserveDelay: "optional",
  reserveName: "optional",
  maxRemotes: "a number, if given",
  reserveTimeout: "optional",
  destroyOnRelease: "true or false, if given",
  limit: "what sharedLimit() gives, if given",
  onEvent: "a function, if given",
};

const LIST_OPTIONS: Known<SharedLibvirtHostOptions & SignalOptions> = {
  ...HOST_OPTIONS,
  signal: "optional",
};

/**
 * Lends domains of a libvirt host, which many scripts may do at once.
 *
 * The attributes of a system are `host`, `domain`, `image` and `address` (that of
 * its ssh port). That others have all domains is told by a `waiting` event. A
 * domain that cannot be used, because no port leads to it or its disk is not in
 * the pool, is told by a `warning` event, and left alone from then on.
 *
 * `start()` rejects with a {@linkcode ProvisionError} if the host cannot be
 * reached, has no helper of the right version or not this image. `getRemote()`
 * rejects with a `fatal` one if no domain fits, or the image is gone.
 */
export class SharedLibvirtProvisioner extends PooledProvisioner {
  /**
   * Stores the options.
   *
   * @throws {TypeError} if there is no image or host, a name cannot be used, `helper` is no list of words, or a time no number
   * @throws {RangeError} if a number is out of range
   */
  constructor(options: SharedLibvirtProvisionerOptions) {
    super(poolOptions(options));
  }
}

/** A domain of a shared host, as {@linkcode listReservations} tells it. */
export interface SharedReservation {
  /** Its name. */
  readonly domain: string;
  /** Whether somebody has it. */
  readonly state: "free" | "reserved";
  /** Who: the `reserveName` or the name of the process there. */
  readonly holder?: string | undefined;
}

/**
 * Tells who has which domain of a shared host, in the order of their names.
 *
 * @example
 * ```ts no-run
 * import { listReservations } from "jsr:@atex/atex/provisioners/shared-libvirt";
 *
 * for (
 *   const { domain, state, holder = "" } of await listReservations({
 *     host: "root@virt.example.org",
 *   })
 * ) console.log(domain, state, holder);
 * ```
 *
 * @throws {TypeError} if there is no host, `helper` is no list of words, or `commandTimeout` no number
 * @throws {RangeError} if `commandTimeout` is not above 0
 * @throws {ConnectError} if the host cannot be reached
 * @throws {ProvisionError} if there is no virt helper on it
 * @throws {VirtHelperError} if the domains cannot be listed
 */
export async function listReservations(
  options: SharedLibvirtHostOptions & SignalOptions,
): Promise<SharedReservation[]> {
  checkOptions("listReservations()", options, LIST_OPTIONS);
  const { host, helper, signal, commandTimeout } = options;
  await using opened = new VirtHost(
    host,
    helperOptions(helper, commandTimeout),
  );
  await opened.connect(signal);
  await using session = await opened.open(signal);
  const domains = await session.reservations({ signal });
  return Object.entries(domains).map(([domain, holder]): SharedReservation =>
    holder === "(free)"
      ? { domain, state: "free" }
      : { domain, state: "reserved", holder }
  ).sort((a, b) => a.domain < b.domain ? -1 : 1);
}

/** What the pool is made of; checks the options. */
function poolOptions(options: SharedLibvirtProvisionerOptions): PoolOptions {
  checkOptions("SharedLibvirtProvisioner", options, OPTIONS);
  const {
    image,
    pool = "default",
    domainFilter,
    domainHost,
    user = "root",
    sshKey,
    ssh,
    reserveDelay = 3000,
    reserveName,
    maxRemotes = Infinity,
    reserveTimeout = 900_000,
    commandTimeout,
    destroyOnRelease = true,
    limit,
    onEvent,
  } = options;
  checkMilliseconds({ reserveTimeout });
  checkMilliseconds({ reserveDelay }, { orZero: true });
  if (reserveDelay === Infinity) {
    throw new RangeError(
      'Cannot use Infinity as "reserveDelay": a time that ends would be right',
    );
  }
  for (const [name, text] of Object.entries({ image, pool, user })) {
    if (typeof text === "string" && text !== "") continue;
    throw new TypeError(`Cannot lend domains: "${name}" must be a name`);
  }
  if (reserveName !== undefined && !/^[^\p{Cc}]+$/u.test(reserveName)) {
    throw new TypeError(
      'Cannot lend domains: "reserveName" must be a name on one line',
    );
  }
  const host = new VirtHost(options.host, {
    ...helperOptions(options.helper, commandTimeout),
    reserveName,
  });
  const name = host.name ?? domainHost;
  if (name === undefined) {
    throw new TypeError(
      'Cannot lend domains: "domainHost" must name the host, which the connection does not tell',
    );
  }
  return {
    name: `shared-libvirt:${name}`,
    maxRemotes,
    reserveTimeout,
    reserveStagger: reserveDelay,
    limit,
    onEvent,
    backend: new SharedLibvirtBackend({
      name,
      host,
      domainHost,
      image,
      pool,
      domainFilter,
      guest: { ...ssh, ...(sshKey !== undefined && { identityFile: sshKey }) },
      user,
      reserveDelay,
      destroyOnRelease,
    }, guard(onEvent)),
  };
}

function helperOptions(
  helper: readonly string[] = ["atex-virt-helper"],
  commandTimeout: number = 120_000,
) {
  checkMilliseconds({ commandTimeout });
  checkProgram("helper", helper);
  return { helper: [...helper], commandTimeout };
}
