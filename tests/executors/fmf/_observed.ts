/** What can be seen of the parser of the control channel. */
import { deepStrictEqual, ok } from "node:assert/strict";
import { setKey } from "../../../executors/fmf/_json.ts";
import { ControlParser } from "../../../executors/fmf/control.ts";

/** A copy that keeps keys of any name, and shows numbers that are kept as their text. */
function copyOf(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(copyOf);
  const copy = {};
  // a number that is kept as its text has it as its only property
  for (const [key, part] of Object.entries(value)) {
    setKey(copy, key, copyOf(part));
  }
  return copy;
}

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
          seen.push(copyOf(event));
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
