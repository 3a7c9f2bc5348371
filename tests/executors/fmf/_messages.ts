/** What tests write to the control channel. */

export const bytesOf = (text: string) => new TextEncoder().encode(text);

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(
    parts.reduce((sum, { length }) => sum + length, 0),
  );
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** A result with its length, without the bytes of its files. */
export function result(value: unknown): string {
  const json = JSON.stringify(value);
  return `result ${bytesOf(json).length}\n${json}`;
}
