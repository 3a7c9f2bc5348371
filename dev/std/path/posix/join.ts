import { posix } from "node:path";
import { toPath } from "./_path.ts";

export const join = (path: string | URL, ...paths: string[]): string =>
  posix.join(toPath(path), ...paths);
