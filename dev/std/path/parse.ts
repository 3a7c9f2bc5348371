import { posix } from "node:path";

export interface ParsedPath {
  root: string;
  dir: string;
  base: string;
  ext: string;
  name: string;
}

export const parse = (path: string): ParsedPath => posix.parse(path);
