/** Reading what comes through a pipe, in a way that can be given up: `cancel()` of the reader ends it. */

type Bytes = Uint8Array<ArrayBuffer>;

/** What comes, piece by piece. */
export async function* piecesOf(
  reader: ReadableStreamDefaultReader<Bytes>,
): AsyncGenerator<Bytes> {
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

/** All that comes. */
export async function readAll(
  reader: ReadableStreamDefaultReader<Bytes>,
): Promise<Bytes> {
  return await new Blob(await Array.fromAsync(piecesOf(reader))).bytes();
}

/** The last bytes that come, at most so many. */
export async function readLast(
  reader: ReadableStreamDefaultReader<Bytes>,
  most: number,
): Promise<Bytes> {
  const pieces: Bytes[] = [];
  let length = 0;
  for await (const piece of piecesOf(reader)) {
    pieces.push(piece);
    length += piece.length;
    while (length - pieces[0]!.length >= most) length -= pieces.shift()!.length;
  }
  return (await new Blob(pieces).bytes()).subarray(-most);
}
