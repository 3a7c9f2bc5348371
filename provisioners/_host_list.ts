import { SshConnection, type SshOptions } from "../connections/ssh.ts";
import {
  checkKind,
  checkOptions,
  isOfKind,
  type Known,
  wrongKind,
} from "../options.ts";
import type {
  HostEntry,
  HostOptions,
  HostSelection,
  Listed,
  SshConfigHosts,
} from "./_hosts_types.ts";
import { resolveName } from "./_ssh_names.ts";
import { ProvisionError } from "./provisioner.ts";

/** All options of a selection. */
export const SELECTION_OPTIONS: Known<HostSelection> = {
  hosts: "anything",
  where: "optional",
  ssh: "optional",
};

/** Checked in detail where a connection is made of them. */
const SSH_OPTIONS: Known<Omit<SshOptions, "host">> = {
  identityFile: "optional",
  password: "optional",
  sudo: "optional",
  options: "optional",
  configFile: "optional",
  stateless: "optional",
  maxSessions: "optional",
  ssh: "optional",
  connectTimeout: "optional",
};

const HOST_OPTIONS: Known<HostOptions> = {
  ...SSH_OPTIONS,
  host: "a string",
  user: "optional",
  port: "optional",
  labels: "an object of texts, if given",
  leaseFile: "optional",
};

/** Which hosts there are: given, or in a file that is read when they are needed. */
export interface HostListOptions extends HostSelection {
  /** Whether two names of one host matter before the host can be asked. */
  readonly resolve: boolean;
}

/** The hosts that a provisioner lends, with all their options, which are checked. */
export class HostList {
  readonly #options: HostListOptions;
  /** Unless they are in a file. */
  #entries?: readonly HostEntry[];

  /** @throws {TypeError} if a host cannot be understood, is there twice, or its options cannot be used */
  constructor(options: HostListOptions) {
    this.#options = options;
    const { hosts } = options;
    if (!isList(hosts)) return;
    this.#entries = this.#choose(
      hosts.map((host) => (
        { host: typeof host === "string" ? { host } : host, origin: "" }
      )),
    );
  }

  /** How many there are, once it is known. */
  get size(): number | undefined {
    return this.#entries?.length;
  }

  /**
   * Reads the file, if there is one.
   *
   * @throws {ProvisionError} if there is no host, or the file cannot be read
   * @throws {TypeError} if something in the file is wrong
   */
  async read(signal: AbortSignal): Promise<readonly HostEntry[]> {
    try {
      return await this.#read(signal);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof TypeError || error instanceof ProvisionError) {
        throw error;
      }
      const { message } = error as Error;
      throw new ProvisionError(message, { cause: error, fatal: true });
    }
  }

  async #read(signal: AbortSignal): Promise<readonly HostEntry[]> {
    const { hosts, where, resolve } = this.#options;
    let entries = this.#entries;
    if (!isList(hosts)) {
      const { readInventory } = await import("./_inventory.ts");
      entries = this.#choose(await readInventory(hosts));
    }
    signal.throwIfAborted();
    if (entries!.length === 0) {
      throw new ProvisionError(
        where
          ? 'Cannot lend hosts: the option "where" fits none'
          : "Cannot lend hosts: the list of hosts is empty",
        { fatal: true },
      );
    }
    this.#entries = entries;
    return resolve ? await resolveAll(entries!, signal) : entries!;
  }

  /** The hosts that are wanted. */
  #choose(listed: readonly Listed[]): HostEntry[] {
    const { ssh = {}, where } = this.#options;
    const seen = new Set<string>();
    const entries = listed.map(({ host, origin }) => {
      try {
        const entry = describe(host, ssh);
        const name = entry.options.host;
        if (seen.has(name)) throw twice(name);
        seen.add(name);
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
}

function isList(
  hosts: HostListOptions["hosts"],
): hosts is readonly (string | HostOptions)[] {
  return Array.isArray(hosts);
}

/** Whether hosts are those of an `ssh_config`. */
export function isSshConfig(hosts: unknown): hosts is SshConfigHosts {
  return typeof hosts === "object" && hosts !== null && "sshConfig" in hosts;
}

/**
 * Checks the option `hosts`, but not what is said of each.
 *
 * @throws {TypeError} if it is no list, and no file either
 */
export function checkHosts(of: string, hosts: HostListOptions["hosts"]): void {
  if (typeof hosts === "string" || hosts instanceof URL) return;
  if (isSshConfig(hosts)) return;
  if (!isList(hosts)) {
    const right = "a list of hosts, or a file with one,";
    throw wrongKind(of, "hosts", hosts, right);
  }
  for (const [index, host] of hosts.entries()) {
    if (typeof host === "string") continue;
    const name = `hosts[${index}]`;
    checkKind(of, name, host, "an object");
    checkOptions(`${name} of ${of}`, host, HOST_OPTIONS);
  }
}

/**
 * Checks the option `where`.
 *
 * @throws {TypeError} if it cannot choose
 */
export function checkWhere(of: string, where: HostSelection["where"]): void {
  if (where === undefined || typeof where === "function") return;
  if (isOfKind(where, "an object of texts")) return;
  throw wrongKind(of, "where", where, "an object of texts, or a function,");
}

/**
 * Checks the option `ssh`, but not what its parts are.
 *
 * @throws {TypeError} if it is no object, or has an option that is not for all hosts
 */
export function checkCommon(of: string, ssh: HostSelection["ssh"]): void {
  if (ssh === undefined) return;
  checkKind(of, "ssh", ssh, "an object");
  for (const [name, value] of Object.entries(ssh)) {
    if (value === undefined) continue;
    if (["host", "user", "port", "labels", "leaseFile"].includes(name)) {
      throw new TypeError(
        `Cannot use "${name}" in "ssh" of ${of}: it is an option of each host in "hosts"`,
      );
    }
  }
  checkOptions(`"ssh" of ${of}`, ssh, SSH_OPTIONS);
}

/** @throws {TypeError} if it cannot be the path of a lease file */
export function checkLeaseFile(path: string): void {
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
  listed: HostOptions,
  common: Omit<SshOptions, "host">,
): HostEntry {
  const { host, user, port, labels = {}, leaseFile, ...own } = listed;
  const options = {
    ...common,
    ...own,
    host: placeOf({ host, user, port }),
    options: { ...common.options, ...own.options },
  };
  new SshConnection(options); // throws
  if (leaseFile !== undefined) checkLeaseFile(leaseFile);
  return { options, labels, ...(leaseFile !== undefined && { leaseFile }) };
}

/** The host, with its user and port. */
function placeOf({ host, user, port }: {
  host: string;
  user: string | undefined;
  port: number | undefined;
}): string {
  const fault = (name: string, what: string) =>
    new TypeError(`Cannot use "${name}" of the host "${host}": ${what}`);
  let place = host;
  if (user !== undefined) {
    if (typeof user !== "string" || user === "") {
      throw fault("user", "the name of a user would be right");
    }
    if (host.includes("@")) throw fault("user", 'there is one in "host"');
    place = `${user}@${place}`;
  }
  if (port !== undefined) {
    if (!Number.isInteger(port) || port < 1 || port > 65535) {
      throw fault("port", "a whole number from 1 to 65535 would be right");
    }
    if (/[^:]:\d+$|\]:\d+$/.test(host)) {
      throw fault("port", 'there is one in "host"');
    }
    // An IPv6 address may come without brackets where no port follows.
    place = `${place.replace(/[^@[]*:[^@[]*:[^@[]*$/, "[$&]")}:${port}`;
  }
  return place;
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
