import { outputLocal } from "../connections/process.ts";
import { ProvisionError } from "./provisioner.ts";

/** How `kubectl` ended. */
export interface KubectlResult {
  readonly code: number;
  readonly stdout: string;
  /** What it complained about, on one line. */
  readonly said: string;
}

export interface KubectlRunOptions {
  signal?: AbortSignal;
  /** What it reads. */
  stdin?: string;
  /** Milliseconds that it has to end by itself after an abort. */
  patience?: number;
}

/** The `kubectl` program, for one cluster and namespace. */
export class Kubectl {
  constructor(
    /** Program and arguments that come before all others. */
    readonly argv: readonly string[],
    /** Milliseconds that a command may take. */
    readonly timeout: number,
  ) {}

  /**
   * Runs it to its end, whatever its exit code.
   *
   * @throws {ProvisionError} if it cannot be run (`fatal`) or does not end in time
   */
  async output(
    args: readonly string[],
    { signal, stdin, patience = 0 }: KubectlRunOptions = {},
  ): Promise<KubectlResult> {
    signal?.throwIfAborted();
    const stop = new AbortController();
    const late = new ProvisionError(
      `Cannot run "kubectl ${args[0]}": it did not end within ${
        this.timeout / 1000
      } s`,
    );
    const timers = [setTimeout(() => stop.abort(late), this.timeout)];
    const abort = () =>
      timers.push(setTimeout(() => stop.abort(signal!.reason), patience));
    signal?.addEventListener("abort", abort, { once: true });
    try {
      const { code, stdout, stderr } = await outputLocal(
        { argv: [...this.argv, ...args] },
        { signal: stop.signal, ...(stdin !== undefined && { stdin }) },
      );
      const decoder = new TextDecoder();
      return {
        code,
        stdout: decoder.decode(stdout),
        said: shorten(decoder.decode(stderr)),
      };
    } catch (error) {
      if (stop.signal.aborted) throw stop.signal.reason;
      throw new ProvisionError((error as Error).message, {
        cause: error,
        fatal: error instanceof Deno.errors.NotFound ||
          error instanceof Deno.errors.PermissionDenied,
      });
    } finally {
      signal?.removeEventListener("abort", abort);
      for (const timer of timers) clearTimeout(timer);
    }
  }

  /**
   * Runs it and gives what it printed.
   *
   * @throws {ProvisionError} if it fails; `fatal` if the cluster knows us not
   */
  async run(
    what: string,
    args: readonly string[],
    options?: KubectlRunOptions,
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

/** True if we may not do that, or not so often. */
export function isForbidden(said: string): boolean {
  return /\(Forbidden\)/.test(said);
}

/** The lines that tell what is wrong. */
function shorten(stderr: string): string {
  const lines = stderr.split("\n").map((line) =>
    line.trim().replace(/^error: /i, "")
  ).filter((line) => line !== "" && !/^[EIWF]\d{4} /.test(line));
  const text = lines.slice(-3).join("; ");
  return text.length > 500 ? `${text.slice(0, 499)}…` : text;
}
