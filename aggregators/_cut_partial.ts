/** Repairing the end of a file that a killed script was writing. */
import { readPart } from "./_own_file.ts";

const BLOCK = 64 * 1024;
const NEWLINE = new Uint8Array([10]);
/** What begins a document; the blank is in those that another process may go on with. */
const DOCUMENTS = ["\n---\n", "\n--- \n"]
  .map((text) => new TextEncoder().encode(text));
/** How results begin that another process may go on with, and how each whole test in them ends. */
const CONTINUED = [[" ", " \n"], ["--- \n", "\n...\n"]]
  .map((texts) => texts.map((text) => new TextEncoder().encode(text)));

/**
 * Removes what there is of a last line, or of a last YAML document. A line that
 * lacks nothing but its end gets it. Of results that another process may go on with,
 * what there is of a last test is removed.
 */
export function cutPartial(file: Deno.FsFile): void {
  const { size } = file.statSync();
  if (size === 0) return;
  const end = endOfTests(file);
  if (end) {
    const last = lastIndexOf(file, end, size);
    return file.truncateSync(last === -1 ? 0 : last + end.length);
  }
  const lines = lastIndexOf(file, NEWLINE, size) + 1;
  if (lines === size) return;
  const rest = readPart(file, lines, size - lines);
  if (readPart(file, 0, 1)[0] === "-".charCodeAt(0)) {
    file.truncateSync(
      // all before it is complete if only a new document begins
      lines > 0 && startsDocument(rest) ? lines : Math.max(
        ...DOCUMENTS.map((begin) => lastIndexOf(file, begin, size) + 1),
      ),
    );
  } else if (isResult(rest)) {
    file.seekSync(size, Deno.SeekMode.Start);
    file.writeSync(NEWLINE);
  } else file.truncateSync(lines);
}

/** Whether another process may go on with results. */
export function isContinued(file: Deno.FsFile): boolean {
  return endOfTests(file) !== undefined;
}

/** What stands at the end of each test, if another process may go on with the results. */
function endOfTests(file: Deno.FsFile): Uint8Array | undefined {
  const found = CONTINUED.find(([begin]) => {
    const first = readPart(file, 0, begin!.length);
    return begin!.every((byte, i) => byte === first[i]);
  });
  return found?.[1];
}

/** Where some bytes begin for the last time; -1 if they are not there. */
function lastIndexOf(
  file: Deno.FsFile,
  wanted: Uint8Array,
  size: number,
): number {
  for (let start = size; start > 0;) {
    // blocks overlap, for what lies across their border
    const end = Math.min(size, start + wanted.length - 1);
    start = Math.max(0, start - BLOCK);
    const block = readPart(file, start, end - start);
    for (let at = block.length; at > 0;) {
      at = block.lastIndexOf(wanted[0]!, at - 1);
      if (at === -1) break;
      if (wanted.every((byte, i) => block[at + i] === byte)) return start + at;
    }
  }
  return -1;
}

function startsDocument(bytes: Uint8Array): boolean {
  return "--- ".startsWith(new TextDecoder().decode(bytes));
}

/** Whether a line is whole: the beginning of a list is no JSON. */
function isResult(bytes: Uint8Array): boolean {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return Array.isArray(JSON.parse(text));
  } catch {
    return false;
  }
}
