import { delay } from "@std/async/delay";
import { ConnectError } from "../connections/connection.ts";
import { SshConnection, type SshOptions } from "../connections/ssh.ts";
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

/** Where an sshd is expected, and until when. */
export interface SshdWaitOptions {
  readonly hostname: string;
  readonly port: number;
  readonly signal: AbortSignal;
  /**
   * Milliseconds that the first silent connection is listened to; each further
   * one gets twice as many.
   *
   * @default {2000}
   */
  readonly patience?: number;
}

/**
 * Waits until an sshd greets. That the port accepts connections proves nothing:
 * user-mode networking does so before the system behind it listens.
 *
 * @throws {ProvisionError} without the permission to connect: waiting would not help
 */
export async function waitForSshd(options: SshdWaitOptions): Promise<void> {
  const { signal } = options;
  let { patience = SHORTEST_PATIENCE } = options;
  for (;;) {
    const heard = await listen(options, patience);
    if (heard === "sshd") return;
    if (heard === "silence") {
      patience = Math.min(2 * patience, LONGEST_PATIENCE);
    }
    await delay(PAUSE, { signal });
  }
}

/** One connection, to its end: what came of it. */
async function listen(
  { hostname, port, signal }: SshdWaitOptions,
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

/**
 * Connects to an sshd that greets. A connection that is cut before the login is
 * tried again for some minutes: a proxy in between may do that.
 *
 * @throws {ConnectError} if it cannot be reached, or does not let us in
 */
export async function openSsh(
  options: SshOptions,
  signal: AbortSignal,
  patience: number = CUT_PATIENCE,
): Promise<SshConnection> {
  const end = performance.now() + patience;
  for (;;) {
    try {
      return await SshConnection.open({ ...options, signal });
    } catch (error) {
      signal.throwIfAborted();
      if (!isCut(error) || performance.now() > end) throw error;
    }
    await delay(PAUSE, { signal });
  }
}

function isCut(error: unknown): boolean {
  if (!(error instanceof ConnectError) || error.code !== 255) return false;
  return error.output.trim() === "" || CUT.test(error.output);
}
