import { z } from "zod";
import { shorten } from "../options.ts";

/** The most bytes of a line, in both directions. */
export const LONGEST_LINE = 1 << 20;

const NEWLINE = "\n".charCodeAt(0);

/** What the virt helper says to a request. */
export interface VirtHelperReply {
  /** Whether the command was carried out. */
  readonly success: boolean;
  /** The command; not there if the helper did not get so far as to know it. */
  readonly cmd?: string | undefined;
  /** Output, or the reason of a failure. */
  readonly reply?: string | undefined;
  /** The arguments again, and what belongs to the command. */
  readonly [field: string]: unknown;
}

const schema: z.ZodType<VirtHelperReply> = z.looseObject({
  success: z.boolean(),
  cmd: z.string().optional(),
  reply: z.string().optional(),
});

/** What came is not the protocol of the virt helper. */
export class ConfusedError extends Error {}

/** Takes the stream of a virt helper apart, whatever pieces it comes in. */
export class ReplyParser {
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  /**
   * Gives the replies that end in this piece of the stream.
   *
   * @throws {ConfusedError} if something in it is no reply; nothing after that makes sense
   */
  push(bytes: Uint8Array): VirtHelperReply[] {
    const replies: VirtHelperReply[] = [];
    for (let start = 0;;) {
      const end = bytes.indexOf(NEWLINE, start);
      this.#keep(bytes.subarray(start, end < 0 ? bytes.length : end));
      if (end < 0) return replies;
      replies.push(this.#take());
      start = end + 1;
    }
  }

  #keep(part: Uint8Array): void {
    this.#parts.push(part.slice());
    this.#length += part.length;
    if (this.#length >= LONGEST_LINE) {
      throw new ConfusedError(`a line of more than ${LONGEST_LINE} bytes`);
    }
  }

  #take(): VirtHelperReply {
    const line = concat(this.#parts.splice(0), this.#length);
    this.#length = 0;
    let data: unknown;
    try {
      data = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(line));
    } catch {
      throw new ConfusedError(`"${excerpt(line)}"`);
    }
    const result = schema.safeParse(data);
    if (!result.success) throw new ConfusedError(`"${excerpt(line)}"`);
    return result.data;
  }
}

function concat(parts: readonly Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length);
  let position = 0;
  for (const part of parts) {
    whole.set(part, position);
    position += part.length;
  }
  return whole;
}

/** For messages. */
function excerpt(line: Uint8Array): string {
  const text = new TextDecoder().decode(line.subarray(0, 400)).trim();
  return shorten(text, 100);
}
