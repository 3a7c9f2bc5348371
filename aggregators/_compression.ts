/** How results and files are compressed, as a user says it. */
import { checkKind, checkOptions, type Known } from "../options.ts";
import type { Compressor } from "./_compressor.ts";

/** A format of compressed files. */
export type CompressionFormat = "gzip" | "zstd" | "xz";

/** How results and files are to be compressed. */
export interface Compression {
  /** The format. For `xz` the program of that name is needed, and `--allow-run=xz`. */
  format: CompressionFormat;
  /**
   * How much work to do: 0 to 9 for gzip and xz, 1 to 22 for zstd. Results are
   * lines that resemble each other: for a million of them, level 1 takes xz a
   * fraction of the time, and makes them as small.
   *
   * @default {9, or 10 for zstd}
   */
  level?: number | undefined;
  /**
   * Compress also the files of tests. Links, sockets and the like stay what they
   * are; empty directories are left out.
   *
   * @default {true}
   */
  files?: boolean | undefined;
  /**
   * What the names of compressed files get, in the results, too. With `""` they keep
   * theirs. So does a file that could not have the longer name, because something
   * else has it or because it is too long for the file system: it is then not compressed.
   *
   * @default {".gz", ".zst" or ".xz"}
   */
  suffix?: string | undefined;
  /**
   * Names of files, without directories, that are left as they are.
   *
   * @default {[]}
   */
  exclude?: readonly string[] | undefined;
}

const OPTIONS: Known<Compression> = {
  format: "a string",
  level: "a number, if given",
  files: "true or false, if given",
  suffix: "a string, if given",
  exclude: "a list, if given",
};

const FORMATS = {
  gzip: { suffix: ".gz", level: 9, least: 0, most: 9 },
  zstd: { suffix: ".zst", level: 10, least: 1, most: 22 },
  xz: { suffix: ".xz", level: 9, least: 0, most: 9 },
};

/**
 * Adds what is not said.
 *
 * @throws {TypeError} if an option cannot be used
 * @throws {RangeError} if there is no such level
 */
export function completeCompression(
  options: Compression,
): Required<Compression> {
  const { format, files = true, exclude = [] } = options;
  if (!Object.hasOwn(FORMATS, format)) {
    throw new TypeError(
      `Cannot compress by ${JSON.stringify(format)}: the formats are ${
        Object.keys(FORMATS).join(", ")
      }`,
    );
  }
  checkOptions('"compression"', options, OPTIONS);
  for (const [index, name] of [...exclude].entries()) {
    checkKind('"compression"', `exclude[${index}]`, name, "a string");
  }
  const { least, most, ...usual } = FORMATS[format];
  const { level = usual.level, suffix = usual.suffix } = options;
  if (!Number.isInteger(level) || level < least || level > most) {
    throw new RangeError(
      `Cannot compress by ${format} with level ${level}: it has levels from ${least} to ${most}`,
    );
  }
  // deno-lint-ignore no-control-regex -- these are what it looks for
  if (/[/\u0000-\u001f]/.test(suffix)) {
    throw new TypeError(
      `Cannot use ${
        JSON.stringify(suffix)
      } as a suffix: it has a slash or a control character`,
    );
  }
  return { format, level, files, suffix, exclude };
}

/** The format that the name of a file tells, if it does. */
export function formatOf(path: string): CompressionFormat | undefined {
  return (Object.keys(FORMATS) as CompressionFormat[])
    .find((format) => path.endsWith(FORMATS[format].suffix));
}

/**
 * Loads what is needed for a format.
 *
 * @throws {Deno.errors.NotFound} if a program is not installed
 */
export async function openCompressor(
  { format, level }: Required<Pick<Compression, "format" | "level">>,
): Promise<Compressor> {
  // most scripts need none of them
  if (format === "xz") {
    const { openXz } = await import("./_xz.ts");
    return await openXz(level);
  }
  const { openZlib } = await import("./_zlib.ts");
  return openZlib(format, level);
}
