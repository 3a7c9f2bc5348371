/**
 * The directory that makes a directory the root of a tree: `.fmf`.
 */
import { FmfError, quote } from "./errors.ts";
import { inside, isDirectory, reasonOf } from "./paths.ts";
import { type FmfValue, isMap, typeName } from "./value.ts";

/** Its name. */
export const MARKER = ".fmf";

/**
 * The first directory with a marker, from `start` upwards, but not above `within`.
 *
 * @throws {FmfError} of kind `root`
 */
export function findRoot(start: string, within: string | undefined): string {
  for (let directory = start;;) {
    if (isDirectory(inside(directory, MARKER))) return directory;
    if (directory === "/" || directory === within) break;
    directory = directory.slice(0, directory.lastIndexOf("/")) || "/";
  }
  const where = within === undefined
    ? 'here or in any directory above; "mkdir .fmf && echo 1 >.fmf/version" makes one'
    : "here or above in the repository";
  throw new FmfError(
    "root",
    `no tree: there is no .fmf directory ${where}`,
    { file: start },
  );
}

/**
 * Checks that the tree is of the only version there is.
 *
 * @throws {FmfError} of kind `format`
 */
export function checkVersion(root: string): void {
  const file = inside(root, `${MARKER}/version`);
  let text;
  try {
    text = Deno.readTextFileSync(file).trim();
  } catch (error) {
    throw new FmfError(
      "format",
      `cannot read the version of the tree: ${
        reasonOf(error)
      }; "echo 1 >.fmf/version" makes it`,
      { file, cause: error },
    );
  }
  if (text === "1") return;
  const found = quote(text.slice(0, 50));
  throw new FmfError(
    "format",
    /^\d+$/.test(text)
      ? `unsupported format version ${found}: only 1 is known`
      : `the version of the tree must be the number 1, not ${found}`,
    { file },
  );
}

/**
 * The names of hidden files and directories that are read nevertheless.
 *
 * @param config content of the file `.fmf/config`
 * @throws {FmfError} of kind `format`
 */
export function includedNames(
  config: FmfValue,
  file: string,
): ReadonlySet<string> {
  const wrong = (reason: string) => new FmfError("format", reason, { file });
  const none = new Set<string>();
  if (config === null) return none;
  if (!isMap(config)) {
    throw wrong(`the config must be a mapping, not ${typeName(config)}`);
  }
  const explore = config.get("explore") ?? null;
  if (explore === null) return none;
  if (!isMap(explore)) {
    throw wrong(`"explore" must be a mapping, not ${typeName(explore)}`);
  }
  const include = explore.get("include");
  if (include === undefined) return none;
  if (!Array.isArray(include)) {
    throw wrong(`"explore.include" must be a list, not ${typeName(include)}`);
  }
  const names = include.map((item) => {
    if (typeof item === "string") return item;
    throw wrong(
      `"explore.include" must be a list of names, one is ${typeName(item)}`,
    );
  });
  if (names.includes(MARKER)) {
    throw wrong(`"explore.include" must not name "${MARKER}"`);
  }
  return new Set(names);
}
