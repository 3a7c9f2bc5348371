/** Tells disks that cannot store artifacts from mistakes of tests. */
import { dirname } from "@std/path/posix/dirname";
import { ExecutorError, TestAbortedError } from "./executor.ts";
import type { ArtifactsWriter, Result } from "./results.ts";

/** The error of artifacts that cannot be stored here, which is not the fault of the test. */
export function storageError(what: string, cause: unknown): TestAbortedError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new TestAbortedError(`Cannot ${what}: ${reason}`, "storage", {
    cause,
  });
}

/**
 * Stores results of a test. Whatever keeps them from that is not its fault: they are in
 * a file that only we write to.
 *
 * @throws {TestAbortedError} if they cannot be stored (`storage`)
 */
export function storeResults(
  writer: ArtifactsWriter,
  results: Result | readonly Result[],
  what = "the result of the test",
): void {
  try {
    writer.write(results);
  } catch (error) {
    throw storageError(`store ${what}`, error);
  }
}

/** Error codes of a disk that is full, broken or read-only. */
const OF_THE_DISK = new Set(["ENOSPC", "EDQUOT", "EIO", "EROFS"]);

/** Whether artifacts could not be written because of the disk, rather than the test. */
export function isOfTheDisk(error: unknown): boolean {
  return error instanceof Error && "code" in error &&
    OF_THE_DISK.has(String(error.code));
}

/** The size of blocks in bytes; those of file systems are a multiple of it. */
const BLOCK = 512;

/**
 * Checks that the output of a test is whole: the programs that write it do not tell us
 * that the disk is full.
 *
 * @throws {TestAbortedError} if it is not (`storage`)
 */
export function checkOutput(path: string): void {
  const size = sizeOf(path);
  // output that a full disk cut off ends with a full block
  if (size === 0 || size % BLOCK !== 0) return;
  const full = whyFull(path);
  if (full) throw storageError(storing(path), full);
}

/** The size of a file; that of a block if this program may not know it. */
function sizeOf(path: string): number {
  // not worth a question to the user
  const { state } = Deno.permissions.querySync({ name: "read", path });
  if (state !== "granted") return BLOCK;
  try {
    return Deno.lstatSync(path).size;
  } catch (error) {
    throw storageError(storing(path), error);
  }
}

/**
 * The error to report for this one, if the output of the test went to a file: one with
 * the reason `storage` if the disk is full, as programs that cannot write hang or end as
 * if the connection were broken; otherwise this one.
 */
export function withStorage(error: unknown, path: string): unknown {
  if (!(error instanceof ExecutorError)) return error;
  if (error instanceof TestAbortedError) {
    const { reason, cause } = error;
    if (reason === "cancelled" || reason === "storage") return error;
    if (reason === "connection" && cause !== undefined) return error;
  }
  const full = whyFull(path);
  if (!full) return error;
  return new TestAbortedError(
    `Cannot ${storing(path)}: ${full.message}, and then: ${error.message}`,
    "storage",
    { cause: error },
  );
}

function storing(path: string): string {
  return `store the output of the test in "${dirname(path)}"`;
}

/** The error of writing a little more beside a file, if the disk does not take it. */
function whyFull(path: string): Error | undefined {
  const probe = `${path}.probe`;
  try {
    using file = Deno.openSync(probe, { write: true, create: true });
    file.writeSync(new Uint8Array(4096));
  } catch (error) {
    if (isOfTheDisk(error)) return error as Error;
  } finally {
    try {
      Deno.removeSync(probe);
    } catch {
      // it was not made
    }
  }
  return undefined;
}
