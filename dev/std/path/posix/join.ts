import { normalizePath, toPath } from "./_path.ts";

export const join = (path: string | URL, ...paths: string[]): string =>
  normalizePath(
    [toPath(path), ...paths].filter((path) => path !== "").join("/"),
  );
