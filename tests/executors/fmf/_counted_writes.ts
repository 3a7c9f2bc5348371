/** Counts what this program gives to files to be written, by one of their methods. */
export class CountedWrites implements Disposable {
  calls = 0;
  bytes = 0;
  readonly #undo: () => void;

  constructor(method: "write" | "writeSync") {
    const files = Deno.FsFile.prototype as unknown as Record<
      typeof method,
      (bytes: Uint8Array) => unknown
    >;
    const original = files[method];
    const count = (bytes: Uint8Array) => {
      this.calls++;
      this.bytes += bytes.length;
    };
    files[method] = function (bytes) {
      count(bytes);
      return original.call(this, bytes);
    };
    this.#undo = () => files[method] = original;
  }

  [Symbol.dispose](): void {
    this.#undo();
  }
}
