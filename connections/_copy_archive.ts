/** The way of an archive from a system under test to what unpacks it here. */
import type { LocalCommand, SignalOptions } from "./connection.ts";
import { afterMark, MARK_LINE } from "./_copy_scripts.ts";
import { type Expected, harmlessTar } from "./_harmless_tar.ts";
import { linkOf } from "./_sessions.ts";
import { piecesOf, readLast } from "./_streams.ts";
import { type CommandResult, startLocal } from "./process.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** What a login shell may print. */
const MOST_NOISE = 1024 * 1024;
/** How much is kept of what a command says, in bytes. */
export const MOST_SAID = 1024 * 1024;
/** Milliseconds for what nobody waits for any more. */
const GRACE = 1000;

/** What came of an archive. */
export interface PipedArchive {
  /**
   * How the command ended that packs, and that which unpacks. Nothing is in
   * `stdout`, the last of it in `stderr`.
   */
  readonly packed: CommandResult;
  readonly unpacked: CommandResult;
  /** Why it was not passed on to its end. */
  readonly refused?: TypeError;
}

/**
 * Runs both commands; what one packs goes to the other without what is dangerous
 * where that unpacks it.
 */
export async function pipeArchive(
  from: LocalCommand,
  to: LocalCommand,
  options: SignalOptions & { readonly expected?: Expected },
): Promise<PipedArchive> {
  const { signal, expected } = options;
  using _session = await linkOf(from)?.enter(signal);
  const piped = { stderr: "piped", signal } as const;
  await using packing = startLocal(
    { ...from }, // without its link: it has its place there
    { ...piped, stdout: "piped" },
  );
  await using unpacking = startLocal(to, { ...piped, stdin: "piped" });
  const archive = packing.stdout.getReader();
  const errors = [packing, unpacking].map(({ stderr }) => stderr.getReader());
  const ends = Promise.all([packing.status, unpacking.status]);
  // What a command leaves running may hold its pipes open.
  const letGo = () =>
    Promise.allSettled([archive, ...errors].map((pipe) => pipe.cancel()));
  const abort = () => void ends.then(letGo);
  signal?.addEventListener("abort", abort);
  let late: ReturnType<typeof setTimeout> | undefined;
  try {
    const said = Promise.all(errors.map((pipe) => readLast(pipe, MOST_SAID)));
    // A command that fails tells more than the pipe that broke by that.
    const broken = await ReadableStream
      .from(harmlessArchive(piecesOf(archive), expected))
      .pipeTo(unpacking.stdin).then(() => undefined, (error) => error);
    if (broken) {
      await packing.terminate({ grace: GRACE }); // nobody reads what it has
      late = setTimeout(letGo, GRACE);
    }
    const [statuses, stderr] = await Promise.all([ends, said]);
    signal?.throwIfAborted();
    const [packed, unpacked] = statuses.map((status, index) => ({
      ...status,
      stdout: new Uint8Array(),
      stderr: stderr[index]!,
    }));
    return {
      packed: packed!,
      unpacked: unpacked!,
      ...(broken instanceof TypeError && { refused: broken }),
    };
  } finally {
    clearTimeout(late);
    signal?.removeEventListener("abort", abort);
    await letGo();
  }
}

/** What a system packed, with the mark before it, and without what is dangerous here. */
async function* harmlessArchive(
  stdout: AsyncIterable<Bytes>,
  expected?: Expected,
): AsyncGenerator<Bytes> {
  yield new TextEncoder().encode(MARK_LINE);
  yield* harmlessTar(behindMark(stdout), expected);
}

async function* behindMark(
  stdout: AsyncIterable<Bytes>,
): AsyncGenerator<Bytes> {
  let before: Bytes | undefined = new Uint8Array();
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
