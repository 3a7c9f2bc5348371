/** Files of a test. */

/** Whether it is a regular file in a directory; one elsewhere that a link leads to does not belong to a test. */
export function isWithin(directory: string, path: string): boolean {
  try {
    return Deno.realPathSync(path).startsWith(
      `${Deno.realPathSync(directory)}/`,
    ) && Deno.statSync(path).isFile;
  } catch {
    return false; // it was listed, but never written
  }
}

/** Bytes of a text without part of a character at the beginning. */
export function fromCharacter(
  bytes: Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> {
  return bytes.subarray(
    Math.max(0, bytes.findIndex((byte) => (byte & 0xc0) !== 0x80)),
  );
}

/** Some bytes of a file; less if it is shorter. */
export function readPart(
  file: Deno.FsFile,
  start: number,
  length: number,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  file.seekSync(start, Deno.SeekMode.Start);
  for (let filled = 0; filled < length;) {
    const count = file.readSync(bytes.subarray(filled));
    if (count === null) return bytes.subarray(0, filled);
    filled += count;
  }
  return bytes;
}
