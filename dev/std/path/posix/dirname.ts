import { posix } from "node:path";
import { toPath } from "./_path.ts";

export const dirname = (path: string | URL): string =>
  posix.dirname(toPath(path)).replace(/(?<=.)\/+$/, "");
