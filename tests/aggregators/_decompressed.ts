/** Compressed files, read by others than our readers. */
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import type { CompressionFormat } from "../../aggregators/jsonl.ts";

/** What is in a compressed file; fails if it is not compressed so, or not whole. */
export function decompressed(path: string, format: CompressionFormat): string {
  const bytes = Deno.readFileSync(path);
  if (format === "gzip") return new TextDecoder().decode(gunzipSync(bytes));
  if (format === "zstd") {
    return new TextDecoder().decode(zstdDecompressSync(bytes));
  }
  const { success, stdout, stderr } = new Deno.Command("xz", {
    args: ["--decompress", "--stdout", "--format=xz", "--", path],
  }).outputSync();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

/** Bytes of the dictionary of a file of xz. */
export function dictionaryOf(path: string): number {
  const { stdout } = new Deno.Command("xz", {
    args: ["--robot", "--list", "--verbose", "--verbose", "--", path],
  }).outputSync();
  const [, size, unit] = /dict=(\d+)([KM]iB)/.exec(
    new TextDecoder().decode(stdout),
  )!;
  return Number(size) * (unit === "KiB" ? 1024 : 1024 * 1024);
}
