/** Which tests are in YAML documents that another process may go on with. */
import { parse } from "@std/yaml/parse";
import { type FindTests, keyOf, misplaced } from "./_continued.ts";
import { linesOf } from "./_lines.ts";

/** The blank tells it from what was not written to be continued. */
const START = "--- \n";
/** Ends a document; text of tests is indented or quoted. */
const END = "...\n";

/** Finds the tests in documents of which each whole one ends with `...`. */
export const findDocuments: FindTests = async (file) => {
  const keys = new Set<string>();
  const decoder = new TextDecoder();
  let length = 0;
  /** Where the next line begins, and its number. */
  let at = 0;
  let number = 0;
  /** The lines with platform and test; absent between documents. */
  let head: string[] | undefined;
  for await (const bytes of linesOf(file)) {
    at += bytes.length;
    number++;
    const line = decoder.decode(bytes.subarray(0, START.length));
    if (!head) {
      // it was being written; a fault of the host may leave nothing but zeros
      if (line !== START && START.startsWith(line) || bytes[0] === 0) break;
      if (line !== START) throw misplaced(number);
      head = [];
    } else if (line === END) {
      keys.add(keyOfHead(head, number));
      head = undefined;
      length = at;
    } else if (line === START) {
      throw misplaced(number);
    } else if (head.length < 2) head.push(decoder.decode(bytes));
  }
  return { length, keys };
};

function keyOfHead(lines: readonly string[], end: number): string {
  try {
    const { platform, name } = parse(lines.join(""), {
      schema: "failsafe",
    }) as Record<string, unknown>;
    if (typeof platform === "string" && typeof name === "string") {
      return keyOf(platform, name);
    }
  } catch {
    // the same to the caller
  }
  throw new Error(`the document that ends at line ${end} cannot be understood`);
}
