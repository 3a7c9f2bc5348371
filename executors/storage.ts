/** Telling that artifacts cannot be stored here from what tests do wrong. */
import { dirname } from "@std/path/posix/dirname";
import { ExecutorError, TestAbortedError } from "./executor.ts";

/** Artifacts cannot be stored here: not the fault of the test. */
export function storageError(what: string, cause: unknown): TestAbortedError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new TestAbortedError(`Cannot ${what}: ${reason}`, "storage", {
    cause,
  });
}

/** What systems say whose disk is full, broken or not to be written to. */
const OF_THE_DISK = new Set(["ENOSPC", "EDQUOT", "EIO", "EROFS"]);

/** Whether an error that came of writing artifacts is not the fault of the test. */
export function isOfTheDisk(error: unknown): boolean {
  return error instanceof Error && "code" in error &&
    OF_THE_DISK.has(String(error.code));
}

/** Less than the least block of a file system. */
const BLOCK = 512;

/**
 * Checks that the output of a test is whole, which is written by programs that do not
 * tell us that the disk is full.
 *
 * @throws {TestAbortedError} if it is not (`storage`)
 */
export function checkOutput(path: string): void {
  let size: number;
  try {
    size = Deno.lstatSync(path).size;
  } catch (error) {
    throw storageError(storing(path), error);
  }
  // where no block was to be had, the one before is full
  if (size === 0 || size % BLOCK !== 0) return;
  const full = whyFull(path);
  if (full) throw storageError(storing(path), full);
}

/**
 * The error that a test ends with that ended with this one, and whose output is in a
 * file: programs that cannot write to a full disk stand still, or end as if the link
 * were broken.
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

/** Why there is no room for more beside a file, if there is none. */
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
