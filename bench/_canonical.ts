/** JSON with all keys sorted, and without spaces. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const map = value as Record<string, unknown>;
  const items = Object.keys(map).sort()
    .map((key) => `${JSON.stringify(key)}:${canonical(map[key])}`);
  return `{${items.join(",")}}`;
}
