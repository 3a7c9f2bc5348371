// Without `node:path`: the first module of Node.js takes half as long as Deno itself takes to start.

/** What `@std/path` does with a `URL` where it takes a path. */
export const toPath = (path: string | URL): string =>
  path instanceof URL ? fromFileUrl(path) : path;

export function fromFileUrl(url: string | URL): string {
  const { protocol, pathname } = new URL(url);
  if (protocol !== "file:") {
    throw new TypeError(`URL must be a file URL: received "${protocol}"`);
  }
  return decodeURIComponent(pathname.replace(/%(?![0-9a-f]{2})/gi, "%25"));
}

export const isAbsolutePath = (path: string): boolean => path.startsWith("/");

/** Without the slashes at its end, but for those of the root. */
export const withoutEnd = (path: string): string =>
  path.replace(/(?<=[^/])\/+$/, "");

export function normalizePath(path: string): string {
  const root = isAbsolutePath(path) ? "/" : "";
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.length > 0 && parts.at(-1) !== "..") parts.pop();
    else if (!root) parts.push("..");
  }
  const result = root + parts.join("/") || ".";
  return path.endsWith("/") && result !== "/" ? `${result}/` : result;
}
