import { posix } from "node:path";
import { toPath } from "./_path.ts";

export function basename(path: string | URL, suffix = ""): string {
  const name = posix.basename(toPath(path));
  if (name === "") return toPath(path) === "" ? "" : "/";
  return name !== suffix && suffix !== "" && name.endsWith(suffix)
    ? name.slice(0, -suffix.length)
    : name;
}
