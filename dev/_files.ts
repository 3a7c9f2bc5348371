import { fileURLToPath, pathToFileURL } from "node:url";
import { statSync } from "node:fs";

export const fromFileUrl = (url: URL): string => fileURLToPath(url);

/** Keeps a trailing slash, which says "directory" to URL resolution. */
export const toFileUrl = (path: string): URL => pathToFileURL(path);

export const isDirectory = (path?: string): boolean =>
  path !== undefined &&
  (statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false);

/** Paths of files below `dir`, relative to it, without hidden ones and without `excluded` (plain names of files and folders). */
export async function* walk(
  dir: URL,
  excluded: string[] = [],
  below = "",
): AsyncGenerator<string> {
  const skip = new Set(excluded.map((name) => name.replace(/\/$/, "")));
  for await (const { name, isDirectory } of Deno.readDir(new URL(below, dir))) {
    const path = below + name;
    if (name.startsWith(".") || name === "node_modules" || skip.has(path)) {
      continue;
    }
    if (isDirectory) yield* walk(dir, excluded, path + "/");
    else yield path;
  }
}
