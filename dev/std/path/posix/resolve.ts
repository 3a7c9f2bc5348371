import { isAbsolutePath, normalizePath, withoutEnd } from "./_path.ts";

export function resolve(...paths: string[]): string {
  const start = paths.findLastIndex(isAbsolutePath);
  const used = start === -1 ? [Deno.cwd(), ...paths] : paths.slice(start);
  return withoutEnd(normalizePath(used.join("/")));
}
