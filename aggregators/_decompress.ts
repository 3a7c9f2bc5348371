/** Reading files of results, whatever they are compressed with. */

const GZIP = [0x1f, 0x8b];
const ZSTD = [0x28, 0xb5, 0x2f, 0xfd];
/** Also what some programs put before the first frame. */
const ZSTD_SKIPPABLE = [0x50, 0x2a, 0x4d, 0x18];
const XZ = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00];

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
  const isGzip = is(GZIP);
  if (isGzip || is(ZSTD) || is(ZSTD_SKIPPABLE)) {
    // it takes long to load, and most files are something else
    const { gunzip, unzstd } = await import("./_unzip.ts");
    return orUnreadable(isGzip ? gunzip(file) : unzstd(file), path);
  }
  return file.readable;
}

async function* orUnreadable(
  plain: AsyncIterable<Uint8Array>,
  path: string,
): AsyncGenerator<Uint8Array> {
  const bytes = plain[Symbol.asyncIterator]();
  try {
    for (;;) {
      const { done, value } = await bytes.next().catch((cause) => {
        throw unreadable(path, cause instanceof Error ? cause.message : cause, {
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

/** The error for a file that cannot be decompressed. */
function unreadable(path: string, why: unknown, options?: ErrorOptions): Error {
  return new Error(`Cannot read results from "${path}": ${why}`, options);
}

async function* decompressXz(path: string): AsyncGenerator<Uint8Array> {
  const child = startXz(path);
  try {
    yield* child.stdout;
  } finally {
    // if the reader does not want the rest, xz ends by itself: nobody takes it
    await child.status;
  }
  const { code } = await child.status;
  if (code !== 0) throw unreadable(path, `xz ended with exit code ${code}`);
}

function startXz(path: string): Deno.ChildProcess {
  try {
    return new Deno.Command("xz", {
      args: ["--decompress", "--stdout", "--", path],
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw unreadable(path, 'the program "xz" is not installed', { cause });
  }
}
