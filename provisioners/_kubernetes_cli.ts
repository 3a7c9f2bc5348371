import {
  type Cluster,
  kubernetesFlags,
} from "../connections/kubernetes_flags.ts";
import { Program, type ProgramRunOptions } from "./_program.ts";
import { ProvisionError } from "./provisioner.ts";

/** Which cluster, and the program with which it is reached. */
export interface ClusterOptions extends Cluster {
  readonly kubectl?: readonly string[] | undefined;
}

/** `kubectl` for a cluster and namespace, with milliseconds that a command may take. */
export function kubectlFor(
  { kubectl = ["kubectl"], ...cluster }: ClusterOptions,
  timeout: number,
): Kubectl {
  return new Kubectl([...kubectl, ...kubernetesFlags(cluster)], timeout);
}

/** The `kubectl` program, for one cluster and namespace. */
export class Kubectl extends Program {
  protected override complaints(lines: readonly string[]): readonly string[] {
    // Its libraries log, too.
    return lines.filter((line) => !/^[EIWF]\d{4} /.test(line))
      .map((line) => line.replace(/^error: /i, ""));
  }

  /**
   * Runs it and gives what it printed.
   *
   * @throws {ProvisionError} if it fails; `fatal` if the cluster knows us not
   */
  async run(
    what: string,
    args: readonly string[],
    options?: ProgramRunOptions,
  ): Promise<string> {
    const { code, stdout, said } = await this.output(args, options);
    if (code === 0) return stdout;
    throw new ProvisionError(`${what}: ${said || `exit code ${code}`}`, {
      fatal: isUnauthorized(said),
    });
  }
}

/** True if the cluster does not know who we are. */
export function isUnauthorized(said: string): boolean {
  return /\(Unauthorized\)|must be logged in to the server/.test(said);
}

/** True if the cluster did not take a request: nothing came of it. */
export function isRefused(said: string): boolean {
  return /\((Forbidden|Unauthorized|NotFound|BadRequest|MethodNotAllowed)\)|is invalid:/
    .test(said);
}

/** True if there is no such object. */
export function isNotFound(said: string): boolean {
  return /\(NotFound\)/.test(said);
}

/** True if we may not do that, or not so often. */
export function isForbidden(said: string): boolean {
  return /\(Forbidden\)/.test(said);
}
