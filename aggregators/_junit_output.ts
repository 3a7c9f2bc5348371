/** What a test printed, and where its files are, for a JUnit report. */
import { normalisePath, placeOf, type Result } from "../executors/results.ts";
import { fromCharacter, isWithin, readPart } from "./_own_file.ts";
import { clean } from "./_xml_text.ts";

/** The file that holds what a test printed. */
const OUTPUT = "output.txt";
/** A line that CI services take for the path of a file to show. */
const ATTACHMENT = "[[ATTACHMENT|";

/** What to take over. */
export interface OutputOptions {
  /** Characters of what was printed. */
  tail: number;
  /** Where the files of the test will be, if lines are to say so. */
  attachments: string | undefined;
}

/** The text for a result whose files are in the directory, empty if there is nothing to say. */
export function outputOf(
  root: string,
  result: Pick<Result, "name" | "files">,
  { tail, attachments }: OutputOptions,
): string {
  const place = placeOf(result);
  const below = place && `${place}/`;
  const files = (result.files ?? []).map(normalisePath)
    .filter((file) => file !== "");
  let text = files.includes(OUTPUT) ? readTail(root, below + OUTPUT, tail) : "";
  if (attachments === undefined || files.length === 0) return text;
  if (text !== "" && !text.endsWith("\n")) text += "\n";
  for (const file of files) {
    text += `${ATTACHMENT}${attachments}/${below}${file}]]\n`;
  }
  return text;
}

/** Characters that a sequence for a terminal hardly exceeds: of one, the end may be read only. */
const SEQUENCE = 1024;
/** How many times more may be read if most of it are such sequences. */
const MOST_TIMES = 16;

/**
 * The last characters of a file of the test, without what is for a terminal only; a file
 * elsewhere that a link leads to is none of its.
 */
function readTail(root: string, path: string, most: number): string {
  if (most === 0 || !isWithin(root, `${root}/${path}`)) return "";
  using file = Deno.openSync(`${root}/${path}`);
  const { size } = file.statSync();
  for (let times = 1;; times *= 2) {
    // no character takes more
    const start = Math.max(0, size - 4 * (most * times + SEQUENCE));
    let bytes = readPart(file, start, size - start);
    if (start > 0) bytes = fromCharacter(bytes);
    const characters = clean(new TextDecoder().decode(bytes));
    const from = startOfLast(most, characters);
    if (start > 0 && from < SEQUENCE && times < MOST_TIMES) continue;
    // only we know where files are
    const text = characters.slice(from)
      .replaceAll(ATTACHMENT, "[ [ATTACHMENT|");
    return start > 0 || from > 0 ? `[…]\n${text}` : text;
  }
}

/** Where the last `count` characters of a text begin. */
function startOfLast(count: number, text: string): number {
  let at = text.length;
  for (; count > 0 && at > 0; count--) {
    at--;
    if (at > 0 && text.codePointAt(at - 1)! > 0xffff) at--;
  }
  return at;
}
