import { posix } from "node:path";

export const resolve = (...paths: string[]): string => posix.resolve(...paths);
