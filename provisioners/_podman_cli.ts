import { delay } from "@std/async/delay";
import { outputLocal } from "../connections/process.ts";
import { ProvisionError } from "./provisioner.ts";

const LIST_ATTEMPTS = 8;
const LIST_PAUSE = 200;

/** How a podman command ended. */
export interface PodmanResult {
  readonly code: number;
  readonly stdout: string;
  /** What podman complained about, on one line. */
  readonly said: string;
}

export interface PodmanRunOptions {
  signal?: AbortSignal;
  /** Milliseconds after which the command is ended. */
  timeout?: number;
  /** Milliseconds that the command has to end by itself after an abort. */
  patience?: number;
}

/** The podman program. */
export class PodmanCli {
  constructor(
    readonly program: string,
    /** Milliseconds that a command may take, unless it says otherwise. */
    readonly timeout: number,
  ) {}

  /**
   * Runs podman to its end, whatever its exit code.
   *
   * @throws {ProvisionError} if it cannot be run (`fatal`) or does not end in time
   */
  async output(
    args: readonly string[],
    options: PodmanRunOptions = {},
  ): Promise<PodmanResult> {
    const { signal, timeout = this.timeout, patience = 0 } = options;
    signal?.throwIfAborted();
    using stop = new Stop();
    stop.after(timeout, () => this.#lateError(args, timeout));
    const abort = () => stop.after(patience, () => signal!.reason);
    signal?.addEventListener("abort", abort);
    try {
      const { code, stdout, stderr } = await outputLocal(
        { argv: [this.program, ...args] },
        { signal: stop.signal },
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
    }
  }

  /**
   * Lists containers, also those of which only the storage is left.
   *
   * @throws {ProvisionError} if that cannot be done
   */
  async list(
    args: readonly string[],
    options: PodmanRunOptions = {},
  ): Promise<string> {
    for (let attempt = 1;; attempt++) {
      const { code, stdout, said } = await this.output(
        ["ps", "-a", "--external", ...args],
        options,
      );
      if (code === 0) return stdout;
      // Fails also because a container of anybody's is removed at the moment.
      if (attempt === LIST_ATTEMPTS) {
        throw new ProvisionError(`Cannot list containers: ${said}`);
      }
      await delay(LIST_PAUSE, { signal: options.signal });
    }
  }

  #lateError(args: readonly string[], timeout: number): ProvisionError {
    const [command] = args;
    return new ProvisionError(
      `Cannot run "${this.program} ${command}": it did not end within ${
        timeout / 1000
      } s`,
    );
  }
}

/** An abort in some time, unless it is disposed of before. */
class Stop implements Disposable {
  readonly #abort = new AbortController();
  readonly #timers: ReturnType<typeof setTimeout>[] = [];

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  after(ms: number, reason: () => unknown): void {
    if (ms >= 2 ** 31) return;
    this.#timers.push(setTimeout(() => this.#abort.abort(reason()), ms));
  }

  [Symbol.dispose](): void {
    for (const timer of this.#timers) clearTimeout(timer);
  }
}

/** The lines that tell what is wrong. */
function shorten(stderr: string): string {
  const lines = stderr.trim().split("\n").map((line) =>
    line.trim().replace(/^Error: /, "")
  );
  const text = lines.filter((line) => line && !/^See '.* --help'/.test(line))
    .slice(-3).join("; ");
  return text.length > 500 ? `${text.slice(0, 499)}…` : text;
}
