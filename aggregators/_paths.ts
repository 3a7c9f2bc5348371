/** Where aggregators put things. */
import { dirname } from "@std/path/posix/dirname";
import { normalisePath } from "../executors/results.ts";
import { lookAt } from "./_move.ts";

/**
 * The directory of the files of a test, below that of all files.
 *
 * @throws {TypeError} if nothing of one of the names can be used in a path
 */
export function placeFor(platform: string, test: string): string {
  return `${safePart("platform", platform)}/${safePart("test", test)}`;
}

function safePart(what: string, name: string): string {
  const part = normalisePath(name);
  if (part !== "") return part;
  throw new TypeError(
    `Cannot ingest a test: nothing is left of the name of its ${what}, ${
      JSON.stringify(name)
    }`,
  );
}

/** Makes the directories that lead to a path, and adds them to `made`, outermost first. */
export function makeParents(path: string, made: string[]): void {
  const parent = dirname(path);
  if (lookAt(parent)) return;
  makeParents(parent, made);
  Deno.mkdirSync(parent);
  made.push(parent);
}

/** Removes what was made, the last first; whatever is not empty stays, with all before it. */
export function unmake(made: readonly string[]): void {
  for (const path of made.toReversed()) Deno.removeSync(path);
}

/** The error for a target that is there already. */
export function occupied(
  what: string,
  path: string,
): Deno.errors.AlreadyExists {
  return new Deno.errors.AlreadyExists(
    `Cannot write ${what} to "${path}": it is there already; choose another path or remove it`,
  );
}

/** What the system says about a target, as an error that tells what was attempted; others are as they are. */
export function cannotWrite(what: string, path: string, error: unknown) {
  const isToldElsewhere = !(error instanceof Error) ||
    error instanceof Deno.errors.NotCapable || /^Cannot /.test(error.message);
  if (isToldElsewhere) return error;
  const { constructor, message } = error;
  return new (constructor as ErrorConstructor)(
    `Cannot write ${what} to "${path}": ${message}`,
    { cause: error },
  );
}
