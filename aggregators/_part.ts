/** A target that is made at the end, from what was written during the run. */
import { openBytes } from "./_decompress.ts";
import { lookAt } from "./_move.ts";
import { makeParents, occupied } from "./_paths.ts";
import { lock, Target } from "./_target.ts";

const EXTENSION = ".part";

/** Where a target's content is kept until it is made. */
export function partOf(target: string): string {
  return target + EXTENSION;
}

/**
 * Checks that nothing is there, neither target nor part. `by` is the function
 * that finishes a part.
 *
 * @throws {Deno.errors.AlreadyExists} if there is something
 */
export function checkVacant(target: string, by: string): void {
  if (lookAt(target)) throw occupied("results", target);
  const part = partOf(target);
  if (lookAt(part)) {
    throw new Deno.errors.AlreadyExists(
      `Cannot write results to "${target}": "${part}" of an earlier run is there; finish it with ${by}(), or remove it`,
    );
  }
}

/**
 * Makes the part of a target, and directories on the way, or nothing.
 *
 * @throws {Deno.errors.AlreadyExists} if there is a target, or a part of it
 */
export function startPart(target: string, by: string): Target {
  checkVacant(target, by);
  const made: string[] = [];
  try {
    makeParents(target, made);
    return Target.open(partOf(target));
  } catch (error) {
    for (const path of made.reverse()) Deno.removeSync(path);
    throw error;
  }
}

/** A part that another run left. */
export interface Leftover extends Disposable {
  path: string;
  /** What is to be made from it. */
  target: string;
  /** Open for reading and writing. */
  file: Deno.FsFile;
}

/**
 * Opens a part, and keeps others from finishing it until it is disposed of.
 *
 * @throws {TypeError} if its name is not that of a part
 * @throws {Deno.errors.NotFound} if there is none
 * @throws {Deno.errors.Busy} if somebody is writing to it
 */
export function openLeftover(path: string): Leftover {
  if (!path.endsWith(EXTENSION)) {
    throw new TypeError(
      `Cannot finish "${path}": its name does not end with "${EXTENSION}"`,
    );
  }
  let file: Deno.FsFile;
  try {
    file = Deno.openSync(path, { read: true, write: true });
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new Deno.errors.NotFound(
      `Cannot finish "${path}": there is no such file`,
      { cause },
    );
  }
  if (!lock(file)) {
    file.close();
    throw new Deno.errors.Busy(
      `Cannot finish "${path}": the run that writes to it has not ended`,
    );
  }
  return {
    path,
    target: path.slice(0, -EXTENSION.length),
    file,
    [Symbol.dispose]: () => file.close(),
  };
}

/** How a target is made. */
export interface Making {
  /** The function that can be called again, for messages. */
  by: string;
  /**
   * Makes the file `to` from the part. `scratch` is a path for whatever else is
   * needed.
   */
  make(part: string, to: string, scratch: string): Promise<void>;
}

/**
 * Makes a target from its part, whole or not at all; then the part is gone. If it
 * was made before, and only the part was not removed, that is done.
 *
 * @throws {Deno.errors.AlreadyExists} if something else is at the target
 */
export async function makeTarget(
  target: string,
  { by, make }: Making,
): Promise<void> {
  const part = partOf(target);
  const work = `${part}.work`;
  try {
    // also what a killed script left
    if (lookAt(work)) await Deno.remove(work, { recursive: true });
    Deno.mkdirSync(work);
    const made = `${work}/made`;
    await make(part, made, `${work}/scratch`);
    await flush(made);
    if (!lookAt(target)) Deno.renameSync(made, target);
    else if (!await haveSameContent(made, target)) {
      throw new Deno.errors.AlreadyExists("something else is there already");
    }
    Deno.removeSync(part);
  } catch (cause) {
    const message = `Cannot make "${target}": ${
      cause instanceof Error ? cause.message : cause
    }; all results are in "${part}", from which ${by}() makes it`;
    throw cause instanceof Deno.errors.AlreadyExists
      ? new Deno.errors.AlreadyExists(message, { cause })
      : new Error(message, { cause });
  } finally {
    await Deno.remove(work, { recursive: true }).catch(() => {});
  }
}

async function flush(path: string): Promise<void> {
  using file = await Deno.open(path);
  await file.sync();
}

/** Whether two files hold the same, however they are compressed. */
async function haveSameContent(a: string, b: string): Promise<boolean> {
  // hardly ever needed
  const { createHash } = await import("node:crypto");
  const digests = [a, b].map(async (path) => {
    const hash = createHash("sha256");
    for await (const bytes of await openBytes(path)) hash.update(bytes);
    return hash.digest("hex");
  });
  const [first, second] = await Promise.all(digests);
  return first === second;
}
