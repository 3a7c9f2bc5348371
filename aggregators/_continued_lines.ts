/** Which tests are in lines of JSON that another process may go on with. */
import { type FindTests, keyOf, misplaced } from "./_continued.ts";
import { linesOf } from "./_lines.ts";

/**
 * What stands around the lines of a test, so that a later process sees whether all
 * are there. Blanks mean nothing to who reads the lines as JSON.
 */
const BLANK = " ".charCodeAt(0);
const NEWLINE = 10;

/** Finds the tests in lines of JSON, by the blanks around each. */
export const findLines: FindTests = async (file) => {
  const keys = new Set<string>();
  let length = 0;
  /** Where the next line begins. */
  let at = 0;
  let number = 0;
  let key: string | undefined;
  let start: number | undefined;
  for await (const line of linesOf(file)) {
    at += line.length;
    if (start === undefined) start = line[0];
    if (line.at(-1) !== NEWLINE) break;
    number++;
    const first = line[0] === BLANK;
    if (first !== (key === undefined)) throw misplaced(number);
    if (first) key = keyOfLine(line, number);
    if (line.at(-2) === BLANK) {
      keys.add(key!);
      key = undefined;
      length = at;
    }
  }
  // a fault of the host may leave nothing but zeros
  if (number === 0 && start && start !== BLANK) throw misplaced(1);
  return { length, keys };
};

function keyOfLine(line: Uint8Array, number: number): string {
  try {
    const [platform, , name] = JSON.parse(new TextDecoder().decode(line));
    if (typeof platform === "string" && typeof name === "string") {
      return keyOf(platform, name);
    }
  } catch {
    // the same to the caller
  }
  throw new Error(`line ${number} cannot be understood`);
}
