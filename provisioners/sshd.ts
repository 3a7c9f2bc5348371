/**
 * Waiting for systems that boot, for provisioners of one's own: `SshConnection.open()`
 * is for those that are up, and fails where nobody listens yet.
 *
 * Needs the permission to connect to the system (`--allow-net`), and those of
 * `connections/ssh`.
 *
 * @example A provisioner of machines that a service makes
 * ```ts no-run
 * import { PooledProvisioner } from "jsr:@atex/atex/provisioners/pooled";
 * import { openAfterBoot, waitForSshd } from "jsr:@atex/atex/provisioners/sshd";
 *
 * declare const service: {
 *   make(options: { signal: AbortSignal }): Promise<{ id: string; address: string }>;
 *   remove(id: string): Promise<void>;
 * };
 *
 * await using pool = await new PooledProvisioner({
 *   name: "machines",
 *   maxRemotes: 4,
 *   reserveTimeout: 600_000,
 *   backend: {
 *     async reserve({ signal, identify }) {
 *       const { id, address } = await service.make({ signal });
 *       identify(id);
 *       try {
 *         await waitForSshd({ hostname: address, signal });
 *         const connection = await openAfterBoot({ host: `root@${address}`, signal });
 *         return { id, attributes: { address }, reusable: false, connection };
 *       } catch (error) {
 *         await service.remove(id);
 *         throw error;
 *       }
 *     },
 *     dispose: ({ id }) => service.remove(id),
 *   },
 * }).start();
 * ```
 *
 * @module
 */
import { delay } from "@std/async/delay";
import { ConnectError, type SignalOptions } from "../connections/connection.ts";
import { SshConnection, type SshOptions } from "../connections/ssh.ts";
import { checkMilliseconds, checkOptions, type Known } from "../options.ts";
import { ProvisionError } from "./provisioner.ts";

/** Milliseconds between two attempts. */
const PAUSE = 100;
/** Milliseconds after which a server that says nothing is asked again, at first and at most. */
const SHORTEST_PATIENCE = 2000;
const LONGEST_PATIENCE = 180_000;
/** Milliseconds for which a connection that is cut is tried again. */
const CUT_PATIENCE = 300_000;
/** A server may say so much before its version. */
const LONGEST_GREETING = 8192;

/** What ssh says when the connection was cut before it could log in, if it says something. */
const CUT =
  /(kex|ssh|banner)[_ ]exchange|^Connection (closed|refused|reset|timed out)|connect to (host|address) /im;

/** Options of {@linkcode waitForSshd}: where an sshd is expected, and until when. */
export interface WaitForSshdOptions extends SignalOptions {
  /** Name or address of the system, as it can be reached without a proxy. */
  hostname: string;
  /**
   * Where it listens.
   *
   * @default {22}
   */
  port?: number | undefined;
  /**
   * Milliseconds that the first silent connection is listened to; each further
   * one gets twice as many.
   *
   * @default {2000}
   */
  patience?: number | undefined;
}

const WAIT_OPTIONS: Known<WaitForSshdOptions> = {
  hostname: "a string",
  port: "a number, if given",
  patience: "optional",
  signal: "optional",
};

/**
 * Waits until an sshd greets. That the port accepts connections proves nothing:
 * user-mode networking does so before the system behind it listens. Without a `signal`
 * it waits as long as that takes.
 *
 * @throws {TypeError} if an option is missing, misspelt or of the wrong kind
 * @throws {RangeError} if `port` is not from 1 to 65535, or `patience` not above 0
 * @throws {ProvisionError} without the permission to connect: waiting would not help
 */
export async function waitForSshd(options: WaitForSshdOptions): Promise<void> {
  checkOptions("waitForSshd()", options, WAIT_OPTIONS);
  const { hostname, port = 22, signal = new AbortController().signal } =
    options;
  let { patience = SHORTEST_PATIENCE } = options;
  checkMilliseconds({ patience });
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new RangeError(
      `Cannot use ${port} as "port": a whole number from 1 to 65535 would be right`,
    );
  }
  for (;;) {
    const heard = await listen({ hostname, port, signal }, patience);
    if (heard === "sshd") return;
    if (heard === "silence") {
      patience = Math.min(2 * patience, LONGEST_PATIENCE);
    }
    await delay(PAUSE, { signal });
  }
}

/** One connection, to its end: what came of it. */
async function listen(
  { hostname, port, signal }: {
    hostname: string;
    port: number;
    signal: AbortSignal;
  },
  patience: number,
): Promise<"sshd" | "silence" | "else"> {
  signal.throwIfAborted();
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), patience);
  const ended = AbortSignal.any([signal, late.signal]);
  try {
    using connection = await Deno.connect({ hostname, port, signal: ended });
    using _ = closeOn(ended, connection);
    return await greets(connection) ? "sshd" : "else";
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Deno.errors.NotCapable) {
      throw new ProvisionError(
        `Cannot connect to ${hostname}:${port}: ${error.message}`,
        { fatal: true, cause: error },
      );
    }
    return late.signal.aborted ? "silence" : "else";
  } finally {
    clearTimeout(timer);
  }
}

/** A read that waits ends with the connection. */
function closeOn(signal: AbortSignal, connection: Deno.Conn): Disposable {
  const close = () => connection.close();
  signal.addEventListener("abort", close, { once: true });
  return {
    [Symbol.dispose]: () => signal.removeEventListener("abort", close),
  };
}

/** The version comes on a line of its own, which need not be the first (RFC 4253). */
async function greets(connection: Deno.Conn): Promise<boolean> {
  let text = "";
  const buffer = new Uint8Array(256);
  while (text.length < LONGEST_GREETING) {
    const count = await connection.read(buffer);
    if (count === null) return false;
    text += String.fromCharCode(...buffer.subarray(0, count));
    if (/^SSH-/m.test(text)) return true;
  }
  return false;
}

/** Options of {@linkcode openAfterBoot}. */
export interface AfterBootOptions extends SshOptions, SignalOptions {
  /**
   * Milliseconds for which a connection that is cut before the login is tried again.
   *
   * @default {300_000}
   */
  cutTimeout?: number | undefined;
}

/**
 * Connects to an sshd that greets. A connection that is cut before the login is
 * tried again for some minutes: a proxy in between may do that, or a system that still
 * boots.
 *
 * @throws {TypeError} if the options cannot be used
 * @throws {RangeError} if a time makes no sense
 * @throws {ConnectError} if it cannot be reached, or does not let us in
 */
export async function openAfterBoot(
  options: AfterBootOptions,
): Promise<SshConnection> {
  const { cutTimeout = CUT_PATIENCE, ...others } = options;
  checkMilliseconds({ cutTimeout }, { orZero: true });
  const { signal } = others;
  const end = performance.now() + cutTimeout;
  for (;;) {
    try {
      return await SshConnection.open(others);
    } catch (error) {
      signal?.throwIfAborted();
      if (!isCut(error) || performance.now() > end) throw error;
    }
    await delay(PAUSE, signal && { signal });
  }
}

function isCut(error: unknown): boolean {
  if (!(error instanceof ConnectError) || error.code !== 255) return false;
  return error.output.trim() === "" || CUT.test(error.output);
}
