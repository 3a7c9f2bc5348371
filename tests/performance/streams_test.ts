/** What a test writes, on its way into artifacts: counts and growth. */
import { ok, strictEqual } from "node:assert/strict";
import { writeHundred } from "../../bench/_hundred.ts";
import type { Cost } from "../../bench/_compare.ts";
import {
  checkOf,
  countOf,
  type Stream,
  writeStream,
} from "../../bench/_control_streams.ts";
import { measureOnce } from "../../bench/_once.ts";
import { temporaryDirectory } from "./_directory.ts";

/** Runs a test that writes a stream of so many messages. */
async function measure(
  directory: string,
  stream: Stream,
  count: number,
): Promise<Cost & { size: number }> {
  const file = `${directory}/${count}`;
  let size = count * 65536;
  let test = `head -c ${size} /dev/zero`;
  if (stream !== "output") {
    writeStream(file, stream, count);
    size = Deno.statSync(file).size;
    test = `cat ${file} >&$ATEX_TEST_CONTROL`;
  }
  const tree = `${directory}/${count}.tree`;
  const artifacts = `${directory}/${count}.artifacts`;
  writeHundred(tree, test, 1);
  Deno.mkdirSync(artifacts);
  const args = ["local", "{}", tree, artifacts];
  const cost = await measureOnce("./_control_once.ts", args);
  strictEqual(cost.check, checkOf(stream, count));
  return { ...cost, size };
}

Deno.test("the streams of the benchmarks are those that others measure", async () => {
  await using directory = await temporaryDirectory();
  for (const stream of ["results", "files", "partial"] as const) {
    // throws if the digest is another one
    writeStream(`${directory.path}/${stream}`, stream, countOf(stream));
  }
});

Deno.test("results are read in blocks, and written together", async () => {
  await using directory = await temporaryDirectory();
  const few = await measure(directory.path, "results", 10_000);
  const many = await measure(directory.path, "results", 50_000);
  const more = (field: "reads" | "writes" | "size") =>
    Number(many[field]) - Number(few[field]);
  const reads = more("reads") / (more("size") / 16384);
  ok(reads <= 1, `${reads} reads for 16 KiB`);
  const writes = more("writes") / 40_000;
  ok(writes <= 0.1, `${writes} writes for a result`);
});

Deno.test("a file of a result is written by one call", async () => {
  await using directory = await temporaryDirectory();
  const few = await measure(directory.path, "files", 500);
  const many = await measure(directory.path, "files", 2500);
  const writes = (Number(many.writes) - Number(few.writes)) / 2000;
  ok(writes <= 1.5, `${writes} writes for a result with a file`);
});

Deno.test("partial results take memory by their names, not by their number", async () => {
  await using directory = await temporaryDirectory();
  const few = await measure(directory.path, "partial", 6_000);
  const many = await measure(directory.path, "partial", 60_000);
  const more = many.peak_mib - few.peak_mib;
  ok(more <= 8, `${more} MiB more`);
});

Deno.test("a large file takes no memory, and does not pass through this program", async () => {
  await using directory = await temporaryDirectory();
  const small = await measure(directory.path, "upload", 160);
  const large = await measure(directory.path, "upload", 4096);
  const more = large.peak_mib - small.peak_mib;
  ok(more <= 16, `${more} MiB more for 246 MiB`);
  const read = Number(large.read_bytes);
  ok(read < 4 * 2 ** 20, `${read} bytes were read`);
});

Deno.test("what a test prints does not pass through this program", async () => {
  await using directory = await temporaryDirectory();
  const small = await measure(directory.path, "output", 16);
  const large = await measure(directory.path, "output", 2048);
  const read = Number(large.read_bytes) - Number(small.read_bytes);
  // of 127 MiB; Deno itself reads certificates at some moment
  ok(read < 2 ** 20, `${read} bytes more were read`);
});

Deno.test("many streams at once take little memory each", async () => {
  await using directory = await temporaryDirectory();
  const run = async (streams: number) => {
    const artifacts = `${directory.path}/${streams}`;
    Deno.mkdirSync(artifacts);
    return await measureOnce("./_control_many_once.ts", [
      artifacts,
      streams,
      Math.floor(32 * 2 ** 20 / streams),
    ]);
  };
  const one = await run(1);
  const many = await run(100);
  const more = many.peak_mib - one.peak_mib;
  ok(more <= 30, `${more} MiB more for 100 streams`);
});
