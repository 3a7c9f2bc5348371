/**
 * Provisioners from a short text, for a command line: `local`, `podman:IMAGE`,
 * `systemd:IMAGE`, `hosts:FILE`, `ssh:HOST,HOST`, `tf:COMPOSE?arch=…`,
 * `k8s:IMAGE?namespace=…`, `libvirt:DOMAIN?key=FILE`, `shared:HOST?image=…`.
 *
 * Needs the permissions of the provisioner that the text names.
 *
 * @example Let the user of a script choose where it runs
 * ```ts
 * import { provisionerFromString } from "jsr:@atex/atex/provisioners/from-string";
 *
 * const where = Deno.args[0] ?? "local";
 * await using pool = await provisionerFromString(where, { maxRemotes: 4 });
 * await pool.start();
 * ```
 *
 * @module
 */
import { checkKind, checkOptions, type Known, nearest } from "../options.ts";
import type { EventOptions } from "./events.ts";
import type { HostsProvisionerOptions } from "./hosts.ts";
import type { KubernetesProvisionerOptions } from "./kubernetes.ts";
import type { LibvirtProvisionerOptions } from "./libvirt.ts";
import type { LocalProvisionerOptions } from "./local.ts";
import type { PodmanProvisionerOptions } from "./podman.ts";
import type { Provisioner } from "./provisioner.ts";
import type { SharedLibvirtProvisionerOptions } from "./shared_libvirt.ts";
import type { SystemdProvisionerOptions } from "./systemd.ts";
import type { TestingFarmProvisionerOptions } from "./testing_farm.ts";
import type { SharedLimit } from "./shared_limit.ts";

/** Options of {@linkcode provisionerFromString}. */
export interface FromStringOptions extends EventOptions {
  /**
   * Most systems lent at one moment.
   *
   * @default that of the provisioner
   */
  maxRemotes?: number | undefined;
  /**
   * Shared by several provisioners, it bounds what they lend together: see
   * {@linkcode SharedLimit}.
   *
   * @default nothing is shared
   */
  limit?: SharedLimit | undefined;
  /**
   * More options for `local`.
   *
   * @default `{}`
   */
  local?: LocalProvisionerOptions | undefined;
  /**
   * More options for `podman:IMAGE`.
   *
   * @default `{}`
   */
  podman?: Omit<PodmanProvisionerOptions, "image"> | undefined;
  /**
   * More options for `systemd:IMAGE`.
   *
   * @default `{}`
   */
  systemd?: Omit<SystemdProvisionerOptions, "image"> | undefined;
  /**
   * More options for `ssh:HOST,HOST` and `hosts:FILE`.
   *
   * @default `{}`
   */
  hosts?: Omit<HostsProvisionerOptions, "hosts"> | undefined;
  /**
   * More options for `tf:COMPOSE`; what the text says wins.
   *
   * @default `{}`
   */
  testingFarm?: Omit<TestingFarmProvisionerOptions, "compose"> | undefined;
  /**
   * More options for `k8s:IMAGE`; what the text says wins.
   *
   * @default `{}`
   */
  kubernetes?: Omit<KubernetesProvisionerOptions, "image"> | undefined;
  /**
   * More options for `libvirt:DOMAIN`; what the text says wins.
   *
   * @default `{}`
   */
  libvirt?: Partial<Omit<LibvirtProvisionerOptions, "origin">> | undefined;
  /**
   * More options for `shared:HOST`; what the text says wins.
   *
   * @default `{}`
   */
  sharedLibvirt?:
    | Partial<Omit<SharedLibvirtProvisionerOptions, "host">>
    | undefined;
}

const OPTIONS: Known<FromStringOptions> = {
  maxRemotes: "optional",
  limit: "what sharedLimit() gives, if given",
  local: "optional",
  podman: "optional",
  systemd: "optional",
  hosts: "optional",
  testingFarm: "optional",
  kubernetes: "optional",
  libvirt: "optional",
  sharedLibvirt: "optional",
  onEvent: "optional",
};

/** What {@linkcode provisionerFromString} understands, for messages and help. */
export const PROVISIONER_FORMS: readonly string[] = [
  "local",
  "podman:IMAGE",
  "systemd:IMAGE",
  "ssh:HOST,HOST",
  "hosts:FILE",
  "tf:COMPOSE?arch=…&timeout=…",
  "k8s:IMAGE?namespace=…",
  "libvirt:DOMAIN?key=FILE",
  "shared:HOST?image=…",
];

/**
 * Makes the provisioner that the text names, not started. Only its module is
 * loaded.
 *
 * - `local`: the system itself
 * - `podman:IMAGE`: containers of the image
 * - `systemd:IMAGE`: containers of the image with a system in them
 * - `hosts:FILE`: the hosts that the file lists
 * - `ssh:HOST,HOST`: hosts, each `USER@HOST:PORT` with user and port optional
 * - `tf:COMPOSE`: systems of Testing Farm, with `?arch=…&timeout=…` behind if
 *   wanted; the timeout is a number with `m` (minutes) or `h` (hours)
 * - `k8s:IMAGE`: pods of Kubernetes, with `?namespace=…` behind if wanted
 * - `libvirt:DOMAIN?key=FILE`: clones of a domain of libvirt, which let the key in,
 *   with `&user=…&uri=…&host=…` behind if wanted (`%26` for `&` in a URI)
 * - `shared:HOST?image=…`: domains of a libvirt host that many scripts share, with
 *   `&key=…&user=…&pool=…&filter=…` behind if wanted
 *
 * @throws {TypeError} if the text is none of these
 */
export async function provisionerFromString(
  text: string,
  options: FromStringOptions = {},
): Promise<Provisioner> {
  checkKind("provisionerFromString()", "text", text, "a string");
  checkOptions("provisionerFromString()", options, OPTIONS);
  const {
    local,
    podman,
    systemd,
    hosts,
    testingFarm,
    kubernetes,
    libvirt,
    sharedLibvirt,
    ...given
  } = options;
  const common = Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== undefined),
  );
  const [, kind, rest] = /^(\w+)(?::(.*))?$/s.exec(text) ?? [];
  if (kind === "local" && rest === undefined) {
    const { LocalProvisioner } = await import("./local.ts");
    return new LocalProvisioner({ ...common, ...local });
  }
  if (kind === "podman" && rest) {
    const { PodmanProvisioner } = await import("./podman.ts");
    return new PodmanProvisioner({ ...common, ...podman, image: rest });
  }
  if (kind === "systemd" && rest) {
    const { SystemdProvisioner } = await import("./systemd.ts");
    return new SystemdProvisioner({ ...common, ...systemd, image: rest });
  }
  if (kind === "hosts" && rest) {
    const { HostsProvisioner } = await import("./hosts.ts");
    return new HostsProvisioner({ ...common, ...hosts, hosts: rest });
  }
  if (kind === "ssh" && rest) {
    const { HostsProvisioner } = await import("./hosts.ts");
    const list = rest.split(",").map((host) => host.trim());
    return new HostsProvisioner({ ...common, ...hosts, hosts: list });
  }
  if (kind === "tf" && rest) {
    const [compose, query] = splitQuery(text, rest, ["arch", "timeout"]);
    const { arch, timeout } = query;
    const { TestingFarmProvisioner } = await import("./testing_farm.ts");
    return new TestingFarmProvisioner({
      ...common,
      ...testingFarm,
      compose,
      ...(arch !== undefined && { arch }),
      ...(timeout !== undefined && { timeout: durationIn(text, timeout) }),
    });
  }
  if (kind === "k8s" && rest) {
    const [image, { namespace }] = splitQuery(text, rest, ["namespace"]);
    const { KubernetesProvisioner } = await import("./kubernetes.ts");
    return new KubernetesProvisioner({
      ...common,
      ...kubernetes,
      image,
      ...(namespace !== undefined && { namespace }),
    });
  }
  if (kind === "libvirt" && rest) {
    const names = ["key", "user", "uri", "host"];
    const [origin, query] = splitQuery(text, rest, names);
    const { key = libvirt?.sshKey, user, uri, host } = query;
    if (key === undefined) {
      throw new TypeError(
        `Cannot make a provisioner of "${text}": "?key=FILE" must name a private key`,
      );
    }
    const { LibvirtProvisioner } = await import("./libvirt.ts");
    return new LibvirtProvisioner({
      ...common,
      ...libvirt,
      origin,
      sshKey: key,
      ...(user !== undefined && { user }),
      ...(uri !== undefined && { uri }),
      ...(host !== undefined && { domainHost: host }),
    });
  }
  if (kind === "shared" && rest) {
    const names = ["image", "key", "user", "pool", "filter"];
    const [host, query] = splitQuery(text, rest, names);
    const { image = sharedLibvirt?.image, key, user, pool, filter } = query;
    if (image === undefined) {
      throw new TypeError(
        `Cannot make a provisioner of "${text}": "?image=…" must name a volume`,
      );
    }
    const { SharedLibvirtProvisioner } = await import("./shared_libvirt.ts");
    return new SharedLibvirtProvisioner({
      ...common,
      ...sharedLibvirt,
      host,
      image,
      ...(key !== undefined && { sshKey: key }),
      ...(user !== undefined && { user }),
      ...(pool !== undefined && { pool }),
      ...(filter !== undefined && { domainFilter: filter }),
    });
  }
  throw new TypeError(
    `Cannot make a provisioner of "${text}": ${whatIsRight(text)}`,
  );
}

/** What has to be behind the colon of a kind. */
const MISSING: Readonly<Record<string, string>> = {
  podman: "the image",
  systemd: "the image",
  ssh: "the host",
  hosts: "the file",
  tf: "the compose",
  k8s: "the image",
  libvirt: "the domain",
  shared: "the host",
};

/** What would be right in place of a text of which nothing can be made. */
function whatIsRight(text: string): string {
  const [, kind, rest = ""] = /^(\w+)(.*)$/s.exec(text) ?? [];
  const formOf = (kind: string) =>
    PROVISIONER_FORMS.find((form) => form.split(":")[0] === kind)!;
  const kinds = ["local", ...Object.keys(MISSING)];
  const meant = kind && (kinds.includes(kind) ? kind : nearest(kind, kinds));
  if (meant) {
    const isMissing = meant === kind && MISSING[kind] !== undefined &&
      /^:?$/.test(rest);
    return `${isMissing ? `${MISSING[kind]} is missing, ` : ""}"${
      formOf(meant)
    }" would be right`;
  }
  const forms = PROVISIONER_FORMS.map((form) => `"${form}"`);
  return `${forms.slice(0, -1).join(", ")} or ${forms.at(-1)} would be right`;
}

/** What comes before a question mark, and the options behind it. */
function splitQuery(
  text: string,
  rest: string,
  allowed: readonly string[],
): [string, Readonly<Record<string, string | undefined>>] {
  const mark = rest.indexOf("?");
  if (mark === -1) return [rest, {}];
  // A "+" is one, as in "qemu+ssh:": it is no form that a browser sends.
  const encoded = rest.slice(mark + 1).replaceAll("+", "%2B");
  const query = [...new URLSearchParams(encoded)];
  const wrong = query.find(([name, value]) =>
    !allowed.includes(name) || value === ""
  );
  if (wrong || query.length === 0) {
    throw new TypeError(
      `Cannot make a provisioner of "${text}": behind the question mark, ${
        allowed.map((name) => `"${name}=…"`).join(" or ")
      } would be right`,
    );
  }
  return [rest.slice(0, mark), Object.fromEntries(query)];
}

/** Milliseconds. */
function durationIn(text: string, duration: string): number {
  const [, count, unit] = /^(\d+)([mh])$/.exec(duration) ?? [];
  if (count === undefined) {
    throw new TypeError(
      `Cannot make a provisioner of "${text}": a timeout like "90m" or "2h" would be right`,
    );
  }
  return Number(count) * (unit === "h" ? 3_600_000 : 60_000);
}
