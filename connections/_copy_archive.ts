import { afterMark, MARK_LINE } from "./_copy_scripts.ts";
import { harmlessTar } from "./_harmless_tar.ts";

/** What a login shell may print. */
const MOST_NOISE = 1024 * 1024;

/** What a system packed, with the mark before it, and without what is dangerous here. */
export async function* harmlessArchive(
  stdout: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  yield new TextEncoder().encode(MARK_LINE);
  yield* harmlessTar(behindMark(stdout));
}

async function* behindMark(
  stdout: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  let before: Uint8Array<ArrayBuffer> | undefined = new Uint8Array();
  for await (const piece of stdout) {
    if (!before) {
      yield piece;
      continue;
    }
    before = await new Blob([before, piece]).bytes();
    const { bytes, marked } = afterMark(before);
    if (marked) {
      before = undefined;
      yield bytes;
    } else if (before.length > MOST_NOISE) return; // what unpacks tells that there is no archive
  }
}
