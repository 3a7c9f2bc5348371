import { Program, type ProgramRunOptions } from "./_program.ts";
import { ProvisionError } from "./provisioner.ts";

/** What virsh says of a domain that is not there, or not any more. */
const UNKNOWN_DOMAIN =
  /failed to get domain|Domain not found|no domain with matching/i;
/** What it says of a domain that does not have such metadata. */
const NO_METADATA = /metadata not found/i;
/** What it says of one that is switched off. */
const NOT_RUNNING = /domain is not running/i;

/** What it says if there is no libvirt that answers. */
const NO_CONNECTION = /failed to connect to the hypervisor/i;

/** True if virsh could not reach libvirt at all. */
export function isUnreachable(said: string): boolean {
  return NO_CONNECTION.test(said);
}

/** The `virsh` program, at one libvirt. */
export class Virsh extends Program {
  /** What it says is looked at in English. */
  protected override readonly env = { LC_ALL: "C" };

  /** @param virsh the program, with arguments that come before all others */
  constructor(
    virsh: readonly string[],
    readonly uri: string | undefined,
    timeout: number,
  ) {
    super(
      [...virsh, "-q", ...(uri === undefined ? [] : ["-c", uri])],
      timeout,
    );
  }

  protected complaints(lines: readonly string[]): readonly string[] {
    return lines.map((line) => line.replace(/^error: /, ""));
  }

  /**
   * What a command printed.
   *
   * @throws {ProvisionError} with `what` and the complaint, if it fails
   */
  async text(
    what: string,
    args: readonly string[],
    options: ProgramRunOptions & { fatal?: boolean } = {},
  ): Promise<string> {
    const { fatal = false, ...run } = options;
    const { code, stdout, said } = await this.output(args, run);
    if (code === 0) return stdout.trim();
    const why = said || `exit code ${code}`;
    throw new ProvisionError(`${what}: ${why}`, { fatal });
  }

  /**
   * Names of domains that begin with the prefix.
   *
   * @throws {ProvisionError} if they cannot be listed
   */
  async domains(
    prefix: string,
    options?: ProgramRunOptions,
  ): Promise<string[]> {
    const names = await this.text(
      "Cannot list domains",
      ["list", "--all", "--name"],
      options,
    );
    return names.split("\n").map((name) => name.trim())
      .filter((name) => name !== "" && name.startsWith(prefix));
  }

  /**
   * The metadata of a domain that are of that namespace; `undefined` if it has none,
   * or is gone.
   *
   * @throws {ProvisionError} if they cannot be read
   */
  async metadata(
    name: string,
    namespace: string,
    options?: ProgramRunOptions,
  ): Promise<string | undefined> {
    const { code, stdout, said } = await this.output(
      ["metadata", name, namespace],
      options,
    );
    if (code === 0) return stdout;
    if (UNKNOWN_DOMAIN.test(said) || NO_METADATA.test(said)) return undefined;
    throw new ProvisionError(
      `Cannot find out whose the domain "${name}" is: ${said}`,
    );
  }

  /**
   * Ends a transient domain, which removes it. That it is gone already is no failure.
   *
   * @throws {ProvisionError} if it cannot be ended
   */
  async destroy(name: string, options?: ProgramRunOptions): Promise<void> {
    const { code, said } = await this.output(["destroy", name], options);
    if (code === 0 || UNKNOWN_DOMAIN.test(said) || NOT_RUNNING.test(said)) {
      return;
    }
    throw new ProvisionError(
      `Cannot remove the domain "${name}": ${said || `exit code ${code}`}`,
    );
  }
}
