import { toPath, withoutEnd } from "./_path.ts";

export function dirname(path: string | URL): string {
  const whole = withoutEnd(toPath(path));
  const end = whole.lastIndexOf("/");
  return end === -1 ? "." : whole.slice(0, end).replace(/\/+$/, "") || "/";
}
