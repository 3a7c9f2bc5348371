import { Semaphore } from "@std/async/unstable-semaphore";
import { formatOwner } from "../connections/ownership.ts";
import type { SshConnection } from "../connections/ssh.ts";
import {
  type Backend,
  type Reserving,
  type Starting,
  StillAliveError,
  type System,
} from "./_backend.ts";
import { domainEvents } from "./_domain_events.ts";
import { findDomains } from "./_domain_reaper.ts";
import {
  makeClone,
  makeTemplate,
  pathOfVolume,
  type VolumeName,
  volumesOf,
} from "./_domain_xml.ts";
import { acquire } from "./_permit.ts";
import { isTaken, Ports } from "./_ports.ts";
import type { ProgramResult } from "./_program.ts";
import { nextNumber } from "./_run.ts";
import { Session } from "./_session.ts";
import { settle } from "./_settle.ts";
import { openAfterBoot, waitForSshd } from "./sshd.ts";
import { keyFile } from "./_ssh_key.ts";
import { isUnreachable, Virsh } from "./_virsh.ts";
import { DOMAIN_WATCHDOG_SCRIPT } from "./_watchdog.ts";
import type { ProvisionerEvent } from "./events.ts";
import { ProvisionError } from "./provisioner.ts";

/** Milliseconds that an aborted `virsh create` has to end by itself: libvirt goes on without it. */
const CREATE_PATIENCE = 10_000;
/** Milliseconds within which a domain may appear that a script was making when it died. */
const LATE = 10_000;
/** Ports that are tried for one clone. */
const PORT_ATTEMPTS = 20;
/** Domains that are removed at the same time. */
const REMOVING = 6;
/** Where libvirt is of this machine: clones listen at 127.0.0.1, and ports can be tried. */
const LOCAL_URIS = ["qemu:///system", "qemu:///session"];

/** Failures to make a domain that every other one would meet, too. */
const HOPELESS =
  /XML error|unsupported configuration|Invalid value|Cannot find|not found in path|no emulator|permission denied/i;
/** Failures that another port may avoid. */
const PORT_TROUBLE = /\bports?\b|passt|address already in use/i;

export interface LibvirtBackendOptions {
  origin: string;
  user: string;
  sshKey: string | URL;
  uri: string | undefined;
  domainHost: string | undefined;
  portFrom: number;
  virsh: readonly string[];
  commandTimeout: number;
}

/** What was found out at the start. */
interface Ground {
  readonly virsh: Virsh;
  /** The origin's XML, as clones have it. */
  readonly template: string;
  readonly key: string;
  readonly isLocal: boolean;
  readonly session: Session;
}

/** Transient domains, each a clone of the origin for as long as it is lent. */
export class LibvirtBackend implements Backend {
  readonly #options: LibvirtBackendOptions;
  readonly #ports: Ports;
  /** Ports of domains that there are, or may be. */
  readonly #portOf = new Map<string, number>();
  readonly #removing = new Semaphore(REMOVING);
  readonly #emit: (event: ProvisionerEvent) => void;
  #ground?: Ground;

  constructor(
    options: LibvirtBackendOptions,
    emit: (event: ProvisionerEvent) => void,
  ) {
    this.#options = options;
    this.#ports = new Ports(options.portFrom);
    this.#emit = emit;
  }

  async start({ signal }: Starting): Promise<void> {
    const { virsh: program, sshKey, commandTimeout } = this.#options;
    const key = await keyFile(sshKey);
    const { uri, isLocal } = await this.#place(signal);
    const virsh = new Virsh(program, uri, commandTimeout);
    const template = await this.#readOrigin(virsh, signal);
    const session = await Session.open({
      kind: "libvirt",
      runKind: `libvirt ${virsh.uri}`,
      find: (run, signal) => findDomains(virsh, run, signal),
      late: LATE,
      watchdog: { script: DOMAIN_WATCHDOG_SCRIPT, argv: virsh.argv },
      events: (prefix) => domainEvents(virsh, prefix),
      emit: this.#emit,
    }, signal);
    this.#ground = { virsh, template, key, isLocal, session };
  }

  /** The libvirt to use, and whether it is that of this machine. */
  async #place(
    signal: AbortSignal,
  ): Promise<{ uri: string | undefined; isLocal: boolean }> {
    const { uri, domainHost, virsh: program, commandTimeout } = this.#options;
    if (uri !== undefined) return { uri, isLocal: isLocal(uri) };
    const virsh = new Virsh(program, undefined, commandTimeout);
    const chosen = await virsh.text(
      "Cannot connect to libvirt",
      ["uri"],
      { signal, fatal: true },
    );
    if (!isLocal(chosen) && domainHost === undefined) {
      throw new ProvisionError(
        `Cannot reach domains of "${chosen}", which virsh takes by itself: "domainHost" must tell their address`,
        { fatal: true },
      );
    }
    return { uri: chosen, isLocal: isLocal(chosen) };
  }

  /** The template for clones. */
  async #readOrigin(virsh: Virsh, signal: AbortSignal): Promise<string> {
    const { origin } = this.#options;
    const attempted = `Cannot clone the domain "${origin}"`;
    const ask = (...args: string[]) =>
      virsh.text(attempted, args, { signal, fatal: true });
    await this.#checkOrigin(virsh, { signal, fatal: true });
    const xml = await ask("dumpxml", origin, "--inactive");
    const nameOf = ({ pool, volume }: VolumeName) => `${pool}\0${volume}`;
    const paths = new Map<string, string>();
    try {
      for (const name of volumesOf(xml)) {
        const { pool, volume } = name;
        paths.set(
          nameOf(name),
          pathOfVolume(
            await ask("pool-dumpxml", pool),
            await ask("vol-dumpxml", volume, pool),
          ),
        );
      }
      return makeTemplate(xml, (name) => paths.get(nameOf(name))!);
    } catch (error) {
      if (error instanceof ProvisionError || signal.aborted) throw error;
      throw new ProvisionError(`${attempted}: ${(error as Error).message}`, {
        cause: error,
        fatal: true,
      });
    }
  }

  /**
   * Clones read its disk for as long as they live.
   *
   * @throws {ProvisionError} if the disk may change
   */
  async #checkOrigin(
    virsh: Virsh,
    options: { signal: AbortSignal; fatal: boolean },
  ): Promise<void> {
    const { origin } = this.#options;
    const attempted = `Cannot clone the domain "${origin}"`;
    const state = await virsh.text(attempted, ["domstate", origin], options);
    if (state === "shut off") return;
    throw new ProvisionError(
      `${attempted}: it is "${state}", it has to be shut off so that its disk does not change`,
      { fatal: options.fatal },
    );
  }

  async reserve({ signal, identify }: Reserving): Promise<System> {
    const ground = this.#ground!;
    const { session, virsh } = ground;
    const { origin, domainHost: host = "127.0.0.1" } = this.#options;
    const number = nextNumber();
    const id = `libvirt:${number}`;
    const name = session.prefix + number;
    identify(id);
    // Somebody may have switched it on since the start.
    await this.#checkOrigin(virsh, { signal, fatal: false });
    await using undo = new AsyncDisposableStack();
    undo.defer(() => session.events.unwatch(name));
    undo.defer(() => session.undo(() => this.#remove(name, virsh)));
    session.events.prepare(name);
    const port = await this.#create(name, ground, signal);
    signal.throwIfAborted();
    const lost = session.events.watch(name);
    const connection = await this.#connect(port, ground, lost, signal);
    undo.move();
    return {
      id,
      attributes: { origin, domain: name, host, port: String(port) },
      reusable: false,
      connection,
      lost,
      expectLoss: () => session.events.expect(name),
    };
  }

  /** Makes the domain, and gives its port; when this rejects there may be one all the same. */
  async #create(
    name: string,
    { virsh, template, isLocal, session }: Ground,
    signal: AbortSignal,
  ): Promise<number> {
    const { domainHost } = this.#options;
    const address = domainHost === undefined ? "127.0.0.1" : "0.0.0.0";
    for (let attempt = 1;; attempt++) {
      const port = this.#takePort(address, isLocal);
      this.#portOf.set(name, port);
      const xml = makeClone(template, {
        name,
        uuid: crypto.randomUUID(),
        port,
        address,
        record: {
          id: session.run.id,
          owner: formatOwner(session.run.owner),
          since: new Date().toISOString(),
        },
      });
      let result: ProgramResult;
      try {
        result = await virsh.output(["create", "/dev/stdin"], {
          stdin: xml,
          signal,
          patience: CREATE_PATIENCE,
        });
      } catch (error) {
        session.uncertain = true;
        throw error;
      }
      const { code, said } = result;
      if (code === 0) return port;
      this.#giveBackPort(name);
      const cut = isUnreachable(said);
      const fatal = !cut && HOPELESS.test(said);
      const next = !cut && !fatal && PORT_TROUBLE.test(said);
      if (next && attempt < PORT_ATTEMPTS) continue;
      throw new ProvisionError(
        `Cannot clone the domain "${this.#options.origin}": ${
          said || `exit code ${code}`
        }`,
        { fatal },
      );
    }
  }

  /** One that nobody on this machine listens at, as far as that can be tried here. */
  #takePort(address: string, isLocal: boolean): number {
    for (let attempt = 1;; attempt++) {
      const port = this.#ports.take();
      if (!isLocal || !isTaken(address, port)) return port;
      this.#ports.giveBack(port);
      if (attempt === PORT_ATTEMPTS) {
        throw new ProvisionError(
          `Cannot find a port for a clone of "${this.#options.origin}": the last ${attempt} up to ${port} are in use`,
        );
      }
    }
  }

  /** No domain of that name needs it any more. */
  #giveBackPort(name: string): void {
    const port = this.#portOf.get(name);
    if (port !== undefined) this.#ports.giveBack(port);
    this.#portOf.delete(name);
  }

  /** Waits until the system has booted, or ended. */
  async #connect(
    port: number,
    { key, isLocal }: Ground,
    lost: Promise<Error>,
    signal: AbortSignal,
  ): Promise<SshConnection> {
    const { user, domainHost: hostname = "127.0.0.1" } = this.#options;
    const ended = new AbortController();
    const either = AbortSignal.any([signal, ended.signal]);
    lost.then((error) =>
      ended.abort(
        new ProvisionError(`Cannot connect to a clone: ${error.message}`, {
          cause: error,
        }),
      )
    );
    await waitForSshd({ hostname, port, signal: either });
    const host = hostname.includes(":") ? `[${hostname}]` : hostname;
    return await openAfterBoot({
      host: `${user}@${host}:${port}`,
      identityFile: key,
      configFile: "none",
      options: { IdentitiesOnly: true, Compression: !isLocal },
      signal: either,
    });
  }

  async dispose({ attributes: { domain } }: System): Promise<void> {
    const { session, virsh } = this.#ground!;
    session.events.unwatch(domain);
    await this.#remove(domain, virsh);
  }

  /** No error if it is gone, however. */
  async #remove(name: string, virsh: Virsh): Promise<void> {
    using _permit = await acquire(this.#removing);
    let failure: unknown;
    for (let attempt = 1; attempt <= 2; attempt++) {
      try {
        await virsh.destroy(name);
        return this.#giveBackPort(name);
      } catch (error) {
        failure = error;
      }
    }
    const { message } = failure as Error;
    const names = await virsh.domains(name).catch(() => undefined);
    if (names === undefined) throw new ProvisionError(message);
    if (names.includes(name)) throw new StillAliveError(message);
    this.#giveBackPort(name);
  }

  async stop(): Promise<void> {
    const { session, virsh } = this.#ground!;
    this.#ground = undefined;
    await session.close(() => this.#removeAll(session.prefix, virsh));
  }

  async #removeAll(prefix: string, virsh: Virsh): Promise<void> {
    const left = await virsh.domains(prefix);
    await settle(left.map((name) => this.#remove(name, virsh)));
  }
}

/** Whether domains of that libvirt run on this machine. */
export function isLocal(uri: string): boolean {
  return LOCAL_URIS.includes(uri);
}
