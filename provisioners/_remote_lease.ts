import { abortable } from "@std/async/abortable";
import { delay } from "@std/async/delay";
import { ConnectError, type LocalCommand } from "../connections/connection.ts";
import { SshConnection, type SshOptions } from "../connections/ssh.ts";
import { connectWithin, within } from "../connections/time_limit.ts";
import { type Holder, type Lease, LeaseError } from "./_lease.ts";
import { LEASE_SCRIPT } from "./_lease_script.ts";

/** Milliseconds between two attempts to get a lease back. */
const PAUSE = 500;
/** Milliseconds within which the host has to answer. */
const ANSWER = 15_000;
/** Milliseconds that ssh has to end by itself. */
const GRACE = 3000;
/** A line of the script there; login shells may print others before. */
const REPLY = /^(locked$|free$|taken |error )/;
/** Characters of the end of what ssh says that are kept. */
const SAID_KEPT = 64 * 1024;

export interface RemoteLeaseOptions {
  readonly ssh: SshOptions;
  /** The file that is locked on the host. */
  readonly file: string;
  readonly holder: Holder;
  /** Milliseconds for which the host stays ours while it reboots. */
  readonly rebootGrace: number;
  /** Milliseconds that an attempt to connect may take. */
  readonly connectTimeout: number;
}

/**
 * A lease among all who come to the host: a lock there, which a process at the
 * end of a connection of its own holds.
 */
export class RemoteLease implements Lease {
  readonly #options: RemoteLeaseOptions;
  readonly #lost = Promise.withResolvers<Error>();
  readonly #ended = new AbortController();
  #session?: LeaseSession;
  #renewal?: ReturnType<typeof setInterval>;
  #restored: Promise<void> = Promise.resolve();
  #keepsRunning = false;

  constructor(options: RemoteLeaseOptions) {
    this.#options = options;
  }

  get id(): string {
    return this.#options.holder.lease;
  }

  get lost(): Promise<Error> {
    return this.#lost.promise;
  }

  async take(signal: AbortSignal): Promise<true | string> {
    const session = this.#session ??= await this.#open(signal);
    let answer: string;
    try {
      answer = await session.ask(this.#request, signal);
    } catch (error) {
      await this.#drop();
      throw error;
    }
    if (answer !== "locked") {
      if (answer.startsWith("taken")) return answer.slice("taken ".length);
      await this.#drop();
      throw this.#error(answer.replace(/^error /, ""));
    }
    this.#hold(session);
    return true;
  }

  async look(signal: AbortSignal): Promise<string | undefined> {
    const session = this.#session ??= await this.#open(signal);
    const answer = await session.ask("look", signal);
    if (answer === "free") return undefined;
    if (answer.startsWith("taken")) return answer.slice("taken ".length);
    throw this.#error(answer.replace(/^error /, ""));
  }

  async held(signal?: AbortSignal): Promise<void> {
    await (signal ? abortable(this.#restored, signal) : this.#restored);
  }

  keepRunning(): void {
    this.#keepsRunning = true;
    this.#session?.ref();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort(new Error("The lease was given back"));
    clearInterval(this.#renewal);
    await this.#restored.catch(() => {});
    await this.#drop();
  }

  get #request(): string {
    const { holder } = this.#options;
    return `take ${JSON.stringify(holder).slice(1)}`;
  }

  async #open(signal: AbortSignal): Promise<LeaseSession> {
    const { ssh, file, holder, rebootGrace, connectTimeout } = this.#options;
    const seconds = String(Math.ceil(rebootGrace / 1000));
    const argv = ["sh", "-c", LEASE_SCRIPT, "sh", file, holder.lease, seconds];
    return await connectWithin(
      connectTimeout,
      { system: ssh.host, signal },
      async (signal) => {
        const connection = await SshConnection.open({
          ...ssh,
          options: {
            ServerAliveInterval: 15,
            ...ssh.options,
          },
          stateless: true, // the process itself is the connection
          signal,
        });
        return new LeaseSession(connection, argv, ssh.host);
      },
    );
  }

  /** From now on somebody has to notice its end. */
  #hold(session: LeaseSession): void {
    const { rebootGrace } = this.#options;
    this.#restored = Promise.resolve();
    if (!this.#keepsRunning) session.unref();
    clearInterval(this.#renewal);
    this.#renewal = setInterval(
      () => this.#session?.say("renew"),
      Math.max(1000, Math.min(60_000, rebootGrace / 3)),
    );
    Deno.unrefTimer(this.#renewal);
    session.ended.then(() => {
      if (this.#session !== session || this.#ended.signal.aborted) return;
      clearInterval(this.#renewal);
      this.#restored = this.#restore();
      this.#restored.catch(() => {}); // told by `lost`
    });
  }

  /** The host has rebooted, or the network was away: before anybody else it is ours. */
  async #restore(): Promise<void> {
    const { signal } = this.#ended;
    const { rebootGrace, holder, ssh } = this.#options;
    const end = performance.now() + rebootGrace;
    let why = "it did not come back";
    for (;;) {
      await this.#drop();
      try {
        const taken = await this.take(signal);
        if (taken === true) return;
        why = "somebody else took it";
        // Where the end of the old connection was not noticed, it is still ours.
        if (taken && !taken.includes(`"lease":"${holder.lease}"`)) break;
      } catch (error) {
        signal.throwIfAborted();
        why = (error as Error).message;
        if (error instanceof LeaseError) break;
      }
      if (performance.now() + PAUSE > end) break;
      await delay(PAUSE, { signal, persistent: this.#keepsRunning });
    }
    await this.#drop();
    const error = new LeaseError(
      `Lost the lease of the host ${ssh.host}: ${why}`,
    );
    this.#lost.resolve(error);
    throw error;
  }

  async #drop(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    await session?.close();
  }

  #error(what: string): LeaseError {
    const advice = /"flock"/.test(what)
      ? '; install it (util-linux or busybox), or set the option "lease" to "local" or "none"'
      : '; set the option "leaseFile" to another path, or "lease" to "local" or "none"';
    return new LeaseError(
      `Cannot lease the host ${this.#options.ssh.host}: ${what}${advice}`,
    );
  }
}

/** The process here whose end ends the lease there. */
class LeaseSession {
  readonly #connection: SshConnection;
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: Lines;
  readonly #said: Promise<string>;
  readonly #host: string;
  /** When the process has ended. */
  readonly ended: Promise<Deno.CommandStatus>;

  constructor(
    connection: SshConnection,
    argv: readonly string[],
    host: string,
  ) {
    this.#connection = connection;
    this.#host = host;
    const command = connection.local(argv);
    this.#child = spawn(command);
    this.ended = this.#child.status;
    this.#writer = this.#child.stdin.getWriter();
    this.#writer.closed.catch(() => {}); // `ended` tells
    this.#lines = new Lines(this.#child.stdout);
    this.#said = endOf(this.#child.stderr);
  }

  /** Says a line and gets the answer. */
  async ask(line: string, signal: AbortSignal): Promise<string> {
    this.say(line);
    const late = () =>
      new ConnectError(
        `Cannot lease the host ${this.#host}: no answer within ${
          ANSWER / 1000
        } s`,
      );
    const answer = await within(
      { ms: ANSWER, late, signal },
      (signal) => abortable(this.#reply(), signal),
    );
    if (answer !== undefined) return answer;
    const { code } = await this.ended;
    const output = (await this.#said).trim();
    throw new ConnectError(
      `Cannot connect to ${this.#host}: ${
        output.split("\n").at(-1) || `ssh ended with exit code ${code}`
      }`,
      { code, output },
    );
  }

  /** `undefined` at the end. */
  async #reply(): Promise<string | undefined> {
    for (;;) {
      const line = await this.#lines.next();
      if (line === undefined || REPLY.test(line)) return line;
    }
  }

  say(line: string): void {
    this.#writer.write(new TextEncoder().encode(line + "\n")).catch(() => {});
  }

  ref(): void {
    this.#child.ref();
  }

  /** Does not keep this program from ending. */
  unref(): void {
    this.#child.unref();
  }

  async close(): Promise<void> {
    this.#child.ref();
    await this.#writer.close().catch(() => {});
    const timer = setTimeout(() => this.#kill(), GRACE);
    await this.ended;
    clearTimeout(timer);
    this.#kill(); // what it may have started, such as a proxy
    await this.#lines.cancel();
    await this.#said;
    await this.#connection.disconnect();
  }

  #kill(): void {
    try {
      Deno.kill(-this.#child.pid, "SIGKILL");
    } catch {
      // Nothing is left.
    }
  }
}

function spawn({ argv: [file, ...args], env, clearEnv }: LocalCommand) {
  return new Deno.Command(file, {
    args,
    ...(env && { env: { ...env } }),
    clearEnv: clearEnv ?? false,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    detached: true,
  }).spawn();
}

/** The last that comes: whoever is root on the host can make it say more. */
async function endOf(stream: ReadableStream<Uint8Array<ArrayBuffer>>) {
  let text = "";
  try {
    for await (const part of stream.pipeThrough(new TextDecoderStream())) {
      text = (text + part).slice(-SAID_KEPT);
    }
  } catch {
    return "";
  }
  return text;
}

/** The lines of a stream, one after the other. */
class Lines {
  readonly #reader: ReadableStreamDefaultReader<string>;
  #rest = "";

  constructor(stream: ReadableStream<Uint8Array<ArrayBuffer>>) {
    this.#reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** `undefined` at the end. */
  async next(): Promise<string | undefined> {
    for (;;) {
      const end = this.#rest.indexOf("\n");
      if (end >= 0) {
        const line = this.#rest.slice(0, end);
        this.#rest = this.#rest.slice(end + 1);
        return line;
      }
      const { done, value } = await this.#reader.read();
      if (done) return undefined;
      this.#rest += value;
    }
  }

  async cancel(): Promise<void> {
    await this.#reader.cancel().catch(() => {});
  }
}
