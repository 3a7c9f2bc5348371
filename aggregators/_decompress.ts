/** Reading files of results, whatever they are compressed with. */

const GZIP = [0x1f, 0x8b];
const ZSTD = [0x28, 0xb5, 0x2f, 0xfd];
/** Also what some programs put before the first frame. */
const ZSTD_SKIPPABLE = [0x50, 0x2a, 0x4d, 0x18];
const XZ = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00];

const BLOCK = 64 * 1024;

/** The text of a file. */
export async function* textOf(path: string): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  for await (const bytes of await openBytes(path)) {
    yield decoder.decode(bytes, { stream: true });
  }
}

/** What is in a file: gzip, zstd and xz are known by how they begin. */
export async function openBytes(
  path: string,
): Promise<AsyncIterable<Uint8Array>> {
  const file = await Deno.open(path);
  const start = new Uint8Array(6);
  try {
    await file.read(start);
    await file.seek(0, Deno.SeekMode.Start);
  } catch (error) {
    file.close();
    throw error;
  }
  const is = (magic: number[]) => magic.every((byte, i) => start[i] === byte);
  if (is(XZ)) {
    file.close();
    return decompressXz(path);
  }
  if (is(GZIP)) {
    const plain = file.readable.pipeThrough(new DecompressionStream("gzip"));
    return orCorrupt(plain, path);
  }
  if (is(ZSTD) || is(ZSTD_SKIPPABLE)) {
    return orCorrupt(decompressZstd(file), path);
  }
  return file.readable;
}

async function* orCorrupt(
  plain: AsyncIterable<Uint8Array>,
  path: string,
): AsyncGenerator<Uint8Array> {
  const bytes = plain[Symbol.asyncIterator]();
  try {
    for (;;) {
      const { done, value } = await bytes.next().catch((cause) => {
        throw corrupt(path, cause instanceof Error ? cause.message : cause, {
          cause,
        });
      });
      if (done) return;
      yield value;
    }
  } finally {
    await bytes.return?.();
  }
}

function corrupt(path: string, why: unknown, options?: ErrorOptions): Error {
  return new Error(`Cannot read results from "${path}": ${why}`, options);
}

async function* decompressZstd(
  source: Deno.FsFile,
): AsyncGenerator<Uint8Array> {
  using file = source;
  // it takes long to load, and most files are something else
  const [{ createZstdDecompress }, { pipeline }, { framesOf }] = await Promise
    .all([
      import("node:zlib"),
      import("node:stream/promises"),
      import("./_zstd_frames.ts"),
    ]);
  for (const [start, end] of framesOf(file)) {
    const decompressor = createZstdDecompress();
    const done = pipeline(bytesBetween(file, start, end), decompressor);
    const ended = done.catch(() => {}); // the reader sees it, too
    try {
      yield* decompressor;
      await done;
    } finally {
      await ended;
    }
  }
}

async function* bytesBetween(
  file: Deno.FsFile,
  start: number,
  end: number,
): AsyncGenerator<Uint8Array> {
  await file.seek(start, Deno.SeekMode.Start);
  for (let left = end - start; left > 0;) {
    const block = new Uint8Array(Math.min(left, BLOCK));
    const count = await file.read(block);
    if (count === null) return;
    left -= count;
    yield block.subarray(0, count);
  }
}

async function* decompressXz(path: string): AsyncGenerator<Uint8Array> {
  const child = new Deno.Command("xz", {
    args: ["--decompress", "--stdout", "--", path],
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  try {
    yield* child.stdout;
  } finally {
    // if the reader does not want the rest, xz ends by itself: nobody takes it
    await child.status;
  }
  const { code } = await child.status;
  if (code !== 0) throw corrupt(path, `xz ended with exit code ${code}`);
}
