/** The metadata of a test, as a file that the test can read. */
import { Float } from "./metadata/value.ts";

/** YAML in block style, without anchors: there are readers that know nothing else. */
export async function metadataYaml(
  data: Readonly<Record<string, unknown>>,
): Promise<string> {
  // no script that does not run tests needs it
  const { stringify } = await import("@std/yaml/stringify");
  return stringify(plain(data), { lineWidth: -1, useAnchors: false });
}

/** What the YAML library knows: objects, lists, texts, numbers, booleans, null. */
function plain(value: unknown): unknown {
  if (value === undefined) return null;
  if (typeof value === "bigint") {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : String(value);
  }
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Float) return value.valueOf();
  if (value instanceof Uint8Array) return value;
  const isPlain = value instanceof Map ||
    Object.getPrototypeOf(value) === null ||
    Object.getPrototypeOf(value) === Object.prototype;
  if (!isPlain) return String(value);
  const entries = value instanceof Map ? value : Object.entries(value);
  const result: Record<string, unknown> = {};
  for (const [key, item] of entries) {
    Object.defineProperty(result, String(key), {
      value: plain(item),
      enumerable: true,
    });
  }
  return result;
}
