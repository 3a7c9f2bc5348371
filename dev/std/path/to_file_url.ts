import { posix } from "node:path";
import { pathToFileURL } from "node:url";

export function toFileUrl(path: string): URL {
  if (!posix.isAbsolute(path)) {
    throw new TypeError(`Path must be absolute: received "${path}"`);
  }
  return pathToFileURL(path);
}
