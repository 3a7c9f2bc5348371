/** Where the frames of a file of zstd are: the decompressor takes one, and does not tell if it was cut off. */

const FRAME = 0xfd2fb528;
/** Content for others; the last four bits of the first word are free. */
const SKIPPABLE = 0x184d2a50;
/** Bytes of a dictionary's id, and of the size of the content, by what the descriptor says. */
const ID_BYTES = [0, 1, 2, 4];
const SIZE_BYTES = [0, 2, 4, 8];

/** Where a frame begins, and where it ends. */
export type Frame = [start: number, end: number];

/**
 * Finds all frames.
 *
 * @throws {Error} if the file does not end with the last one
 */
export function framesOf(file: Deno.FsFile): Frame[] {
  const { size } = file.statSync();
  const reader = new Reader(file);
  const frames: Frame[] = [];
  while (reader.at < size) {
    const start = reader.at;
    const magic = reader.take(4);
    if ((magic & ~0xf) === SKIPPABLE) {
      const length = reader.take(4);
      reader.at += length;
    } else if (magic === FRAME) {
      skipFrame(reader, size);
      frames.push([start, reader.at]);
    } else throw new Error("what follows a frame is none");
  }
  if (reader.at !== size) throw new Error("the file is not whole");
  return frames;
}

/** Goes to the end of a frame, or beyond that of the file. */
function skipFrame(reader: Reader, size: number): void {
  const descriptor = reader.take(1);
  const isSingle = (descriptor & 0x20) !== 0;
  reader.at += (isSingle ? 0 : 1) + ID_BYTES[descriptor & 3]! +
    (SIZE_BYTES[descriptor >> 6]! || (isSingle ? 1 : 0));
  for (let isLast = false; !isLast;) {
    if (reader.at + 3 > size) {
      reader.at = Infinity;
      return;
    }
    const block = reader.take(3);
    isLast = (block & 1) !== 0;
    const isRepeated = (block >> 1 & 3) === 1;
    reader.at += isRepeated ? 1 : block >> 3;
  }
  if ((descriptor & 4) !== 0) reader.at += 4;
}

/** Takes numbers out of a file. */
class Reader {
  at = 0;
  readonly #file: Deno.FsFile;

  constructor(file: Deno.FsFile) {
    this.#file = file;
  }

  /** The number in some bytes, least first; they are passed over. What is beyond the end is 0. */
  take(bytes: number): number {
    const buffer = new Uint8Array(4);
    this.#file.seekSync(this.at, Deno.SeekMode.Start);
    for (let filled = 0; filled < bytes;) {
      filled += this.#file.readSync(buffer.subarray(filled, bytes)) ?? bytes;
    }
    this.at += bytes;
    return new DataView(buffer.buffer).getUint32(0, true);
  }
}
