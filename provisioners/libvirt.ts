/**
 * Lends virtual machines of libvirt: each a clone of one domain that is shut off,
 * made for one use and gone afterwards. The disk of that domain is never written
 * to; what clones write is in overlays that vanish with them.
 *
 * However the script ends, a watchdog process notices its end and removes its
 * domains; the next start of this provisioner by the same user removes what a
 * watchdog could not.
 *
 * Needs `virsh` on this machine and libvirt, QEMU and `passt` on the host of the
 * domains (libvirt 9 or later, with support for passt), a POSIX `sh`, `ssh`, and
 * the permissions to run programs, to use the network, to read and write files and
 * to read the environment, the host name and the user id
 * (`--allow-run=virsh,ssh,sh,/bin/sh`, `--allow-net`, `--allow-read`, `--allow-write`,
 * `--allow-env`, `--allow-sys=uid,hostname`).
 *
 * @example Two clones of a domain of this machine
 * ```ts no-run
 * import { LibvirtProvisioner } from "jsr:@atex/atex/provisioners/libvirt";
 * import { run } from "jsr:@atex/atex/connections/process";
 *
 * await using pool = await new LibvirtProvisioner({
 *   origin: "fedora-42",
 *   sshKey: "~/.ssh/id_ed25519",
 *   maxRemotes: 2,
 * }).start();
 * pool.provision(2);
 * await using one = await pool.getRemote();
 * await using other = await pool.getRemote();
 * console.log(await run(one, ["uname", "-r"]), other.attributes.domain);
 * ```
 *
 * @example Domains of another host
 * ```ts no-run
 * import { LibvirtProvisioner } from "jsr:@atex/atex/provisioners/libvirt";
 *
 * await using pool = await new LibvirtProvisioner({
 *   origin: "fedora-42",
 *   sshKey: "lab_key",
 *   uri: "qemu+ssh://virt@big.example.com/session",
 *   domainHost: "big.example.com",
 * }).start();
 * ```
 *
 * @module
 */
import { checkProgram } from "../connections/program.ts";
import { checkMilliseconds, checkOptions, type Known } from "../options.ts";
import { guard } from "./_guard.ts";
import { isLocal, LibvirtBackend } from "./_libvirt_backend.ts";
import type { EventOptions } from "./events.ts";
import { PooledProvisioner } from "./pooled.ts";
import type { SharedLimit } from "./shared_limit.ts";

/** Options of {@linkcode LibvirtProvisioner}. */
export interface LibvirtProvisionerOptions extends EventOptions {
  /** Name of a domain that is defined and shut off. */
  origin: string;
  /** File with the private key that the system of the domain lets in; `~` at the beginning is the home directory. */
  sshKey: string | URL;
  /**
   * Whom to log in as.
   *
   * @default {"root"}
   */
  user?: string | undefined;
  /**
   * The libvirt to use, as `virsh` has it. Passwords do not belong in here: other
   * users can see it.
   *
   * @default that which `virsh` takes by itself
   */
  uri?: string | undefined;
  /**
   * Address of the host of the domains, for connections to them; needed unless it is
   * this machine. With it, ports of domains can be reached from outside the host.
   *
   * @default {"127.0.0.1"}
   */
  domainHost?: string | undefined;
  /**
   * The first port of the host that leads to the sshd of a domain. It counts up from
   * there.
   *
   * @default {5100}
   */
  portFrom?: number | undefined;
  /**
   * Most domains at one moment; a matter of the host's memory.
   *
   * @default {3}
   */
  maxRemotes?: number | undefined;
  /**
   * The `virsh` program, and arguments that come before all others.
   *
   * @default {["virsh"]}
   */
  virsh?: readonly string[] | undefined;
  /**
   * Milliseconds in which a domain has to be up.
   *
   * @default `900_000`, a quarter of an hour
   */
  reserveTimeout?: number | undefined;
  /**
   * Milliseconds in which a call of `virsh` has to end.
   *
   * @default {120_000}
   */
  commandTimeout?: number | undefined;
  /**
   * Shared by several provisioners, it bounds what they lend together: see
   * {@linkcode SharedLimit}.
   *
   * @default nothing is shared
   */
  limit?: SharedLimit | undefined;
}

const OPTIONS: Known<LibvirtProvisionerOptions> = {
  origin: "a string",
  sshKey: "a path or a URL",
  user: "optional",
  uri: "a string, if given",
  domainHost: "a string, if given",
  portFrom: "optional",
  maxRemotes: "a number, if given",
  virsh: "optional",
  reserveTimeout: "optional",
  commandTimeout: "optional",
  limit: "what sharedLimit() gives, if given",
  onEvent: "a function, if given",
};

/**
 * Lends clones of a domain of libvirt.
 *
 * `start()` reads the domain, which has to be shut off and to stay so (a reservation
 * that finds it running fails), and removes what scripts left behind that did not
 * get to it, for which it waits at most 5 s. It rejects with
 * a `fatal` {@linkcode ProvisionError} if the domain cannot be cloned: because of a
 * device of the host, a disk that is neither a file nor a volume of a directory, or
 * a directory of the host that it can write to. Clones have one network interface,
 * from which sshd is reached, and no TPM.
 */
export class LibvirtProvisioner extends PooledProvisioner {
  /**
   * Stores the options.
   *
   * @throws {TypeError} if a text cannot be used, `origin`, `sshKey` or `domainHost` is missing, `virsh` is no list of words, or a time no number
   * @throws {RangeError} if a number is out of range
   */
  constructor(options: LibvirtProvisionerOptions) {
    checkOptions("LibvirtProvisioner", options, OPTIONS);
    const {
      origin,
      sshKey,
      user = "root",
      uri,
      domainHost,
      portFrom = 5100,
      maxRemotes = 3,
      virsh = ["virsh"],
      reserveTimeout = 900_000,
      commandTimeout = 120_000,
      limit,
      onEvent,
    } = options;
    for (const [name, text] of Object.entries({ origin, user })) {
      const isName = name === "origin" ? /^[^-\s]/ : /^[^-\s@]\S*$/;
      if (typeof text === "string" && isName.test(text)) continue;
      throw new TypeError(
        `Cannot lend clones of the domain "${origin}": "${name}" must be a name`,
      );
    }
    if (!sshKey) {
      throw new TypeError(
        `Cannot lend clones of the domain "${origin}": "sshKey" must name the file of a private key`,
      );
    }
    if (uri !== undefined && !isLocal(uri) && domainHost === undefined) {
      throw new TypeError(
        `Cannot reach domains of "${uri}": "domainHost" must tell their address`,
      );
    }
    if (!(Number.isInteger(portFrom) && portFrom > 0 && portFrom < 65_536)) {
      throw new RangeError(
        `Cannot use ${portFrom} as "portFrom": it must be a port`,
      );
    }
    checkProgram("virsh", virsh);
    checkMilliseconds({ reserveTimeout, commandTimeout });
    super({
      name: `libvirt:${origin}`,
      maxRemotes,
      reserveTimeout,
      stopConcurrency: 6,
      limit,
      onEvent,
      backend: new LibvirtBackend({
        origin,
        user,
        sshKey,
        uri,
        domainHost,
        portFrom,
        virsh: [...virsh],
        commandTimeout,
      }, guard(onEvent)),
    });
  }
}
