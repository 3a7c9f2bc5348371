/**
 * Paths, and what the operating system says about them.
 */
import { fromFileUrl } from "@std/path/posix/from-file-url";
import { resolve } from "@std/path/posix/resolve";
import { FmfError } from "./errors.ts";

/** An absolute path without `..`; links in it stay as they are. */
export function pathOf(path: string | URL): string {
  if (typeof path === "string") return resolve(path);
  if (path.protocol === "file:") return resolve(fromFileUrl(path));
  throw new FmfError("usage", "only file: addresses can be read", {
    text: path.href,
  });
}

/** What the operating system says about a file, in words. */
export function reasonOf(error: unknown, path = ""): string {
  if (error instanceof Deno.errors.NotFound) {
    // Deno lists such names with that character, and then cannot find them.
    return path.includes("\ufffd")
      ? "its name, or that of a directory above, is not UTF-8"
      : "it does not exist";
  }
  if (error instanceof Deno.errors.PermissionDenied) return "permission denied";
  if (error instanceof Deno.errors.NotADirectory) {
    return "a part of its path is no directory";
  }
  if (error instanceof Deno.errors.FilesystemLoop) {
    return "too many symbolic links lead to it";
  }
  return error instanceof Error ? error.message : String(error);
}

/** Whether there is a directory, or a link to one. */
export function isDirectory(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}

/** Whether there is anything, be it a link that leads nowhere. */
export function isThere(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

/** The path of what is called `name` in a directory. */
export function inside(directory: string, name: string): string {
  return directory === "/" ? `/${name}` : `${directory}/${name}`;
}

/** Whether `path` is `directory` or below it. */
export function isInside(path: string, directory: string): boolean {
  return path === directory ||
    path.startsWith(directory === "/" ? "/" : `${directory}/`);
}

/** A path below `root` without the part that is `root`. */
export function relativeTo(root: string, path: string): string {
  if (path === root) return ".";
  return path.slice(root === "/" ? 1 : root.length + 1);
}
