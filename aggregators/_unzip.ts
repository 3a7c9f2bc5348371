/** Decompressing gzip and zstd. They close the file. */
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { framesOf } from "./_zstd_frames.ts";

const BLOCK = 64 * 1024;

/** What is in a file of gzip; unlike the platform's own way, of several that were joined, too. */
export async function* gunzip(
  source: Deno.FsFile,
): AsyncGenerator<Uint8Array> {
  using file = source;
  const { size } = file.statSync();
  yield* through(createGunzip(), bytesBetween(file, 0, size));
}

/** What is in a file of zstd. */
export async function* unzstd(
  source: Deno.FsFile,
): AsyncGenerator<Uint8Array> {
  using file = source;
  for (const [start, end] of framesOf(file)) {
    yield* through(createZstdDecompress(), bytesBetween(file, start, end));
  }
}

async function* through(
  decompressor: Duplex,
  bytes: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const done = pipeline(bytes, decompressor);
  const ended = done.catch(() => {}); // the reader sees it, too
  try {
    yield* decompressor;
    await done;
  } finally {
    await ended;
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
