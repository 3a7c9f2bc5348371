import { delay } from "@std/async/delay";
import {
  type Connection,
  ConnectionLostError,
} from "../connections/connection.ts";
import { SshConnection, type SshOptions } from "../connections/ssh.ts";
import {
  DROP_ATTEMPTS,
  isDropped,
  pauseAfterDrop,
} from "../connections/ssh_drop.ts";
import { resolveName } from "./_ssh_names.ts";
import {
  VirtHelper,
  VirtHelperError,
  type VirtHelperOptions,
} from "./_virt_helper.ts";
import { ProvisionError } from "./provisioner.ts";

/** How a libvirt host is reached: by ssh, or in the user's own way. */
export type VirtHostOptions = string | SshOptions | Connection;

/** A libvirt host on which helpers can be started. */
export class VirtHost implements AsyncDisposable {
  readonly #options: SshOptions | Connection;
  readonly #helper: VirtHelperOptions;
  #connection?: Connection;

  constructor(options: VirtHostOptions, helper: VirtHelperOptions) {
    this.#options = typeof options === "string" ? { host: options } : options;
    this.#helper = helper;
    if (!isConnection(this.#options)) new SshConnection(this.#options); // checks
  }

  /** What it is called, if it is reached by ssh. */
  get name(): string | undefined {
    return isConnection(this.#options) ? undefined : this.#options.host;
  }

  /** Its address for others than ssh, if it is reached by that. */
  async address(signal: AbortSignal): Promise<string | undefined> {
    if (isConnection(this.#options)) return undefined;
    const resolved = await resolveName(this.#options, signal);
    return resolved.slice(resolved.indexOf("@") + 1, resolved.lastIndexOf(":"));
  }

  /**
   * @throws {ConnectError} if it cannot be reached
   */
  async connect(signal: AbortSignal | undefined): Promise<void> {
    if (isConnection(this.#options)) {
      await this.#options.connect({ signal });
      this.#connection = this.#options;
      return;
    }
    this.#connection = await SshConnection.open({
      ...this.#options,
      options: { ServerAliveInterval: 15, ...this.#options.options },
      stateless: true, // each helper is a connection: it ends with the lease
      signal,
    });
  }

  /**
   * Starts a helper.
   *
   * @throws {ProvisionError} `fatal` if it is not installed, or not the right one
   */
  async open(signal: AbortSignal | undefined): Promise<VirtHelper> {
    const options = { ...this.#helper, signal };
    for (let attempt = 1;; attempt++) {
      try {
        return await VirtHelper.open(this.#connection!, options);
      } catch (error) {
        signal?.throwIfAborted();
        const dropped = error instanceof ConnectionLostError &&
          isDropped(error.output);
        if (!dropped || attempt === DROP_ATTEMPTS) throw this.#explain(error);
      }
      await delay(pauseAfterDrop(attempt), { signal });
    }
  }

  /** Disconnects, unless the connection is the user's own. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!isConnection(this.#options)) await this.#connection?.disconnect();
    this.#connection = undefined;
  }

  #explain(error: unknown): ProvisionError {
    const { helper = ["atex-virt-helper"] } = this.#helper;
    const what = `Cannot use "${helper.join(" ").slice(0, 100)}" on ${
      this.name ?? "the libvirt host"
    }`;
    const { message } = error as Error;
    if (error instanceof ConnectionLostError) {
      const why = message.replace(/^Lost the virt helper: /, "");
      const advice = error.code === 127
        ? '; `installVirtHelper()` of "provisioners/virt-helper" installs it'
        : "";
      return new ProvisionError(`${what}: ${why}${advice}`, {
        cause: error,
        fatal: error.code !== 255, // of ssh itself
      });
    }
    return new ProvisionError(`${what}: ${message}`, {
      cause: error,
      fatal: error instanceof VirtHelperError ||
        error instanceof Deno.errors.NotFound,
    });
  }
}

function isConnection(
  options: SshOptions | Connection,
): options is Connection {
  return typeof (options as Partial<Connection>).local === "function";
}
