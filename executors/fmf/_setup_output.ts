/** What arrives on the control channel before the test starts: the output of its set-up. */

import { find, startMark } from "./_mark.ts";

/** How much of it is kept, in bytes: the end of it. */
const KEPT = 4 * 1024 * 1024;

/** How much of it an error shows, in characters. */
const SHOWN = 1000;

/** The end of what was printed, for a message: whole lines, after "…" if there were more. */
export function lastLines(printed: string): string {
  const text = printed.trim();
  if (text.length <= SHOWN) return text;
  const end = text.slice(-SHOWN);
  return `…\n${end.slice(end.indexOf("\n") + 1)}`;
}

/** Takes bytes up to the start mark. */
export class SetupOutput {
  readonly #mark: Uint8Array;
  #buffer = new Uint8Array(4096);
  #length = 0;
  #cut = false;

  /** Creates it for a start mark with this nonce. */
  constructor(nonce: string) {
    this.#mark = startMark(nonce);
  }

  /** What came before the start mark. */
  get text(): string {
    const text = new TextDecoder().decode(
      this.#buffer.subarray(0, this.#length),
    );
    return this.#cut ? `[cut]${text}` : text;
  }

  /**
   * Takes bytes. Once the start mark has come it gives it with what follows,
   * and must not be called again.
   */
  take(bytes: Uint8Array): Uint8Array | undefined {
    const before = this.#length;
    this.#append(bytes);
    const from = Math.max(0, this.#length - bytes.length - this.#mark.length);
    const at = find(
      this.#mark,
      this.#buffer.subarray(0, this.#length),
      Math.min(before, from),
    );
    if (at === -1) return undefined;
    const rest = this.#buffer.slice(at, this.#length);
    this.#length = at;
    return rest;
  }

  #append(bytes: Uint8Array): void {
    if (this.#length + bytes.length > KEPT) {
      // at least the mark fits into the half that stays
      const dropped = Math.max(0, this.#length - KEPT / 2);
      this.#buffer.copyWithin(0, dropped, this.#length);
      this.#length -= dropped;
      this.#cut = true;
    }
    const length = this.#length + bytes.length;
    if (length > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(length, 2 * this.#buffer.length));
      larger.set(this.#buffer.subarray(0, this.#length));
      this.#buffer = larger;
    }
    this.#buffer.set(bytes, this.#length);
    this.#length = length;
  }
}
