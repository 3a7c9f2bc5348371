import { posix } from "node:path";

export const relative = (from: string, to: string): string =>
  posix.relative(from, to);
