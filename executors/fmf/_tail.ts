const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * The rest of a piece of a stream as text: to decode many small parts at once takes a fraction of the time. Only
 * for ASCII, in which bytes and characters have the same places.
 */
export class Tail {
  #bytes = new Uint8Array(0);
  #text: string | undefined;
  #start = -1;

  /** Begins with another piece. */
  reset(bytes: Uint8Array): void {
    this.#bytes = bytes as Uint8Array<ArrayBuffer>;
    this.#text = undefined;
    this.#start = -1;
  }

  /** A part that is not before any other that was asked for; `undefined` if not all that comes after it is ASCII. */
  slice(start: number, end: number): string | undefined {
    if (this.#start === -1) {
      this.#start = start;
      this.#text = ascii(this.#bytes.subarray(start));
    }
    return this.#text?.slice(start - this.#start, end - this.#start);
  }
}

function ascii(bytes: Uint8Array): string | undefined {
  try {
    const text = decoder.decode(bytes);
    // all other characters take more bytes than units
    return text.length === bytes.length ? text : undefined;
  } catch {
    return undefined;
  }
}
