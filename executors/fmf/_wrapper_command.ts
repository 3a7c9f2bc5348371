/** Commands that run the wrapper: what goes into them and comes out of them. */
import type { Connection } from "../../connections/connection.ts";
import {
  type Process,
  start,
  type StartOptions,
} from "../../connections/process.ts";
import type { WorkDirectory } from "./scripts.ts";
import { giveTurn } from "./_turn.ts";

/** How long a test has to end when it is told to. */
const END_GRACE = 15_000;

/** Proof of life for links that may die without a word. Times are in milliseconds. */
export interface Heartbeat {
  /** How often one is sent. */
  readonly interval: number;
  /** How long the test goes on without one. */
  readonly limit: number;
}

/** What to run, and how. */
export interface WrapperOptions {
  /** Directory of the test's state. */
  readonly state: string;
  /** Directory to run in. */
  readonly cwd: string;
  /** Flags of the wrapper, and variables. */
  readonly flags: readonly string[];
  /** Set-up script. */
  readonly setup?: string;
  /** Where the output goes. */
  readonly stderr: NonNullable<StartOptions["stderr"]>;
  /** Absent for links that cannot die without a word. */
  readonly heartbeat?: Heartbeat | undefined;
}

const encoder = new TextEncoder();

/** Bytes that are read at once from a test that has little to say, and from one that has much: a pipe holds no more. */
const BLOCK = { small: 4096, large: 65536 };

/** A running wrapper. Disposing of it ends what it runs, at once if need be. */
export class WrapperCommand implements AsyncDisposable {
  readonly #process: Process;
  readonly #lifeline: WritableStreamDefaultWriter<Uint8Array>;
  readonly #control: ReadableStreamBYOBReader;
  #block = new Uint8Array(BLOCK.small);
  readonly #stopHeartbeat: (() => void) | undefined;
  #ended = false;
  /** Ends a transfer, if there is one. */
  #transfer: AbortController | undefined;
  #canTransfer = true;
  #releasing: Promise<unknown> | undefined;

  private constructor(process: Process, options: WrapperOptions) {
    this.#process = process;
    this.#lifeline = process.stdin.getWriter();
    this.#lifeline.closed.catch(() => {});
    this.#control = process.stdout.getReader({ mode: "byob" });
    this.#control.closed.catch(() => {});
    if (options.setup) this.#send(options.setup);
    const { heartbeat } = options;
    this.#stopHeartbeat = heartbeat &&
      everySoOften(heartbeat.interval, () => {
        // not more of them while nobody reads
        if ((this.#lifeline.desiredSize ?? 0) > 0) this.#send("\n");
      });
    process.status.then(() => {
      this.#ended = true;
      this.#stopHeartbeat?.();
    });
  }

  /**
   * Starts the wrapper.
   *
   * @throws {ConnectionError} if the link is down
   */
  static start(
    connection: Connection,
    work: WorkDirectory,
    options: WrapperOptions,
  ): WrapperCommand {
    const { state, cwd, setup, flags, heartbeat, stderr } = options;
    const lifeline = heartbeat && heartbeat.limit < Infinity
      ? `lifeline=${Math.ceil(heartbeat.limit / 1000)}`
      : "lifeline";
    const argv = ["bash", work.wrapper, state, cwd, lifeline];
    if (setup) argv.push(`setup=${setup.length}`);
    const process = start(connection, [...argv, ...flags], {
      stdin: "piped",
      stdout: "piped",
      stderr,
    });
    return new WrapperCommand(process, options);
  }

  /** What comes through stderr, if that is piped. */
  get output(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#process.stderr;
  }

  /** How the command ended; never rejects. */
  get status(): Promise<Deno.CommandStatus> {
    return this.#process.status;
  }

  /**
   * The next bytes of the control channel, which are overwritten by the next call;
   * `undefined` at its end.
   */
  async read(): Promise<Uint8Array | undefined> {
    await giveTurn();
    const { done, value } = await this.#control.read(this.#block);
    if (done) return undefined;
    this.#block = new Uint8Array(
      value.buffer.byteLength === BLOCK.small && value.length === BLOCK.small
        ? new ArrayBuffer(BLOCK.large)
        : value.buffer,
    );
    return value;
  }

  /** Whether {@linkcode WrapperCommand.transfer} may work. */
  get canTransfer(): boolean {
    return !this.#ended && this.#canTransfer;
  }

  /**
   * Has another program append the next bytes of the control channel to a file that is open here: fewer if the
   * channel ends or the command is killed, none where that cannot be done. To be awaited before the next `read()`.
   *
   * @throws {Error} if they cannot be written
   */
  async transfer(path: string, bytes: number): Promise<void> {
    const { signal } = this.#transfer = new AbortController();
    const { pid } = this.#process;
    const { transfer } = await import("./_transfer.ts");
    this.#canTransfer = await transfer(pid, path, bytes, signal);
  }

  /** Closes our end of the control channel: writers get an error. */
  async closeControl(): Promise<void> {
    await this.#control.cancel().catch(() => {});
  }

  /** Lets the test live when the connection goes away. */
  release(): void {
    this.#send("release\n");
  }

  /** Ends what runs: the wrapper is told to, and killed if that does not help. */
  async end(): Promise<void> {
    this.#send("stop\n");
    // else it would copy what is left between what is dropped here
    this.#transfer?.abort();
    // nobody may stand still because we do not read
    const drained = this.#drain();
    await waitAtMost(END_GRACE, this.status);
    this.kill();
    await this.status;
    await this.#release();
    await drained;
  }

  /** Kills the command here. */
  kill(): void {
    this.#process.kill("SIGKILL");
    this.#transfer?.abort();
  }

  /** Kills the command, if it has not ended, and lets everything go. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.kill();
    await this.status;
    await this.#release();
    await this.#process[Symbol.asyncDispose]();
  }

  /** Somebody may still wait for a `read()`, or use what it gave: this takes what comes after. */
  async #drain(): Promise<void> {
    try {
      let block = new Uint8Array(BLOCK.small);
      for (;;) {
        const { done, value } = await this.#control.read(block);
        if (done) return;
        block = new Uint8Array(value.buffer);
      }
    } catch {
      // closed by us
    }
  }

  /** Closes both pipes: some clients hand them through to the test. */
  #release(): Promise<unknown> {
    this.#stopHeartbeat?.();
    return this.#releasing ??= Promise.allSettled([
      this.#lifeline.abort(),
      this.#control.cancel(),
    ]);
  }

  #send(text: string): void {
    if (this.#ended) return;
    // whether anybody reads it shows in how the command ends
    this.#lifeline.write(encoder.encode(text)).catch(() => {});
  }
}

/** Resolves after so many milliseconds, or earlier when `end` does. */
async function waitAtMost(ms: number, end: Promise<unknown>): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, ms);
  await Promise.race([end, late.promise]);
  clearTimeout(timer);
}

/** What is due together: one timer serves all tests. */
class Beat {
  readonly #due = new Set<() => void>();
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(interval: number) {
    this.#timer = setInterval(() => {
      for (const call of this.#due) call();
    }, interval);
  }

  add(call: () => void): void {
    this.#due.add(call);
  }

  /** Returns whether nothing is due any more. */
  remove(call: () => void): boolean {
    if (!this.#due.delete(call) || this.#due.size > 0) return false;
    clearInterval(this.#timer);
    return true;
  }
}

const beats = new Map<number, Beat>();

/** Calls a function regularly, until what it returns is called. */
function everySoOften(interval: number, call: () => void): () => void {
  const beat = beats.get(interval) ?? new Beat(interval);
  beats.set(interval, beat);
  beat.add(call);
  return () => {
    if (beat.remove(call)) beats.delete(interval);
  };
}
