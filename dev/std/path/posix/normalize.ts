import { normalizePath, toPath } from "./_path.ts";

export const normalize = (path: string | URL): string =>
  normalizePath(toPath(path));
