import { posix } from "node:path";
import { toPath } from "./_path.ts";

export const extname = (path: string | URL): string =>
  posix.extname(toPath(path));
