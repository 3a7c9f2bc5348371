import { fileURLToPath } from "node:url";

/** What `@std/path` does with a `URL` where it takes a path. */
export const toPath = (path: string | URL): string =>
  path instanceof URL ? fromFileUrl(path) : path;

export function fromFileUrl(url: string | URL): string {
  const { protocol, pathname } = new URL(url);
  if (protocol !== "file:") {
    throw new TypeError(`URL must be a file URL: received "${protocol}"`);
  }
  if (/%2f|%(?![0-9a-f]{2})/i.test(pathname)) {
    return decodeURIComponent(pathname.replace(/%(?![0-9a-f]{2})/gi, "%25"));
  }
  return fileURLToPath(new URL(pathname, "file:///"));
}
