/** One start of a test: what its wrapper says, as it comes. */
import { after } from "../../connections/time_limit.ts";
import type { SetupOutput } from "./_setup_output.ts";
import type { WrapperCommand } from "./_wrapper_command.ts";
import type { ControlChannel } from "./reporter.ts";

/** How a launch is followed. */
export interface LaunchOptions {
  readonly command: WrapperCommand;
  /** Collects what is printed before the start mark; without one the test starts at once. */
  readonly setup?: SetupOutput;
  /** Called when the set-up is over. */
  readonly open: () => ControlChannel;
  /**
   * Milliseconds for others to close what they hold of a test that is over.
   *
   * @default without limit
   */
  readonly exitGrace?: number;
}

/** More bytes than a pipe holds when nobody writes to it any more. */
const PIPE = 1024 * 1024;

/** Why the control channel is not read any more. */
export type LaunchEnd = "end" | "disconnect" | "grace";

/** Bytes of a file that are worth the start of another program. */
const LARGE = 32 * 1024 * 1024;

/** Reads the control channel of a wrapper until there is nothing more to expect. */
export class Launch {
  readonly #options: LaunchOptions;
  readonly #grace = Promise.withResolvers<undefined>();
  readonly #reading: Promise<LaunchEnd>;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;
  /** Whether bytes are being taken, and how many were since the grace began. */
  #taking = false;
  #taken = 0;
  /** Tells the size of the file that another program writes, if one does. */
  #sizeNow: (() => number) | undefined;
  #sizeBefore = 0;
  /** Absent until the set-up is over. */
  channel: ControlChannel | undefined;

  /** Begins to read. */
  constructor(options: LaunchOptions) {
    this.#options = options;
    if (!options.setup) this.channel = options.open();
    this.#reading = this.#read();
    this.#reading.catch(() => {});
    options.command.status.then(() => this.#startGrace());
  }

  /** Resolves when the channel ended, was given up by the test, or is held open for too long. */
  over(): Promise<LaunchEnd> {
    return Promise.race([
      this.#reading,
      this.#grace.promise.then(() => "grace" as const),
    ]);
  }

  /** Resolves when the test has been over for too long. */
  get grace(): Promise<undefined> {
    return this.#grace.promise;
  }

  /** Ends what still runs, and reads no more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#options.command.end();
    await this.#reading.catch(() => {});
    clearTimeout(this.#timer);
  }

  async #read(): Promise<LaunchEnd> {
    const { command } = this.#options;
    for (;;) {
      const bytes = await command.read();
      if (!bytes) return "end";
      this.#taking = true;
      this.#taken += bytes.length;
      await this.#take(bytes);
      this.#taking = false;
      if (this.channel?.disconnected) return "disconnect";
      if (this.channel?.ended) this.#startGrace();
      if (this.#isLarge()) await this.#transfer();
    }
  }

  /** Whether a file goes on for so long that this program had better be spared it. */
  #isLarge(): boolean {
    return !this.#stopped && (this.channel?.outstanding ?? 0) >= LARGE &&
      this.#options.command.canTransfer;
  }

  /** Has the file written by another program, but for its last byte, which ends it. */
  async #transfer(): Promise<void> {
    const { command } = this.#options;
    const channel = this.channel!;
    const bytes = channel.outstanding - 1;
    try {
      await channel.transfer((path, size) => {
        this.#sizeNow = size;
        return command.transfer(path, bytes);
      });
    } finally {
      this.#sizeNow = undefined;
    }
  }

  /** Whether another program has written something since this was last asked. */
  #hasGrown(): boolean {
    const before = this.#sizeBefore;
    this.#sizeBefore = this.#sizeNow?.() ?? 0;
    return this.#sizeBefore > before;
  }

  async #take(bytes: Uint8Array): Promise<void> {
    const { setup, open } = this.#options;
    if (this.channel) {
      if (!this.#stopped) await this.channel.feed(bytes);
      return;
    }
    const rest = setup!.take(bytes);
    if (!rest) return;
    // that the test began counts, and what it printed, also if it was told to end meanwhile
    this.channel = open();
    if (!this.#stopped) await this.channel.feed(rest);
  }

  /** Whoever holds the channel when test or command are over has that much time. */
  #startGrace(): void {
    const { exitGrace } = this.#options;
    if (exitGrace === undefined || this.#timer !== undefined) return;
    if (this.#stopped) return;
    this.#taken = 0;
    const over = () => {
      // what is worked on may have been left in the pipe by what has ended
      const isAtWork = this.#taking ? this.#taken <= PIPE : this.#hasGrown();
      if (isAtWork) this.#timer = after(exitGrace, over);
      else this.#grace.resolve(undefined);
    };
    this.#hasGrown();
    this.#timer = after(exitGrace, over);
  }
}
