/** The files of a test: how large they are, and what of them is in the page. */
import { normalisePath, placeOf } from "../executors/results.ts";
import type { PageFile } from "./_html_data.ts";
import { isWithin, readPart } from "./_own_file.ts";

/** Bytes of one file that are in the page, for a result that somebody has to look at, … */
const BEGINNING = 16 * 1024;
const END = 48 * 1024;
/** … and for others. */
const SMALL = 8 * 1024;

/** Takes over what tests printed, as long as there is room in the page. */
export class Excerpts {
  #left: number;
  #leftForPassed: number;

  /** Bytes in all. Those of results that are as they should be get half of them at most. */
  constructor(bytes: number) {
    this.#left = bytes;
    this.#leftForPassed = bytes / 2;
  }

  /** The files of a result, which are below a directory. */
  read(
    directory: string,
    { name, files }: { name?: string; files: readonly string[] },
    important: boolean,
  ): PageFile[] {
    const place = placeOf(name === undefined ? {} : { name });
    const root = place ? `${directory}/${place}` : directory;
    return files.map((file): PageFile => {
      const path = `${root}/${normalisePath(file)}`;
      if (!isWithin(directory, path)) return file;
      using open = Deno.openSync(path);
      const { size } = open.statSync();
      const parts = this.#take(open, size, important);
      return parts ? [file, size, ...parts] : [file, size];
    });
  }

  #take(
    file: Deno.FsFile,
    size: number,
    important: boolean,
  ): [all: string] | [beginning: string, end: string] | undefined {
    const length = important ? Math.min(size, BEGINNING + END) : size;
    const room = important
      ? this.#left
      : Math.min(this.#left, this.#leftForPassed, SMALL);
    if (length === 0 || length > room) return;
    const parts = size === length
      ? [readPart(file, 0, size)]
      : [readPart(file, 0, BEGINNING), readPart(file, size - END, END)];
    if (parts.some((bytes) => bytes.includes(0))) return; // it is no text
    this.#left -= length;
    if (!important) this.#leftForPassed -= length;
    const texts = parts.map((bytes) => new TextDecoder().decode(bytes));
    if (texts.length === 1) return [texts[0]!];
    return [untilNewline(texts[0]!), fromNewline(texts[1]!)];
  }
}

/** Without part of a line at the end. */
function untilNewline(text: string): string {
  return text.slice(0, text.lastIndexOf("\n") + 1) || text;
}

/** Without part of a line at the beginning. */
function fromNewline(text: string): string {
  return text.slice(text.indexOf("\n") + 1);
}
