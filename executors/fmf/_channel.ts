/** The control channel of one start of a test: bytes go in, and what they ask for is done. */
import {
  type ControlEvent,
  ControlParser,
  type DurationChange,
  type Report,
} from "./control.ts";
import { giveTurn } from "./_turn.ts";
import type { Append } from "./_uploads.ts";

/** What the `duration` lines of a test act on. Times are in milliseconds. */
export interface DurationActions {
  /** Starts again with this time. */
  set(ms: number): void;
  /** Adds time. */
  increment(ms: number): void;
  /** Takes time away. */
  decrement(ms: number): void;
  /** Remembers the time that is left. */
  save(): void;
  /** Goes back to the time that was left. */
  restore(): void;
}

/** Options of {@linkcode Reporter.channel}. */
export interface ChannelOptions {
  /** What `duration` lines act on. */
  duration: DurationActions;
  /**
   * What the wrapper puts into its start and end marks.
   *
   * @default no marks
   */
  nonce?: string;
}

/** Files after which others have their turn: a few bytes may announce thousands. */
const MANY = 64;

/** Bytes of a file. */
export type UploadEvent = Extract<ControlEvent, { type: "upload" }>;

/** The control channel of one start of a test. */
export class ControlChannel {
  readonly #parser: ControlParser;
  readonly #duration: DurationActions;
  readonly #sink: Sink;

  /** To be had from {@linkcode Reporter.channel}. */
  constructor(options: ChannelOptions, sink: Sink) {
    const { duration, nonce } = options;
    this.#parser = new ControlParser(nonce === undefined ? {} : { nonce });
    this.#duration = duration;
    this.#sink = sink;
  }

  /** Whether the start mark was seen; always true without marks. */
  get started(): boolean {
    return this.#parser.started;
  }

  /** What came before the start mark, at most 64 KiB. */
  get dropped(): string {
    return this.#parser.dropped;
  }

  /** The exit code of the test, as the last `exitcode` said. */
  get exitCode(): number | undefined {
    return this.#parser.exitCode;
  }

  /** Whether the test announced that the connection will be lost: stop reading. */
  get disconnected(): boolean {
    return this.#parser.disconnected;
  }

  /** Whether the wrapper said that the test is over, and its exit code final. */
  get ended(): boolean {
    return this.#parser.ended;
  }

  /**
   * Does what the next bytes ask for; await it before the next call, and before
   * the bytes are overwritten. When it resolves, all that was complete is on
   * disk. After an error, and after `disconnect`, bytes are ignored.
   *
   * @throws {BadControlError} if the test broke the rules of the channel
   * @throws {BadReportJSONError} if a result, or what it asks for, cannot be used
   * @throws {TestAbortedError} if something cannot be stored (`storage`), or the
   * start mark does not come (`wrapper`)
   */
  async feed(bytes: Uint8Array): Promise<void> {
    let files = 0;
    try {
      try {
        for (const event of this.#parser.feed(bytes)) {
          if (event.type === "result") this.#sink.result(event.report);
          else if (event.type === "duration") this.#change(event.change);
          else {
            const written = this.#sink.upload(event);
            if (written) await written;
            if (event.first && ++files % MANY === 0) await giveTurn();
          }
        }
      } finally {
        this.#sink.flush();
      }
    } catch (error) {
      this.#parser.stop();
      this.#sink.close();
      throw error;
    }
  }

  /** How many bytes of a file come next. */
  get outstanding(): number {
    return this.#parser.outstanding;
  }

  /**
   * Has somebody else append bytes to the file, but not the last one, which is to be fed. Others must not read
   * or feed meanwhile.
   *
   * @throws {TestAbortedError} if they cannot be stored (`storage`)
   */
  async transfer(append: Append): Promise<void> {
    try {
      this.#parser.skip(await this.#sink.transfer(append));
    } catch (error) {
      this.#parser.stop();
      this.#sink.close();
      throw error;
    }
  }

  /**
   * Tells that there are no more bytes. Returns the beginning of a line that did
   * not come to its end and counts for nothing, to be logged; else `""`.
   *
   * @throws {BadControlError} if the stream ended inside a result
   */
  end(): string {
    try {
      return this.#parser.end();
    } finally {
      this.#sink.close();
    }
  }

  #change(change: DurationChange): void {
    const duration = this.#duration;
    switch (change.how) {
      case "set":
      case "increment":
      case "decrement":
        return duration[change.how](change.ms);
      case "save":
      case "restore":
        return duration[change.how]();
    }
  }
}

/** Where a channel puts what it understood. */
export interface Sink {
  upload(event: UploadEvent): Promise<void> | undefined;
  /** Has somebody else append to the file that is open, and returns how many bytes came. */
  transfer(append: Append): Promise<number>;
  result(report: Report): void;
  flush(): void;
  close(): void;
}
