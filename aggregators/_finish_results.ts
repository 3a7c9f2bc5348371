/** Compressing results when all are there. */
import { pathOf } from "../options.ts";
import {
  completeCompression,
  type Compression,
  formatOf,
  openCompressor,
} from "./_compression.ts";
import type { Compressor } from "./_compressor.ts";
import { cutPartial } from "./_cut_partial.ts";
import { makeTarget, openLeftover } from "./_part.ts";

/** Makes results from their part. */
export function compressResults(
  results: string,
  compressor: Compressor,
): Promise<void> {
  return makeTarget(results, {
    by: "finishResults",
    make: (part, to, scratch) =>
      compressor.compress(
        [{ from: part, to, info: Deno.lstatSync(part) }],
        scratch,
      ),
  });
}

/**
 * Compresses results that a script could not finish, since it was killed or the
 * disk was full. Until it ends, an aggregator keeps them uncompressed beside the
 * target, in a file whose name has `.part` at its end; every reader takes that
 * file, too. Part of a last line is left out.
 *
 * Needs `--allow-read` and `--allow-write` for the directory, and for xz
 * `--allow-run=xz`.
 *
 * @param part path of that file; it is gone at the end
 * @param compression the format, if the name of the results does not tell it by
 * `.gz`, `.xz` or `.zst`, and the level
 * @returns the path of the results
 * @throws {TypeError} if it is no part, one of JUnit XML, or the format is not known
 * @throws {Deno.errors.NotFound} if there is no such file
 * @throws {Deno.errors.Busy} if a run is still writing to it
 * @throws {Deno.errors.AlreadyExists} if there are other results at that path
 *
 * @example
 * ```ts
 * import { finishResults } from "jsr:@atex/atex/aggregators/jsonl";
 *
 * console.log(await finishResults("out/nightly.jsonl.gz.part"));
 * ```
 */
export async function finishResults(
  part: string | URL,
  { format, level }: Partial<Pick<Compression, "format" | "level">> = {},
): Promise<string> {
  using leftover = openLeftover(pathOf(part), "finishResults");
  const { path, target, file } = leftover;
  const chosen = format ?? formatOf(target);
  if (!chosen) {
    throw new TypeError(
      `Cannot finish "${path}": its name does not tell how to compress it; give the format`,
    );
  }
  const compressor = await openCompressor(
    completeCompression({
      format: chosen,
      ...(level !== undefined && { level }),
    }),
  );
  cutPartial(file);
  await compressResults(target, compressor);
  return target;
}
