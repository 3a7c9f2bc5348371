/** Whether a file of zstd was cut off: decompressing it does not tell. */

const FRAME = 0xfd2fb528;
/** The last four bits of the first word are free. */
const SKIPPABLE = 0x184d2a50;
/** Bytes of a dictionary's id, and of the size of the content, by what the descriptor says. */
const ID_BYTES = [0, 1, 2, 4];
const SIZE_BYTES = [0, 2, 4, 8];

/** Whether all frames end, and with them the file. */
export function hasWholeFrames(file: Deno.FsFile): boolean {
  const { size } = file.statSync();
  let at = 0;
  /** The number in some bytes, least first; they are passed over. */
  const take = (bytes: number): number => {
    const buffer = new Uint8Array(8);
    file.seekSync(at, Deno.SeekMode.Start);
    for (let filled = 0; filled < bytes;) {
      // what is missing shows in the end
      filled += file.readSync(buffer.subarray(filled, bytes)) ?? bytes;
    }
    at += bytes;
    return new DataView(buffer.buffer).getUint32(0, true);
  };
  while (at < size) {
    const magic = take(4);
    if ((magic & ~0xf) === SKIPPABLE) {
      at += take(4);
      continue;
    }
    if (magic !== FRAME) return false;
    const descriptor = take(1);
    const isSingle = (descriptor & 0x20) !== 0;
    const sizeBytes = SIZE_BYTES[descriptor >> 6]! ||
      (isSingle ? 1 : 0);
    at += (isSingle ? 0 : 1) + ID_BYTES[descriptor & 3]! + sizeBytes;
    for (let isLast = false; !isLast && at < size;) {
      const block = take(3);
      isLast = (block & 1) !== 0;
      const isRepeated = (block >> 1 & 3) === 1;
      at += isRepeated ? 1 : block >> 3;
      if (!isLast && at >= size) return false;
    }
    if ((descriptor & 4) !== 0) at += 4;
  }
  return at === size;
}
