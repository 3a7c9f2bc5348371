import { outputLocal } from "../connections/process.ts";
import { shorten } from "../options.ts";
import { after } from "../connections/time_limit.ts";
import { ProvisionError } from "./provisioner.ts";

/** Characters of what a program complained about. */
const LONGEST_SAID = 500;

/** How a command of a program ended. */
export interface ProgramResult {
  readonly code: number;
  readonly stdout: string;
  /** What it complained about, on one line. */
  readonly said: string;
}

/** True if a program could not be run because it is not there. */
export function isMissing(error: unknown): boolean {
  return error instanceof ProvisionError &&
    error.cause instanceof Deno.errors.NotFound;
}

export interface ProgramRunOptions {
  signal?: AbortSignal;
  /** What it reads. */
  stdin?: string;
  /** Milliseconds after which it is ended. */
  timeout?: number;
  /** Milliseconds that it has to end by itself after an abort. */
  patience?: number;
}

/** A program of this machine that makes and removes systems elsewhere: `podman`, `kubectl`, `virsh`. */
export abstract class Program {
  constructor(
    /** The program, and arguments that come before all others. */
    readonly argv: readonly string[],
    /** Milliseconds that a command may take, unless it says otherwise. */
    readonly timeout: number,
  ) {}

  /** Variables that it gets beside ours. */
  protected readonly env: Readonly<Record<string, string>> = {};

  /** Those lines of what it printed to stderr that tell what is wrong. */
  protected abstract complaints(lines: readonly string[]): readonly string[];

  /**
   * Runs it to its end, whatever its exit code.
   *
   * @throws {ProvisionError} if it cannot be run (`fatal`) or does not end in time
   */
  async output(
    args: readonly string[],
    options: ProgramRunOptions = {},
  ): Promise<ProgramResult> {
    const { signal, stdin, timeout = this.timeout, patience = 0 } = options;
    signal?.throwIfAborted();
    using stop = new Stop();
    stop.after(timeout, () => this.#lateError(args, timeout));
    const abort = () => stop.after(patience, () => signal!.reason);
    signal?.addEventListener("abort", abort);
    try {
      const { code, stdout, stderr } = await outputLocal(
        { argv: [...this.argv, ...args], env: this.env },
        { signal: stop.signal, ...(stdin !== undefined && { stdin }) },
      );
      const decoder = new TextDecoder();
      const lines = decoder.decode(stderr).split("\n")
        .map((line) => line.trim()).filter((line) => line !== "");
      return {
        code,
        stdout: decoder.decode(stdout),
        said: shorten(
          this.complaints(lines).slice(-3).join("; "),
          LONGEST_SAID,
        ),
      };
    } catch (error) {
      if (stop.signal.aborted) throw stop.signal.reason;
      throw new ProvisionError((error as Error).message, {
        cause: error,
        fatal: error instanceof Deno.errors.NotFound ||
          error instanceof Deno.errors.PermissionDenied ||
          error instanceof Deno.errors.NotCapable,
      });
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  #lateError([command]: readonly string[], timeout: number): ProvisionError {
    return new ProvisionError(
      `Cannot run "${this.argv[0]} ${command}": it did not end within ${
        timeout / 1000
      } s`,
    );
  }
}

/** An abort in some time, unless it is disposed of before. */
class Stop implements Disposable {
  readonly #abort = new AbortController();
  readonly #timers: ReturnType<typeof after>[] = [];

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  after(ms: number, reason: () => unknown): void {
    this.#timers.push(after(ms, () => this.#abort.abort(reason())));
  }

  [Symbol.dispose](): void {
    for (const timer of this.#timers) clearTimeout(timer);
  }
}
