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
