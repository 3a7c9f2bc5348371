import { posix } from "node:path";

export const isAbsolute = (path: string): boolean => posix.isAbsolute(path);
