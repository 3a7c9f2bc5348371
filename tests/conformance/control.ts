/** Cases of the control channel: streams, and the artifacts that they make. */
import {
  BadControlError,
  BadReportJSONError,
  TestAbortedError,
} from "../../executors/executor.ts";
import { DurationLimit, parseDuration } from "../../executors/fmf/duration.ts";
import { Reporter } from "../../executors/fmf/reporter.ts";
import type { CaseOutcome } from "./case.ts";

interface Step {
  text?: string;
  base64?: string;
  repeat?: number;
  pauseMs?: number;
  output?: string;
  advanceMs?: number;
  reconnect?: true;
}

interface Case {
  name: string;
  stream?: Step[];
  testout?: string;
  exit: number | { wrapper: number } | { timeout: true };
  duration?: string;
  expect: Record<string, unknown> & { files?: Record<string, Content> };
}

type Content = string | { base64: string } | { sha256: string; length: number };

/** What steps write, one after another. */
interface Write {
  bytes: Uint8Array;
  repeat: number;
}

/** Each case runs as it is, with writes joined, and with one byte for each write. */
const SPLITS: Record<string, (writes: Write[]) => Iterable<Uint8Array>> = {
  "as given": function* (writes) {
    for (const { bytes, repeat } of writes) {
      for (let count = 0; count < repeat; count++) yield bytes;
    }
  },
  joined: (writes) => [join(writes)],
  "byte by byte": byteByByte,
};

/** Streams up to this length go byte by byte from end to end. */
const SHORT = 1024 * 1024;
/** Of longer ones, so many bytes around both ends of each write. */
const NEAR = 512;
/** The pieces of the rest, in turn: in step with nothing. */
const PIECES = [4093, 1, 65521, 17, 8191, 2];

/** The same block for each byte: there are millions. */
function* byteByByte(writes: Write[]): Generator<Uint8Array> {
  const all = join(writes);
  const byte = new Uint8Array(1);
  let at = 0;
  let turn = 0;
  let begin = 0;
  for (const { bytes, repeat } of writes) {
    const end = begin + bytes.length * repeat;
    while (at < end) {
      const far = Math.min(end - NEAR, at + PIECES[turn]!);
      if (all.length > SHORT && at >= begin + NEAR && far > at) {
        yield all.subarray(at, far);
        at = far;
        turn = (turn + 1) % PIECES.length;
      } else {
        byte[0] = all[at++]!;
        yield byte;
      }
    }
    begin = end;
  }
}

/** Runs the cases of a file. */
export async function* run(
  cases: Case[],
): AsyncGenerator<CaseOutcome> {
  for (const it of cases) {
    const wrong: string[] = [];
    if (Object.keys(it.expect).length === 0) wrong.push("nothing is expected");
    for (const [how, split] of Object.entries(SPLITS)) {
      const outcome = await play(it, split);
      for (const [key, expected] of Object.entries(it.expect)) {
        if (key === "why") continue;
        const actual = outcome[key];
        if (!matches(actual, expected)) {
          wrong.push(
            `${how}: ${key} is ${shown(actual)}, not ${shown(expected)}`,
          );
        }
      }
    }
    yield wrong.length === 0
      ? { name: it.name, outcome: "passed" }
      : { name: it.name, outcome: "failed", why: wrong.join("; ") };
  }
}

/** As JSON, but not megabytes of it. */
function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? "absent";
  return text.length > 1000 ? `${text.slice(0, 1000)}…` : text;
}

/** Does what an executor would do around the channel. */
async function play(
  it: Case,
  split: (writes: Write[]) => Iterable<Uint8Array>,
): Promise<Record<string, unknown>> {
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  try {
    let now = 0;
    const duration = new DurationLimit(parseDuration(it.duration ?? "5m"), {
      now: () => now,
    });
    const reporter = Reporter.open(directory);
    const print = (text: string) =>
      Deno.writeTextFileSync(reporter.output, text, { append: true });
    print(it.testout ?? "");

    let channel = reporter.channel({ duration });
    let disconnect = false;
    let error: unknown;
    // the block is used again for what comes next, as that of a pipe is
    let block = new Uint8Array(0);
    const feed = async (writes: Write[]) => {
      for (const bytes of split(writes)) {
        if (error || channel.disconnected) break;
        if (block.length !== bytes.length) block = new Uint8Array(bytes.length);
        block.set(bytes);
        await channel.feed(block).catch((reason) => error = reason);
        block.fill(0xff);
      }
      disconnect ||= channel.disconnected;
    };

    const steps = [...it.stream ?? []];
    if (typeof it.exit === "number") {
      steps.push({ text: `exitcode ${it.exit}\n` });
    }
    for (let at = 0; at < steps.length;) {
      const writes = [];
      for (; at < steps.length && isWrite(steps[at]!); at++) {
        writes.push(writeOf(steps[at]!));
      }
      await feed(writes);
      const step = steps[at++];
      if (!step) break;
      // the test goes on after an error, but nobody reads what it writes
      if (step.output) print(step.output);
      if (step.advanceMs) now += step.advanceMs;
      if (step.reconnect && !error) channel = reporter.channel({ duration });
    }

    error ??= ended(it.exit, channel);
    const { exitCode } = channel;
    await reporter.finish(error ? { error } : { exitCode: exitCode! });
    return {
      results: (await Deno.readTextFile(`${directory}/results`))
        .split("\n").slice(0, -1).map((line) => JSON.parse(line)),
      files: await filesIn(`${directory}/files`, it.expect.files ?? {}),
      exitCode: error ? null : exitCode,
      error: kindOf(error),
      disconnect,
      remainingMs: duration.remaining,
      expired: duration.remaining < 0,
    };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** What became of the command: the reason why the run failed, if it did. */
function ended(
  exit: Case["exit"],
  channel: { end(): string; exitCode: number | undefined },
): unknown {
  if (typeof exit === "object" && "timeout" in exit) {
    return new TestAbortedError("test duration timeout reached", "timeout");
  }
  if (typeof exit === "object" && exit.wrapper !== 0) {
    return new TestAbortedError("the wrapper failed", "connection");
  }
  try {
    channel.end();
  } catch (error) {
    return error;
  }
  return channel.exitCode === undefined
    ? new TestAbortedError("exitcode not reported", "no-exitcode")
    : undefined;
}

function kindOf(error: unknown): string | null {
  if (error === undefined) return null;
  if (error instanceof BadReportJSONError) return "bad-result";
  if (error instanceof BadControlError) return "bad-control";
  if (error instanceof TestAbortedError) return "aborted";
  throw error;
}

function isWrite(step: Step): boolean {
  return step.text !== undefined || step.base64 !== undefined ||
    step.pauseMs !== undefined;
}

/** A pause writes nothing. */
function writeOf({ text = "", base64, repeat = 1 }: Step): Write {
  const bytes = base64 !== undefined
    ? Uint8Array.fromBase64(base64)
    : new TextEncoder().encode(text);
  return { bytes, repeat };
}

function join(writes: Write[]): Uint8Array {
  const all = new Uint8Array(
    writes.reduce((sum, { bytes, repeat }) => sum + bytes.length * repeat, 0),
  );
  let at = 0;
  for (const { bytes, repeat } of writes) {
    for (let count = 0; count < repeat; count++) {
      all.set(bytes, at);
      at += bytes.length;
    }
  }
  return all;
}

/** A byte order mark is content. */
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The regular files, in the form in which they are expected. */
async function filesIn(
  root: string,
  expected: Record<string, Content>,
  below = "",
): Promise<Record<string, Content>> {
  const files: Record<string, Content> = {};
  for await (const { name, isDirectory } of Deno.readDir(`${root}/${below}`)) {
    const path = below + name;
    if (isDirectory) {
      Object.assign(files, await filesIn(root, expected, `${path}/`));
      continue;
    }
    const bytes = await Deno.readFile(`${root}/${path}`);
    const form = expected[path];
    if (typeof form !== "object") files[path] = decoder.decode(bytes);
    else if ("base64" in form) files[path] = { base64: bytes.toBase64() };
    else {
      const digest = await crypto.subtle.digest("SHA-256", bytes);
      files[path] = {
        sha256: new Uint8Array(digest).toHex(),
        length: bytes.length,
      };
    }
  }
  return files;
}

/** Compares JSON values, where `{"startsWith": TEXT}` stands for any text that does. */
function matches(actual: unknown, expected: unknown): boolean {
  if (Array.isArray(expected)) {
    return Array.isArray(actual) && actual.length === expected.length &&
      expected.every((item, index) => matches(actual[index], item));
  }
  if (typeof expected !== "object" || expected === null) {
    return actual === expected;
  }
  if ("startsWith" in expected) {
    return typeof actual === "string" &&
      actual.startsWith(String(expected.startsWith));
  }
  if (typeof actual !== "object" || actual === null || Array.isArray(actual)) {
    return false;
  }
  const keys = Object.keys(expected);
  return keys.length === Object.keys(actual).length &&
    keys.every((key) =>
      Object.hasOwn(actual, key) &&
      matches(
        (actual as Record<string, unknown>)[key],
        (expected as Record<string, unknown>)[key],
      )
    );
}
