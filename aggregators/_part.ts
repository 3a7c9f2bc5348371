/** A target that is made at the end, from what was written during the run. */
import { isContinued } from "./_cut_partial.ts";
import { openBytes } from "./_decompress.ts";
import { lookAt } from "./_move.ts";
import { finisherOf } from "./_part_kind.ts";
import { cannotWrite, makeParents, occupied, unmake } from "./_paths.ts";
import { writeAll } from "./_spool.ts";
import { lock, Target } from "./_target.ts";

const EXTENSION = ".part";

/** A function that finishes a part. */
export type Finisher = "finishJUnit" | "finishResults";

const COMMANDS: Readonly<Record<Finisher, string>> = {
  finishJUnit: "atex results junit PART",
  finishResults: "atex results finish PART",
};

/** What is in a part. */
const HELD: Readonly<Record<Finisher, string>> = {
  finishJUnit: "JUnit XML",
  finishResults: "results",
};

/** How a part is finished, in a script and without one. */
function waysOf(by: Finisher): string {
  return `${by}() or "${COMMANDS[by]}"`;
}

/** Where a target's content is kept until it is made. */
export function partOf(target: string): string {
  return target + EXTENSION;
}

/**
 * Checks that nothing is there, neither target, unless it is to be replaced, nor part. `by`
 * is the function that finishes a part.
 *
 * @throws {Deno.errors.AlreadyExists} if there is something
 */
export function checkVacant(
  target: string,
  by: Finisher,
  replace = false,
): void {
  if (!replace && lookAt(target)) throw occupied("results", target);
  const part = partOf(target);
  if (lookAt(part)) {
    throw new Deno.errors.AlreadyExists(
      `Cannot write results to "${target}": "${part}" of an earlier run is there; finish it with ${
        waysOf(by)
      }, or remove it`,
    );
  }
}

/**
 * Makes the part of a target, and directories on the way, or nothing; adds to `made`
 * what it made.
 *
 * @throws {Deno.errors.AlreadyExists} if there is a target, or a part of it
 */
export function startPart(
  target: string,
  by: Finisher,
  { made = [], replace = false }: { made?: string[]; replace?: boolean } = {},
): Target {
  checkVacant(target, by, replace);
  const path = partOf(target);
  try {
    makeParents(target, made);
    const part = Target.open(path);
    made.push(path);
    return part;
  } catch (error) {
    unmake(made);
    throw cannotWrite("results", target, error);
  }
}

/**
 * Whether to go on with what is there.
 *
 * @throws {TypeError} if that is no choice
 */
export function checkExisting(existing: string): boolean {
  if (existing === "fail" || existing === "continue") {
    return existing === "continue";
  }
  throw new TypeError(
    `Cannot use ${
      Deno.inspect(existing)
    } as "existing": it must be "fail" or "continue"`,
  );
}

/** The error for what is there and cannot be continued; the message of `cause` is the end of the sentence. */
export function cannotGoOn(
  path: string,
  cause: Error,
): Deno.errors.AlreadyExists {
  return new Deno.errors.AlreadyExists(
    `Cannot go on with results in "${path}": ${cause.message}; choose another path or remove it`,
    { cause },
  );
}

/**
 * Makes the part of a target that an earlier process made to its end; returns whether
 * it did. A part that is there is left: it holds what the target holds, and perhaps more.
 *
 * @throws {Deno.errors.AlreadyExists} if the target cannot be decompressed, or is not of the part
 */
export async function reopenPart(target: string): Promise<boolean> {
  if (!lookAt(target)) return false;
  const part = partOf(target);
  try {
    if (lookAt(part)) {
      if (await beginsWith(part, target)) return false;
      throw new Error(`it is not what "${part}" was made from`);
    }
    const work = makeWorkplace(part);
    try {
      await decompress(target, `${work}/part`);
      Deno.linkSync(`${work}/part`, part); // unlike a rename it replaces nothing
    } finally {
      Deno.removeSync(work, { recursive: true });
    }
    return true;
  } catch (thrown) {
    throw cannotGoOn(target, thrown as Error);
  }
}

/** Makes an empty directory beside a part; what a killed script left in it is removed. */
function makeWorkplace(part: string): string {
  const work = `${part}.work`;
  if (lookAt(work)) Deno.removeSync(work, { recursive: true });
  Deno.mkdirSync(work);
  return work;
}

async function decompress(from: string, to: string): Promise<void> {
  using file = Deno.openSync(to, { write: true, createNew: true });
  for await (const bytes of await openBytes(from)) await writeAll(file, bytes);
  await file.sync();
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
 * Opens a part, and keeps others from finishing it until it is disposed of. `by` is the
 * function that is to finish it.
 *
 * @throws {TypeError} if its name is not that of a part, or another function finishes it
 * @throws {Deno.errors.NotFound} if there is none
 * @throws {Deno.errors.Busy} if somebody is writing to it
 */
export function openLeftover(path: string, by: Finisher): Leftover {
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
  const right = finisherOf(file) ?? by;
  if (right !== by) {
    file.close();
    throw new TypeError(
      `Cannot finish "${path}" with ${by}(): it is of ${HELD[right]}, which ${
        waysOf(right)
      } completes`,
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
  by: Finisher;
  /**
   * Makes the file `to` from the part. `scratch` is a path for whatever else is
   * needed.
   */
  make(part: string, to: string, scratch: string): Promise<Made | void>;
  /**
   * Whether a target that is there is replaced, whatever it is.
   *
   * @default {false}
   */
  replace?: boolean;
}

/** What came of it. */
export interface Made {
  /**
   * Whether the part stays. Then a target that is there was made from it at an earlier
   * time, and is replaced.
   */
  keepsPart: boolean;
}

/**
 * Makes a target from its part, whole or not at all; then the part is gone. A target
 * that is there is replaced if it was made from the same part, or from what a part that
 * is to be continued held at an earlier time.
 *
 * @throws {Deno.errors.AlreadyExists} if something else is at the target
 */
export async function makeTarget(
  target: string,
  { by, make, replace = false }: Making,
): Promise<void> {
  const part = partOf(target);
  const work = `${part}.work`;
  try {
    makeWorkplace(part);
    const made = `${work}/made`;
    const { keepsPart = false } = await make(part, made, `${work}/scratch`) ??
      {};
    await flush(made);
    const stays = !keepsPart && !replace;
    if (stays && lookAt(target) && !await isOf(part, made, target)) {
      throw new Deno.errors.AlreadyExists("something else is there already");
    }
    Deno.renameSync(made, target);
    if (!keepsPart) Deno.removeSync(part);
  } catch (cause) {
    const message = `Cannot make "${target}": ${
      cause instanceof Error ? cause.message : cause
    }; all results are in "${part}", from which ${waysOf(by)} makes it`;
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

/** Whether a target was made from a part, of which something else was made now. */
async function isOf(
  part: string,
  made: string,
  target: string,
): Promise<boolean> {
  if (!await beginsWith(made, target)) return false;
  using file = Deno.openSync(part);
  return isContinued(file) || await beginsWith(target, made);
}

/** Whether a file holds all of another one, and then perhaps more, however they are compressed. */
async function beginsWith(path: string, beginning: string): Promise<boolean> {
  const whole = (await openBytes(path))[Symbol.asyncIterator]();
  let rest: Uint8Array = new Uint8Array();
  try {
    for await (let bytes of await openBytes(beginning)) {
      while (bytes.length > 0) {
        if (rest.length === 0) {
          const { done, value } = await whole.next();
          if (done) return false;
          rest = value;
        }
        const common = Math.min(rest.length, bytes.length);
        for (let i = 0; i < common; i++) if (rest[i] !== bytes[i]) return false;
        rest = rest.subarray(common);
        bytes = bytes.subarray(common);
      }
    }
    return true;
  } finally {
    await whole.return?.();
  }
}
