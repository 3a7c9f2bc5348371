/** What `deno task fuzz` feeds with inputs that nobody thought of. */
import fc from "fast-check";

/** Something that reads what comes from elsewhere. */
export interface Target<Input = unknown> {
  readonly name: string;
  /** What has to hold, whatever the input. */
  readonly oracle: string;
  /** Inputs; JSON can hold them, so that a failure can be kept in a file. */
  readonly inputs: fc.Arbitrary<Input>;
  /** How much longer than the others it takes for an input: it gets the fewer. */
  readonly cost?: number;
  /**
   * Throws if the oracle does not hold. `directory` is for files; it is empty
   * at first, and the next input finds what this one leaves there.
   */
  check(input: Input, directory: string): void | Promise<void>;
}

/** Keeps the type of inputs between `inputs` and `check`. */
export function target<Input>(given: Target<Input>): Target {
  return given as Target;
}

/** Bytes as text of one character each. */
export const bytesOf = (text: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(text, (char) => char.charCodeAt(0));

/** The other way round. */
export const latin1 = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");

/** UTF-8, in the form that {@linkcode bytesOf} takes. */
export const utf8 = (text: string): string =>
  latin1(new TextEncoder().encode(text));

/** Sizes of pieces, in which {@linkcode cut} cuts something. */
export const cuts = fc.array(fc.nat({ max: 40 }), { maxLength: 20 });

/** Cuts into pieces of these sizes, and the rest. */
export function cut<T extends { length: number }>(
  whole: T,
  sizes: readonly number[],
  slice: (whole: T, start: number, end?: number) => T,
): T[] {
  const pieces: T[] = [];
  let at = 0;
  for (const size of sizes) pieces.push(slice(whole, at, at += size));
  pieces.push(slice(whole, Math.min(at, whole.length)));
  return pieces;
}

/** What came of something: a value, or an error that was to be expected. */
export type Outcome<T> =
  | { readonly value: T; readonly error?: undefined }
  | { readonly error: Error };

/** Runs `action`; an error that is not expected is thrown on. */
export async function outcomeOf<T>(
  action: () => T | Promise<T>,
  isExpected: (error: Error) => boolean,
): Promise<Outcome<T>> {
  try {
    return { value: await action() };
  } catch (error) {
    if (error instanceof Error && isExpected(error)) return { error };
    throw error;
  }
}
