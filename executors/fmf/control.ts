/**
 * The control channel: what a test says while it runs, as a stream of bytes.
 *
 * The parser does no input or output. Bytes go in, in pieces of any size; what
 * they ask for comes out, and does not depend on the size of the pieces.
 *
 * @module
 */
import { BadControlError, TestAbortedError } from "../executor.ts";
import {
  badLine,
  type DurationChange,
  lengthOfResult,
  readLine,
} from "./_line.ts";
import { find, startMark } from "./_mark.ts";
import { readReport, type Report, type Upload } from "./_report.ts";
import { Tail } from "./_tail.ts";

export type { DurationChange, Report, Upload };

/** What a piece of the stream asks for. */
export type ControlEvent =
  /**
   * The next bytes of a file of a result; they are only valid until the next piece is
   * fed. None, if the turn of the file has come and its bytes have not.
   */
  | {
    readonly type: "upload";
    readonly report: Report;
    readonly file: Upload;
    readonly bytes: Uint8Array;
    /** Whether the file begins here. */
    readonly first: boolean;
    /** Whether these are the last bytes of the file. */
    readonly last: boolean;
  }
  /** A result is complete: the last byte of it, and of its files, arrived. */
  | { readonly type: "result"; readonly report: Report }
  | { readonly type: "duration"; readonly change: DurationChange };

/** Options of {@linkcode ControlParser}. */
export interface ControlParserOptions {
  /**
   * What the wrapper puts into its start and end marks. Everything before the
   * start mark is dropped: shells print greetings.
   *
   * @default no marks
   */
  nonce?: string;
}

/** Bytes of a line, with its end. */
const MAX_LINE = 4096;
/** Bytes before the start mark. */
const MAX_DROPPED = 64 * 1024;

const LF = 10;
const nothing = new Uint8Array(0);

/** Understands the bytes of one start of a test. */
export class ControlParser {
  readonly #startMark: Uint8Array | undefined;
  readonly #endMark: string | undefined;
  #state: "mark" | "line" | "json" | "files" | "over" = "line";
  /** Bytes held back: up to the start mark, or of unfinished JSON. */
  #held: Uint8Array = nothing;
  #heldLength = 0;
  #line = "";
  #jsonLength = 0;
  #report: Report | undefined;
  #fileIndex = 0;
  #fileBegun = false;
  #fileDone = 0;
  /** The rest of the piece as text, where results follow each other. */
  readonly #tail = new Tail();
  /** Whether bytes of files came between; also before the first result, which may be the only one. */
  #hadFiles = true;

  #started: boolean;
  #dropped = "";
  #exitCode: number | undefined;
  #disconnected = false;
  #ended = false;

  /** Creates the parser; nothing has arrived. */
  constructor(options: ControlParserOptions = {}) {
    const { nonce } = options;
    this.#started = nonce === undefined;
    if (nonce !== undefined) {
      this.#startMark = startMark(nonce);
      this.#endMark = `noop atex-end ${nonce}`;
      this.#state = "mark";
    }
  }

  /** Whether the start mark was seen; always true without marks. */
  get started(): boolean {
    return this.#started;
  }

  /** What came before the start mark, at most 64 KiB. */
  get dropped(): string {
    return this.started
      ? this.#dropped
      : new TextDecoder().decode(this.#held.subarray(0, this.#heldLength));
  }

  /** The exit code of the test, as the last `exitcode` said. */
  get exitCode(): number | undefined {
    return this.#exitCode;
  }

  /**
   * Whether the test announced that the connection will be lost. Nothing is read
   * any more: close the channel at once.
   */
  get disconnected(): boolean {
    return this.#disconnected;
  }

  /** Whether the wrapper said that the exit code was its own: the test is over. */
  get ended(): boolean {
    return this.#ended;
  }

  /**
   * How many bytes of a file come next. {@linkcode ControlParser.skip} takes some
   * of them away.
   */
  get outstanding(): number {
    if (this.#state !== "files" || !this.#fileBegun) return 0;
    return this.#report!.files![this.#fileIndex]!.length - this.#fileDone;
  }

  /**
   * Tells that so many bytes of the file went elsewhere. The last one is to be fed:
   * it ends the file.
   */
  skip(bytes: number): void {
    if (bytes >= this.outstanding) {
      throw new RangeError(`Cannot skip ${bytes} bytes of ${this.outstanding}`);
    }
    this.#fileDone += bytes;
  }

  /**
   * Takes the next bytes, and gives what they ask for. To be iterated to the
   * end; after an error, and after `disconnect`, bytes are ignored.
   *
   * @throws {BadControlError} if the test broke the rules of the channel
   * @throws {BadReportJSONError} if the JSON of a result cannot be used
   * @throws {TestAbortedError} if the start mark does not come (`wrapper`)
   */
  *feed(bytes: Uint8Array): Generator<ControlEvent, void> {
    let at = 0;
    this.#tail.reset(bytes);
    try {
      while (at < bytes.length && this.#state !== "over") {
        switch (this.#state) {
          case "mark":
            at = this.#takeMark(bytes);
            break;
          case "line": {
            // nearly all lines are of this form
            const length = this.#line === "" ? lengthOfResult(bytes, at) : 0;
            if (length > 0) {
              at = bytes.indexOf(LF, at) + 1;
              this.#expectJson(length);
              break;
            }
            const newline = bytes.indexOf(LF, at);
            const end = newline === -1 ? bytes.length : newline;
            this.#takeLine(bytes, at, end, newline !== -1);
            at = end + 1;
            const event = newline === -1 ? undefined : this.#obeyLine();
            if (event) yield event;
            break;
          }
          case "json":
            at = this.#takeJson(bytes, at);
            if (this.#report) yield* this.#nextFile(this.#report);
            break;
          case "files": {
            const report = this.#report!;
            const file = report.files![this.#fileIndex]!;
            const first = !this.#fileBegun;
            const piece = bytes.subarray(at, at + file.length - this.#fileDone);
            at += piece.length;
            this.#fileDone += piece.length;
            this.#fileBegun = true;
            const last = this.#fileDone === file.length;
            yield { type: "upload", report, file, bytes: piece, first, last };
            if (last) {
              this.#fileIndex++;
              yield* this.#nextFile(report);
            }
          }
        }
      }
      if (this.#state === "files" && !this.#fileBegun) {
        // whether it can be stored must not depend on what comes next
        this.#fileBegun = true;
        const report = this.#report!;
        const file = report.files![this.#fileIndex]!;
        yield {
          type: "upload",
          report,
          file,
          bytes: nothing,
          first: true,
          last: false,
        };
      }
    } catch (error) {
      this.stop();
      throw error;
    } finally {
      this.#tail.reset(nothing);
    }
  }

  /**
   * Tells that there are no more bytes. Returns the beginning of a line that did
   * not come to its end; it counts for nothing.
   *
   * @throws {BadControlError} if the stream ended inside a result
   */
  end(): string {
    const state = this.#state;
    const line = this.#line;
    const report = this.#report;
    this.stop();
    if (state === "json") {
      throw new BadControlError(
        "Cannot read a result: end of stream inside its JSON",
      );
    }
    if (state === "files") {
      const { name } = report!.files![this.#fileIndex]!;
      throw new BadControlError(
        `Cannot read a result: end of stream inside its file ${
          JSON.stringify(name)
        }`,
      );
    }
    return line;
  }

  /** Ignores whatever comes from now on. */
  stop(): void {
    this.#state = "over";
    this.#line = "";
    this.#report = undefined;
    if (this.#started) this.#release();
  }

  /** Drops what comes before the start mark; returns the place after it. */
  #takeMark(bytes: Uint8Array): number {
    const mark = this.#startMark!;
    const most = MAX_DROPPED + mark.length;
    const before = this.#heldLength;
    this.#hold(bytes.subarray(0, most - before), most);
    const held = this.#held.subarray(0, this.#heldLength);
    const index = find(mark, held, Math.max(0, before - mark.length + 1));
    if (index !== -1) {
      this.#dropped = new TextDecoder().decode(held.subarray(0, index));
      this.#release();
      this.#started = true;
      this.#state = "line";
      return index + mark.length - before;
    }
    if (held.length === most) {
      throw new TestAbortedError(
        "Cannot start the test: something else than its wrapper printed more than 64 KiB",
        "wrapper",
      );
    }
    return bytes.length;
  }

  #takeLine(
    bytes: Uint8Array,
    start: number,
    end: number,
    complete: boolean,
  ): void {
    // with the end that it has, or is still to get
    if (this.#line.length + end - start + 1 > MAX_LINE) {
      throw badLine(
        this.#line + textOf(bytes.subarray(start, start + 81)),
        `it has more than ${MAX_LINE} bytes`,
      );
    }
    const text = textOf(bytes.subarray(start, end));
    this.#line = complete && this.#line === "" ? text : this.#line + text;
  }

  /** Does what the line says. */
  #obeyLine(): ControlEvent | undefined {
    const line = this.#line;
    this.#line = "";
    if (line === this.#endMark) this.#ended = true;
    const order = readLine(line);
    switch (order.word) {
      case "result":
        this.#expectJson(order.length);
        return undefined;
      case "exitcode":
        this.#exitCode = order.code;
        return undefined;
      case "duration":
        return { type: "duration", change: order.change };
      case "disconnect":
        this.#disconnected = true;
        this.stop();
        return undefined;
      case "noop":
        return undefined;
    }
  }

  #expectJson(length: number): void {
    this.#jsonLength = length;
    this.#state = "json";
  }

  /** Takes bytes of JSON, up to its end; then `#report` is set. */
  #takeJson(bytes: Uint8Array, at: number): number {
    const end = at + this.#jsonLength - this.#heldLength;
    if (this.#heldLength === 0 && end <= bytes.length) {
      const text = this.#hadFiles ? undefined : this.#tail.slice(at, end);
      this.#report = readReport(text ?? bytes.subarray(at, end));
      return end;
    }
    const piece = bytes.subarray(at, end);
    this.#hold(piece, this.#jsonLength);
    if (this.#heldLength === this.#jsonLength) {
      this.#report = readReport(this.#held.subarray(0, this.#heldLength));
      this.#release();
    }
    return at + piece.length;
  }

  /** Goes on to the next file that has bytes, or ends the result. */
  *#nextFile(report: Report): Generator<ControlEvent, void> {
    const files = report.files ?? [];
    while (this.#fileIndex < files.length) {
      const file = files[this.#fileIndex]!;
      if (file.length > 0) {
        this.#fileBegun = false;
        this.#fileDone = 0;
        this.#state = "files";
        return;
      }
      this.#fileIndex++;
      yield {
        type: "upload",
        report,
        file,
        bytes: nothing,
        first: true,
        last: true,
      };
    }
    this.#report = undefined;
    this.#hadFiles = files.length > 0;
    this.#fileIndex = 0;
    this.#state = "line";
    yield { type: "result", report };
  }

  #hold(bytes: Uint8Array, most: number): void {
    const length = this.#heldLength + bytes.length;
    if (length > this.#held.length) {
      const larger = new Uint8Array(
        Math.min(most, Math.max(1024, 2 * length)),
      );
      larger.set(this.#held.subarray(0, this.#heldLength));
      this.#held = larger;
    }
    this.#held.set(bytes, this.#heldLength);
    this.#heldLength = length;
  }

  #release(): void {
    this.#held = nothing;
    this.#heldLength = 0;
  }
}

/** One character for each byte, whatever it means. */
function textOf(bytes: Uint8Array): string {
  // several times faster than to spread them
  return String.fromCharCode.apply(null, bytes as unknown as number[]);
}
