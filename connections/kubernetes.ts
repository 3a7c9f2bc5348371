/**
 * Connections to running pods of Kubernetes, by `kubectl exec`.
 *
 * A command that ends with a status other than 0 has one more line on its
 * stderr, from `kubectl`. Ending a command here does not end it in the pod, and
 * it may go on without noticing that nobody reads its output: a pod does not
 * reboot, and {@linkcode KubernetesConnection.canReboot} is false.
 *
 * Needs the permission to run programs (`--allow-run`), and in the namespace
 * the rights to `create` `pods/exec` and to `get` `pods`.
 *
 * @example Run something in a pod
 * ```ts no-run
 * import { KubernetesConnection } from "jsr:@atex/atex/connections/kubernetes";
 * import { run } from "jsr:@atex/atex/connections/process";
 *
 * await using pod = await KubernetesConnection.open({ pod: "web-0" });
 * console.log(await run(pod, ["cat", "/etc/os-release"]));
 * ```
 *
 * @module
 */
import { checkMilliseconds, checkOptions, type Known } from "../options.ts";
import {
  ConnectError,
  type Connection,
  type LocalCommand,
  type LocalOptions,
  NotConnectedError,
  type SignalOptions,
  withOptions,
} from "./connection.ts";
import { remoteCommand } from "./_command.ts";
import { kubernetesFlags } from "./kubernetes_flags.ts";
import { checkProgram } from "./program.ts";
import { connectWithin } from "./time_limit.ts";
import { IN_SHELL } from "./_quote.ts";
import { rsyncBehindPrefix } from "./_rsync.ts";
import { CommandError, runLocal } from "./process.ts";

/** Options of {@linkcode KubernetesConnection}. */
export interface KubernetesOptions {
  /** Name of the pod. */
  pod: string;
  /**
   * The container in the pod.
   *
   * @default the one that `kubectl` takes: the only one, that of an annotation, or the first
   */
  container?: string | undefined;
  /**
   * Where the pod is.
   *
   * @default that of the context
   */
  namespace?: string | undefined;
  /**
   * Which context of the configuration to use.
   *
   * @default the current one
   */
  context?: string | undefined;
  /**
   * File with the configuration of `kubectl`.
   *
   * @default that of `kubectl`
   */
  kubeconfig?: string | URL | undefined;
  /**
   * The `kubectl` program, with arguments that come before all others.
   *
   * @default {["kubectl"]}
   */
  kubectl?: readonly string[] | undefined;
  /**
   * Longest time, in milliseconds, in which the connection is made; `Infinity`: no
   * limit.
   *
   * @default {60_000}
   */
  connectTimeout?: number | undefined;
}

const OPTIONS: Known<KubernetesOptions> = {
  pod: "a string",
  container: "a string, if given",
  namespace: "a string, if given",
  context: "a string, if given",
  kubeconfig: "a path or a URL, if given",
  kubectl: "optional",
  connectTimeout: "optional",
};

/** A container of a running pod. The pod belongs to somebody else. */
export class KubernetesConnection implements Connection {
  readonly #options: KubernetesOptions;
  #connected = false;

  /**
   * Only stores the options.
   *
   * @throws {TypeError} if `pod` is missing, empty or begins with "-", `kubectl` is no list of words, or the time is no number
   * @throws {RangeError} if the time is not above 0
   */
  constructor(options: KubernetesOptions) {
    checkOptions("KubernetesConnection", options, OPTIONS);
    const { pod, kubectl = ["kubectl"], connectTimeout = 60_000 } = options;
    if (!/^[^-]/.test(pod)) {
      throw new TypeError(
        `Cannot connect to the pod "${pod}": "pod" must be the name of a pod`,
      );
    }
    checkProgram("kubectl", kubectl);
    checkMilliseconds({ connectTimeout });
    this.#options = { ...options };
  }

  /**
   * Makes a connection and connects it.
   *
   * @throws {TypeError} if the options cannot be used
   * @throws {RangeError} if `connectTimeout` is not above 0
   * @throws {ConnectError} if there is no such pod, or it does not run
   */
  static async open(
    options: KubernetesOptions & SignalOptions,
  ): Promise<KubernetesConnection> {
    const connection = new this(options);
    await connection.connect(options);
    return connection;
  }

  /** Always false. */
  readonly canReboot: boolean = false;

  /**
   * Tries a command in the pod.
   *
   * @throws {ConnectError} if there is no such pod, or no command can be run in it
   */
  async connect({ signal }: SignalOptions = {}): Promise<void> {
    signal?.throwIfAborted();
    if (this.#connected) return;
    const { pod, connectTimeout = 60_000 } = this.#options;
    await connectWithin(
      connectTimeout,
      { system: `the pod "${pod}"`, signal },
      (signal) => this.#try(signal),
    );
    this.#connected = true;
  }

  async #try(signal: AbortSignal): Promise<void> {
    try {
      await runLocal({ argv: this.#inPod(["true"]) }, { signal });
    } catch (error) {
      signal.throwIfAborted();
      throw this.#error(error as Error);
    }
  }

  /** Forgets the pod. */
  disconnect(): Promise<void> {
    this.#connected = false;
    return Promise.resolve();
  }

  /**
   * Gives the command that, run here, runs `argv` in the pod.
   *
   * Variables and directory are those of the container unless given. A program
   * that is missing ends with exit code 127. Exit code 1 may also be that of
   * `kubectl`, which then says `error:` or `Error from server`.
   *
   * @throws {NotConnectedError} without {@linkcode connect}
   * @throws {TypeError} if `argv` is empty or an argument holds a NUL character
   */
  local(
    argv: readonly string[],
    options: LocalOptions = {},
  ): LocalCommand {
    if (!this.#connected) {
      throw new NotConnectedError(
        `Cannot run "${
          argv[0]
        }" in the pod "${this.#options.pod}": not connected`,
      );
    }
    return { argv: this.#inPod(withOptions(argv, options), options) };
  }

  #inPod(
    argv: readonly string[],
    { terminal = false }: LocalOptions = {},
  ): string[] {
    const { pod, container, kubectl = ["kubectl"] } = this.#options;
    return [
      ...kubectl,
      ...kubernetesFlags(this.#options),
      "exec",
      terminal ? "-it" : "-i",
      pod,
      ...(container === undefined ? [] : [`--container=${container}`]),
      // A runtime has its own ways to say that a program is missing.
      "--",
      ...IN_SHELL,
      ...argv,
    ];
  }

  /**
   * Makes a command that runs `file` in the pod.
   *
   * @throws {NotConnectedError} without {@linkcode connect}
   */
  command(file: string, options: Deno.CommandOptions = {}): Deno.Command {
    return remoteCommand(this, file, options);
  }

  /**
   * Makes a command that runs `rsync`, where `remote:PATH` is in the pod. Both
   * sides need rsync.
   *
   * @throws {NotConnectedError} without {@linkcode connect}
   */
  rsync(
    args: readonly string[],
    options: Deno.CommandOptions = {},
  ): Deno.Command {
    return rsyncBehindPrefix(this, args, options);
  }

  /** Disconnects. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.disconnect();
  }

  #error(cause: Error): ConnectError {
    const lines = cause instanceof CommandError
      ? cause.output.trim().split("\n")
      : [];
    // Its libraries have things to say, too.
    const said = lines.find((line) => /^error/i.test(line)) || lines.at(-1) ||
      cause.message;
    return new ConnectError(
      `Cannot connect to the pod "${this.#options.pod}": ${said}`,
      cause instanceof CommandError
        ? { cause, code: cause.status.code, output: cause.output }
        : { cause },
    );
  }
}
