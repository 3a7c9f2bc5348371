/** What the wrapper writes to the control channel when the test starts. */

/** The line that tells the start of the test. */
export function startMark(nonce: string): Uint8Array {
  return new TextEncoder().encode(`noop atex-start ${nonce}\n`);
}

/** The place of `part` in `bytes`, not before `from`; -1 if there is none. */
export function find(
  part: Uint8Array,
  bytes: Uint8Array,
  from: number,
): number {
  for (;;) {
    const start = bytes.indexOf(part[0]!, from);
    if (start === -1 || start + part.length > bytes.length) return -1;
    if (part.every((byte, index) => bytes[start + index] === byte)) {
      return start;
    }
    from = start + 1;
  }
}
