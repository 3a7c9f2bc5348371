import { posix } from "node:path";
import { pathToFileURL } from "node:url";

/** Unlike the real one, makes one slash of several. */
export function toFileUrl(path: string): URL {
  if (!posix.isAbsolute(path)) {
    throw new TypeError(`Path must be absolute: received "${path}"`);
  }
  return pathToFileURL(path);
}
