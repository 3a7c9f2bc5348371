/** Compressing results when all are there. */
import {
  completeCompression,
  type Compression,
  formatOf,
  openCompressor,
} from "./_compression.ts";
import type { Compressor } from "./_compressor.ts";
import { cutPartial } from "./_cut_partial.ts";
import { makeTarget, openLeftover } from "./_part.ts";
import { pathOf } from "./_paths.ts";

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

/** Does what `finishResults()` promises. */
export async function finish(
  path: string | URL,
  { format, level }: Partial<Pick<Compression, "format" | "level">>,
): Promise<string> {
  using part = openLeftover(pathOf(path));
  const chosen = format ?? formatOf(part.target);
  if (!chosen) {
    throw new TypeError(
      `Cannot finish "${part.path}": its name does not tell how to compress it; give the format`,
    );
  }
  const compressor = await openCompressor(
    completeCompression({
      format: chosen,
      ...(level !== undefined && { level }),
    }),
  );
  cutPartial(part.file);
  await compressResults(part.target, compressor);
  return part.target;
}
