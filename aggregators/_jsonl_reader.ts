/** Reading back what the aggregator of JSON lines wrote. */
import { fromFileUrl } from "@std/path/from-file-url";
import { BadResultsError } from "../executors/results.ts";

/** A line of results. */
export interface JsonLine {
  /** Label of the platform. */
  platform: string;
  /** Name of the test. */
  test: string;
  /** Name of the part of the test; absent for the test itself. */
  subtest?: string;
  /** How it went. */
  status?: string;
  /** Names of its files. */
  files: string[];
  /** A short text for people. */
  note?: string;
  /** The seventh item, if there is one: what the option `fields` asked for. */
  fields?: Record<string, unknown>;
}

/**
 * Reads a file of results that `JsonLinesAggregator` wrote, also compressed by
 * gzip, zstd or xz. A last line that is not complete, as a killed script leaves
 * it, is ignored.
 *
 * Needs `--allow-read` for the file, and `--allow-run=xz` if it is one of xz.
 *
 * @throws {BadResultsError} if another line cannot be understood
 */
export async function* readJsonLines(
  path: string | URL,
): AsyncGenerator<JsonLine> {
  const name = typeof path === "string" ? path : fromFileUrl(path);
  let line = 0;
  let rest = "";
  for await (const text of textOf(name)) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const text of lines) {
      line++;
      if (text.trim() !== "") yield parseLine(text, name, line);
    }
  }
  if (rest.trim() === "") return;
  let last: JsonLine;
  try {
    last = parseLine(rest, name, line + 1);
  } catch {
    return;
  }
  yield last;
}

/** The text of a file, whatever it is compressed with. */
async function* textOf(path: string): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  for await (const bytes of await openBytes(path)) {
    yield decoder.decode(bytes, { stream: true });
  }
}

const GZIP = [0x1f, 0x8b];
const ZSTD = [0x28, 0xb5, 0x2f, 0xfd];
const XZ = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00];

async function openBytes(path: string): Promise<AsyncIterable<Uint8Array>> {
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
  if (is(GZIP)) {
    return file.readable.pipeThrough(new DecompressionStream("gzip"));
  }
  if (is(ZSTD)) return decompressZstd(file);
  if (is(XZ)) {
    file.close();
    return decompressXz(path);
  }
  return file.readable;
}

async function* decompressZstd(file: Deno.FsFile): AsyncGenerator<Uint8Array> {
  // it takes long to load, and most files are something else
  const [{ createZstdDecompress }, { pipeline }] = await Promise.all([
    import("node:zlib"),
    import("node:stream/promises"),
  ]);
  const decompressor = createZstdDecompress();
  const done = pipeline(file.readable, decompressor);
  done.catch(() => {}); // the reader sees it, too
  yield* decompressor;
  await done;
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
  if (code !== 0) {
    throw new Error(
      `Cannot read results from "${path}": xz ended with exit code ${code}`,
    );
  }
}

function parseLine(text: string, path: string, line: number): JsonLine {
  let items: unknown;
  try {
    items = JSON.parse(text);
  } catch (cause) {
    throw new BadResultsError(path, line, "is not JSON", { cause });
  }
  if (!Array.isArray(items) || items.length < 6 || items.length > 7) {
    throw new BadResultsError(path, line, "is not a list of 6 or 7 items");
  }
  const [platform, status, test, subtest, files, note, fields] = items;
  if (
    typeof platform !== "string" || typeof test !== "string" ||
    ![status, subtest, note].every(isTextOrNull) ||
    !(files === null || Array.isArray(files) && files.every(isText)) ||
    !(fields === undefined || typeof fields === "object" && fields !== null)
  ) {
    throw new BadResultsError(path, line, "has items of wrong types");
  }
  return {
    platform,
    test,
    ...(subtest !== null && { subtest }),
    ...(status !== null && { status }),
    files: files ?? [],
    ...(note !== null && { note }),
    ...(fields !== undefined && { fields }),
  };
}

function isText(value: unknown): boolean {
  return typeof value === "string";
}

function isTextOrNull(value: unknown): boolean {
  return value === null || isText(value);
}
