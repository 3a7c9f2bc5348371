/** What tests write to the control channel in the benchmarks, and what is to come of it. */
import { createHash } from "node:crypto";

/** A kind of stream. */
export type Stream = "results" | "files" | "partial" | "upload" | "output";

interface Definition {
  /** How many messages a stream has if nothing else is asked for. */
  readonly count: number;
  /** SHA-256 of the stream of that size. */
  readonly sha256?: string;
  /** The n-th message. */
  message(n: number): Uint8Array;
  /** What is in the artifacts afterwards: results, files, their bytes. */
  check(count: number): string;
}

const encoder = new TextEncoder();
const number = (n: number) => String(n).padStart(6, "0");

/** A result whose JSON is filled up to a length. */
function filled(length: number, start: string): Uint8Array {
  const json = `${start}"note": "${"x".repeat(length - start.length - 11)}"}`;
  return encoder.encode(`result ${length}\n${json}`);
}

const log = Uint8Array.from({ length: 1024 }, (_, i) => i % 256);

const STREAMS: Record<Stream, Definition> = {
  results: {
    count: 100_000,
    sha256: "dc621df790888c1eb569b3df097214e256444fff6ea85f70cf76df0b48d0b86f",
    message: (n) =>
      filled(100, `{"status": "pass", "name": "sub/${number(n)}", `),
    check: (count) => `${count + 1} results, 1 files, 0 bytes`,
  },
  files: {
    count: 10_000,
    sha256: "b615c21e898ead5f3c06783c5dcf1b691c13ea1506bba86afb88c777ef8f39e9",
    message: (n) => {
      const head = encoder.encode(
        `result 88\n{"status": "pass", "name": "sub/${
          number(n)
        }", "files": [{"name": "log.txt", "length": 1024}]}`,
      );
      const message = new Uint8Array(head.length + log.length);
      message.set(head);
      message.set(log, head.length);
      return message;
    },
    check: (count) =>
      `${count + 1} results, ${count + 1} files, ${count * 1024} bytes`,
  },
  partial: {
    count: 100_000,
    sha256: "e0a11de4c4d1f38d692f682263ad84a3431e3cb1ff71c76c7b0d069799dce7e8",
    message: (n) =>
      filled(
        110,
        `{"status": "pass", "name": "sub/${
          number(n % 1000)
        }", "partial": true, `,
      ),
    check: (count) => `${Math.min(count, 1000) + 1} results, 1 files, 0 bytes`,
  },
  /** One file; the number is that of its blocks of 64 KiB. */
  upload: {
    count: 16_384,
    message: () => new Uint8Array(65536),
    check: (count) => `2 results, 2 files, ${count * 65536} bytes`,
  },
  /** What the test itself prints, in the same blocks. */
  output: {
    count: 16_384,
    message: () => new Uint8Array(65536),
    check: (count) => `1 results, 1 files, ${count * 65536} bytes`,
  },
};

export const countOf = (stream: Stream): number => STREAMS[stream].count;
export const checkOf = (stream: Stream, count: number): string =>
  STREAMS[stream].check(count);

/** Writes a stream into a file, and makes sure that it is the one that was meant. */
export function writeStream(
  path: string,
  stream: Stream,
  count: number,
): void {
  const { message, sha256 } = STREAMS[stream];
  using file = Deno.openSync(path, { write: true, createNew: true });
  const hash = createHash("sha256");
  const block = new Uint8Array(1024 * 1024);
  let filled = 0;
  const put = (bytes: Uint8Array) => {
    if (filled + bytes.length > block.length) flush();
    block.set(bytes, filled);
    filled += bytes.length;
  };
  const flush = () => {
    const bytes = block.subarray(0, filled);
    hash.update(bytes);
    for (let done = 0; done < bytes.length;) {
      done += file.writeSync(bytes.subarray(done));
    }
    filled = 0;
  };
  if (stream === "upload") {
    const json = JSON.stringify({
      status: "pass",
      name: "big",
      files: [{ name: "f", length: count * 65536 }],
    });
    put(encoder.encode(`result ${json.length}\n${json}`));
  }
  for (let n = 0; n < count; n++) put(message(n));
  flush();
  const digest = hash.digest("hex");
  if (sha256 !== undefined && count === countOf(stream) && digest !== sha256) {
    throw new Error(`the stream "${stream}" has the digest ${digest}`);
  }
}
