/**
 * Provisioners from a short text, for a command line: `local`, `podman:IMAGE`,
 * `ssh:HOST,HOST`.
 *
 * @example Let the user of a script choose where it runs
 * ```ts no-run
 * import { provisionerFromString } from "jsr:@atex/atex/provisioners/from-string";
 *
 * const where = Deno.args[0] ?? "local";
 * await using pool = await provisionerFromString(where, { maxRemotes: 4 });
 * await pool.start();
 * ```
 *
 * @module
 */
import type { Semaphore } from "@std/async/unstable-semaphore";
import type { EventOptions } from "./events.ts";
import type { HostsProvisionerOptions } from "./hosts.ts";
import type { LocalProvisionerOptions } from "./local.ts";
import type { PodmanProvisionerOptions } from "./podman.ts";
import type { Provisioner } from "./provisioner.ts";

/** Options of {@linkcode provisionerFromString}. */
export interface FromStringOptions extends EventOptions {
  /**
   * Most systems lent at one moment.
   *
   * @default that of the provisioner
   */
  maxRemotes?: number;
  /**
   * Shared by several provisioners, it bounds what they lend together.
   *
   * @default nothing is shared
   */
  limit?: Semaphore;
  /**
   * More options for `local`.
   *
   * @default {{}}
   */
  local?: LocalProvisionerOptions;
  /**
   * More options for `podman:IMAGE`.
   *
   * @default {{}}
   */
  podman?: Omit<PodmanProvisionerOptions, "image">;
  /**
   * More options for `ssh:HOST,HOST`.
   *
   * @default {{}}
   */
  hosts?: Omit<HostsProvisionerOptions, "hosts">;
}

/**
 * Makes the provisioner that the text names, not started. Only its module is
 * loaded.
 *
 * - `local`: the system itself
 * - `podman:IMAGE`: containers of the image
 * - `ssh:HOST,HOST`: hosts, each `USER@HOST:PORT` with user and port optional
 *
 * @throws {TypeError} if the text is none of these
 */
export async function provisionerFromString(
  text: string,
  options: FromStringOptions = {},
): Promise<Provisioner> {
  const { local, podman, hosts, ...given } = options;
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
  if (kind === "ssh" && rest) {
    const { HostsProvisioner } = await import("./hosts.ts");
    const list = rest.split(",").map((host) => host.trim());
    return new HostsProvisioner({ ...common, ...hosts, hosts: list });
  }
  throw new TypeError(
    `Cannot make a provisioner of "${text}": "local", "podman:IMAGE" or "ssh:HOST,HOST" would be right`,
  );
}
