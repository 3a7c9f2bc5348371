/** Chance that can be had again. */

/** Numbers from 0 to 1, always the same ones for the same seed. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => { // mulberry32
    state = (state + 0x6d2b79f5) >>> 0;
    let bits = Math.imul(state ^ (state >>> 15), state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The seed in that variable, or a new one. */
export function seedOf(variable: string): number {
  return Number(Deno.env.get(variable)) ||
    crypto.getRandomValues(new Uint32Array(1))[0];
}
