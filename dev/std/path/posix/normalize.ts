import { posix } from "node:path";
import { toPath } from "./_path.ts";

export const normalize = (path: string | URL): string =>
  posix.normalize(toPath(path));
