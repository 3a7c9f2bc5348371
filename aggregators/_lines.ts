/** Lines of files that are too large for memory. */

const NEWLINE = 10;

/** Lines with their ends, also a last one without. */
export async function* linesOf(file: Deno.FsFile): AsyncGenerator<Uint8Array> {
  file.seekSync(0, Deno.SeekMode.Start);
  const block = new Uint8Array(64 * 1024);
  let parts: Uint8Array[] = [];
  for (;;) {
    const count = await file.read(block);
    if (count === null) break;
    for (let from = 0; from < count;) {
      const end = block.subarray(0, count).indexOf(NEWLINE, from) + 1 || count;
      parts.push(block.slice(from, end));
      from = end;
      if (block[end - 1] !== NEWLINE) continue;
      yield joined(parts);
      parts = [];
    }
  }
  if (parts.length > 0) yield joined(parts);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  const whole = new Uint8Array(
    parts.reduce((sum, { length }) => sum + length, 0),
  );
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
