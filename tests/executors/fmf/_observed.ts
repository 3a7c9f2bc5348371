/** What can be seen of the parser of the control channel. */
import { deepStrictEqual, ok } from "node:assert/strict";
import { ControlParser } from "../../../executors/fmf/control.ts";

/** All that can be seen of a parser, with the pieces of files put together. */
export function observe(pieces: Uint8Array[], nonce?: string) {
  const parser = new ControlParser(nonce === undefined ? {} : { nonce });
  const seen: unknown[] = [];
  let upload: { name: string; bytes: number[] } | undefined;
  let error: unknown;
  try {
    for (const piece of pieces) {
      // the parser must not rely on what a block held before
      const block = piece.slice();
      for (const event of parser.feed(block)) {
        if (event.type !== "upload") {
          seen.push(structuredClone(event));
          continue;
        }
        deepStrictEqual(event.first, upload === undefined);
        upload ??= { name: event.file.name, bytes: [] };
        seen.push(upload);
        if (!event.first) seen.pop();
        upload.bytes.push(...event.bytes);
        if (event.last) {
          deepStrictEqual(upload.bytes.length, event.file.length);
          upload = undefined;
        }
      }
      block.fill(0xff);
    }
  } catch (reason) {
    error = reason;
  }
  let line: string | undefined;
  try {
    line = parser.end();
  } catch (reason) {
    ok(error === undefined);
    error = reason;
  }
  const { exitCode, disconnected, started, ended, dropped } = parser;
  return {
    seen,
    error: error instanceof Error ? `${error.name}: ${error.message}` : error,
    line,
    exitCode,
    disconnected,
    started,
    ended,
    dropped,
  };
}
