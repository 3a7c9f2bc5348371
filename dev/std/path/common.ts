import { posix } from "node:path";

export function common(paths: string[], sep: string = posix.sep): string {
  const [first = "", ...rest] = paths.map((path) => path.split(sep));
  if (rest.length === 0 || first === "") return paths[0] ?? "";
  const length = rest.reduce((length, parts) => {
    let same = 0;
    while (same < length && parts[same] === first[same]) same++;
    return same;
  }, first.length);
  const prefix = first.slice(0, length).join(sep);
  return prefix === "" || prefix.endsWith(sep) ? prefix : prefix + sep;
}
