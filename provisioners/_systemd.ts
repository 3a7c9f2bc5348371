import { abortable } from "@std/async/abortable";
import { delay } from "@std/async/delay";
import {
  ConnectError,
  type Connection,
  type LocalCommand,
  type LocalOptions,
  type SignalOptions,
} from "../connections/connection.ts";
import { PodmanConnection } from "../connections/podman.ts";
import { output } from "../connections/process.ts";
import { after } from "../connections/time_limit.ts";
import type { PodmanCli } from "./_podman_cli.ts";
import { ProvisionError } from "./provisioner.ts";

/** Milliseconds between two looks at a system that boots, or at a container that ends. */
const PAUSE = 100;
/** Looks at a container until all of its end is over. */
const LOOKS = 100;
/** Exit codes of a container whose init asked the kernel for this. */
const REBOOT = 129;
const POWER_OFF = 130;

/**
 * After the end of a container: starts it again if the system in it rebooted.
 *
 * @returns why it is over, if it is
 */
export async function revive(
  cli: PodmanCli,
  name: string,
  bootCapability: boolean,
  isWanted: () => boolean,
): Promise<string | undefined> {
  let code: number | undefined;
  for (let look = 0; look < LOOKS && isWanted(); look++) {
    const state = await inspect(cli, name);
    if (state === undefined) return "it was removed";
    if (look > 10 && state.status === "running") return; // started meanwhile
    code = state.code;
    // Not before: podman cleans up what it ran in.
    if (state.status === "exited") break;
    await delay(PAUSE);
  }
  if (!isWanted()) return;
  if (code !== (bootCapability ? REBOOT : 0)) {
    return bootCapability && code === POWER_OFF
      ? "the system in it was switched off"
      : `its init ended with exit code ${code}`;
  }
  const { code: failed, said } = await cli.output(["container", "start", name]);
  if (failed && isWanted()) return `it cannot be started again: ${said}`;
}

async function inspect(
  cli: PodmanCli,
  name: string,
): Promise<{ status: string; code: number } | undefined> {
  const format = "{{.State.Status}} {{.State.ExitCode}}";
  const { code, stdout } = await cli.output(
    ["container", "inspect", "-f", format, name],
  );
  if (code !== 0) return undefined;
  const [status, exitCode] = stdout.trim().split(" ");
  return { status, code: Number(exitCode) };
}

export interface SystemdConnectionOptions {
  container: string;
  podman: readonly string[];
  /** Milliseconds in which the system has to be up. */
  bootTimeout: number;
  /** Resolves when the system will not come back. */
  lost: Promise<Error>;
}

/**
 * A container with a system in it. It connects only to one that is up: neither
 * to one that is going down, nor to one that is not yet all there.
 */
export class SystemdConnection implements Connection {
  readonly #options: SystemdConnectionOptions;
  readonly #connection: PodmanConnection;
  #lost?: Error;

  constructor(options: SystemdConnectionOptions) {
    const { container, podman, lost } = options;
    this.#options = options;
    this.#connection = new PodmanConnection({ container, podman });
    lost.then((error) => this.#lost = error);
  }

  async connect({ signal }: SignalOptions = {}): Promise<void> {
    const { bootTimeout, lost } = this.#options;
    const late = new AbortController();
    const timer = after(bootTimeout, () => late.abort());
    lost.then(() => late.abort());
    const either = signal
      ? AbortSignal.any([signal, late.signal])
      : late.signal;
    let state = "";
    try {
      for (;;) {
        either.throwIfAborted();
        state = await this.#look(either);
        if (state === "running" || state === "degraded") return;
        await this.#connection.disconnect();
        await delay(PAUSE, { signal: either });
      }
    } catch (error) {
      await this.#connection.disconnect();
      signal?.throwIfAborted();
      if (!late.signal.aborted) throw error;
      throw await this.#error(state);
    } finally {
      clearTimeout(timer);
    }
  }

  /** What systemd says of itself; nothing if it cannot be asked. */
  async #look(signal: AbortSignal): Promise<string> {
    try {
      await this.#connection.connect({ signal });
      const { code, stdout } = await output(
        this.#connection,
        ["systemctl", "is-system-running"],
        { signal },
      );
      if (code === 127) {
        throw new ProvisionError(
          `Cannot wait for the system in the container "${this.#options.container}": there is no program "systemctl" in its image`,
          { fatal: true },
        );
      }
      return new TextDecoder().decode(stdout).trim();
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof ConnectError) return "";
      throw error;
    }
  }

  async #error(state: string): Promise<Error> {
    const { container, bootTimeout } = this.#options;
    const what = `Cannot connect to the system in the container "${container}"`;
    if (this.#lost) {
      return new ConnectError(`${what}: ${this.#lost.message}`, {
        cause: this.#lost,
      });
    }
    const told = await this.#tell().catch(() => "");
    await this.#connection.disconnect();
    return new ConnectError(
      `${what}: it is ${state || "not there"} after ${bootTimeout / 1000} s${
        told && `; ${told}`
      }`,
      { output: told },
    );
  }

  /** What may be in the way. */
  async #tell(): Promise<string> {
    const signal = AbortSignal.timeout(10_000);
    await this.#connection.connect({ signal });
    const script =
      "systemctl list-units --failed --no-legend --plain; systemctl list-jobs --no-legend | head -n 20; journalctl -b --no-pager -n 20 2>/dev/null";
    const { stdout } = await output(
      this.#connection,
      ["sh", "-c", script],
      { signal },
    );
    return new TextDecoder().decode(stdout).trim();
  }

  disconnect(): Promise<void> {
    return this.#connection.disconnect();
  }

  local(argv: readonly string[], options?: LocalOptions): LocalCommand {
    return this.#connection.local(argv, options);
  }

  command(file: string, options?: Deno.CommandOptions): Deno.Command {
    return this.#connection.command(file, options);
  }

  rsync(args: readonly string[], options?: Deno.CommandOptions): Deno.Command {
    return this.#connection.rsync(args, options);
  }

  get canReboot(): boolean {
    return this.#connection.canReboot;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.disconnect();
  }
}

/** Opens one: waits for the first boot. */
export async function openSystemd(
  options: SystemdConnectionOptions,
  signal: AbortSignal,
): Promise<SystemdConnection> {
  const connection = new SystemdConnection(options);
  await abortable(connection.connect({ signal }), signal);
  return connection;
}
