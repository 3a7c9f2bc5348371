import { abortable } from "@std/async/abortable";
import { delay } from "@std/async/delay";
import { ConnectError } from "../connections/connection.ts";
import { SshConnection, type SshOptions } from "../connections/ssh.ts";
import type { Backend, Reserving, System } from "./_backend.ts";
import { ProvisionError } from "./provisioner.ts";

/** Milliseconds between two attempts to reach a host that may be rebooting. */
const REBOOT_PAUSE = 1000;

/** A host, and whether it can be lent. */
interface Host {
  readonly options: SshOptions;
  readonly labels: Readonly<Record<string, string>>;
  /** Lent, or about to be. */
  taken: boolean;
  /** It was reached before. */
  known: boolean;
  /** Why it is left alone, and until when. */
  aside?: { readonly why: string; readonly until: number };
}

export interface HostsBackendOptions {
  hosts: readonly {
    options: SshOptions;
    labels: Readonly<Record<string, string>>;
  }[];
  retryAfter: number;
  connectTimeout: number;
  rebootTimeout: number;
}

/** One host could not be reached; another may. */
class UnreachableError extends ProvisionError {}

/** Lends hosts from a list, each to one at a time. */
export class HostsBackend implements Backend {
  readonly #options: HostsBackendOptions;
  readonly #hosts: readonly Host[];
  #changed = Promise.withResolvers<void>();

  constructor(options: HostsBackendOptions) {
    this.#options = options;
    this.#hosts = options.hosts.map((host) => ({
      ...host,
      taken: false,
      known: false,
    }));
  }

  start(): Promise<void> {
    for (const host of this.#hosts) host.aside = undefined;
    return this.#hosts.length > 0 ? Promise.resolve() : Promise.reject(
      new ProvisionError("Cannot lend hosts: the list of hosts is empty", {
        fatal: true,
      }),
    );
  }

  async reserve({ signal, identify }: Reserving): Promise<System> {
    for (;;) {
      signal.throwIfAborted();
      this.#readmit();
      const host = this.#hosts.find(({ taken, aside }) => !taken && !aside);
      if (host) return await this.#take(host, signal, identify);
      if (this.#hosts.every(({ aside }) => aside)) throw this.#noneError();
      await this.#change(signal);
    }
  }

  retries(error: Error): boolean {
    return error instanceof UnreachableError;
  }

  dispose({ attributes }: System): Promise<void> {
    const host = this.#hosts.find(({ options }) =>
      options.host === attributes.host
    )!;
    host.taken = false;
    this.#notify();
    return Promise.resolve();
  }

  async #take(
    host: Host,
    signal: AbortSignal,
    identify: (id: string) => void,
  ): Promise<System> {
    host.taken = true;
    const id = `ssh:${host.options.host}`;
    identify(id);
    try {
      const connection = await this.#reach(host, signal);
      host.known = true;
      const attributes = { ...host.labels, host: host.options.host };
      return { id, attributes, reusable: true, connection };
    } catch (error) {
      host.taken = false;
      if (signal.aborted) throw signal.reason;
      throw this.#setAside(host, error);
    } finally {
      this.#notify();
    }
  }

  /** Connects. A host that was there before may be coming back from a reboot. */
  async #reach(host: Host, signal: AbortSignal): Promise<SshConnection> {
    const { connectTimeout, rebootTimeout } = this.#options;
    const end = performance.now() + (host.known ? rebootTimeout : 0);
    for (;;) {
      try {
        return await connectWithin(connectTimeout, host.options, signal);
      } catch (error) {
        const again = performance.now() + REBOOT_PAUSE;
        if (signal.aborted || again > end) throw error;
      }
      await delay(REBOOT_PAUSE, { signal });
    }
  }

  #setAside(host: Host, error: unknown): ProvisionError {
    const why = (error as Error).message;
    if (
      error instanceof ConnectError &&
      /^the program .* not installed/.test(error.output)
    ) {
      return new ProvisionError(why, { cause: error, fatal: true });
    }
    host.aside = { why, until: performance.now() + this.#options.retryAfter };
    if (this.#hosts.every(({ aside }) => aside)) return this.#noneError(error);
    return new UnreachableError(why, { cause: error });
  }

  /** Hosts that were left alone for long enough get another chance. */
  #readmit(): void {
    const now = performance.now();
    for (const host of this.#hosts) {
      if (host.aside && host.aside.until <= now) host.aside = undefined;
    }
  }

  #noneError(cause?: unknown): ProvisionError {
    const reasons = this.#hosts.map(({ aside }) => aside?.why).join("; ");
    return new ProvisionError(`Cannot reach any host: ${reasons}`, { cause });
  }

  #notify(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  /** Until a host was released or set aside, or may be tried again. */
  async #change(signal: AbortSignal): Promise<void> {
    const times = this.#hosts.flatMap(({ aside }) => aside?.until ?? []);
    const ms = Math.min(...times) - performance.now();
    const changed = abortable(this.#changed.promise, signal);
    if (ms === Infinity) return await changed;
    const early = new AbortController();
    try {
      await Promise.race([
        changed,
        delay(ms, { signal: AbortSignal.any([signal, early.signal]) }),
      ]);
    } finally {
      early.abort();
    }
  }
}

async function connectWithin(
  ms: number,
  options: SshOptions,
  signal: AbortSignal,
): Promise<SshConnection> {
  const late = new AbortController();
  const error = new ConnectError(
    `Cannot connect to ${options.host}: no answer within ${ms / 1000} s`,
  );
  const timer = setTimeout(() => late.abort(error), ms);
  try {
    return await SshConnection.open({
      ...options,
      signal: AbortSignal.any([signal, late.signal]),
    });
  } finally {
    clearTimeout(timer);
  }
}
