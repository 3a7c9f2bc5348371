import { toPath, withoutEnd } from "./_path.ts";

export function basename(path: string | URL, suffix = ""): string {
  const whole = withoutEnd(toPath(path));
  if (/^\/+$/.test(whole)) return "/";
  const name = whole.slice(whole.lastIndexOf("/") + 1);
  return name !== suffix && suffix !== "" && name.endsWith(suffix)
    ? name.slice(0, -suffix.length)
    : name;
}
