/** Compressing by gzip and zstd. */
import {
  constants,
  createGzip,
  createZstdCompress,
  gzipSync,
  zstdCompressSync,
} from "node:zlib";
import { type Compressor, type Job, slots } from "./_compressor.ts";
import { copyAttributes, copyTimes } from "./_move.ts";
import { writeAll } from "./_spool.ts";

/** Bytes of a file that is compressed in memory: faster, by a third of the work. */
const SMALL = 128 * 1024;
/** Bytes that are made room for at once. */
const CHUNK = 64 * 1024;
/** How long everything else may have to wait for small files, in milliseconds. */
const PATIENCE = 20;

/** Makes a compressor of a format and level. */
export function openZlib(format: "gzip" | "zstd", level: number): Compressor {
  const options = {
    level,
    chunkSize: CHUNK,
    params: { [constants.ZSTD_c_compressionLevel]: level },
  };
  const [inMemory, stream] = format === "gzip"
    ? [gzipSync, createGzip]
    : [zstdCompressSync, createZstdCompress];

  async function compressLarge({ from, info, to }: Job): Promise<void> {
    using _slot = await slots.acquire();
    using source = await Deno.open(from);
    using target = await Deno.open(to, { write: true, createNew: true });
    const engine = stream(options);
    const made: Uint8Array[] = [];
    let fail: (error: Error) => void;
    engine.on("data", (bytes: Uint8Array) => made.push(bytes));
    engine.on("error", (error: Error) => fail(error));
    const block = new Uint8Array(CHUNK);
    try {
      for (let isLast = false; !isLast;) {
        const count = await source.read(block);
        isLast = count === null;
        await new Promise<void>((resolve, reject) => {
          fail = reject;
          if (isLast) engine.on("end", resolve).end();
          else engine.write(block.subarray(0, count!), () => resolve());
        });
        for (const bytes of made.splice(0)) await writeAll(target, bytes);
      }
    } finally {
      engine.destroy();
    }
    copyAttributes(info, to);
  }

  return {
    async compress(jobs) {
      let since = performance.now();
      for (const job of jobs) {
        if (job.info.size > SMALL) await compressLarge(job);
        else {
          const bytes = Deno.readFileSync(job.from);
          const sized = {
            ...options,
            chunkSize: Math.min(CHUNK, bytes.length + 1024),
            // else zstd makes ready for a large file, which takes 50 times as long
            pledgedSrcSize: bytes.length,
          };
          const mode = job.info.mode ?? 0o666;
          Deno.writeFileSync(job.to, inMemory(bytes, sized), {
            createNew: true,
            mode: mode & 0o777,
          });
          // to set the mode by itself is another way to the file, and seldom needed
          if ((mode & 0o7000) === 0) copyTimes(job.info, job.to);
          else copyAttributes(job.info, job.to);
        }
        if (performance.now() - since > PATIENCE) {
          await new Promise((resolve) => setTimeout(resolve));
          since = performance.now();
        }
      }
    },
  };
}
