import { formatDuration } from "../orchestrators/progress.ts";

/** An event of a provisioner or executor on one line: its type, then what it says. */
export function describeEvent(
  { type, ...rest }: { readonly type: string },
): string {
  const parts = Object.entries(rest as Record<string, unknown>)
    .filter(([, value]) => value !== undefined && value !== "")
    .map(([key, value]) =>
      key === "ms"
        ? `after ${formatDuration(Number(value))}`
        : `${key} ${text(value)}`
    );
  return `${type}: ${parts.join(", ")}`;
}

function text(value: unknown): string {
  if (value instanceof Error) return value.message;
  return typeof value === "string" ? value : JSON.stringify(value);
}
