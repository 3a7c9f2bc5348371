/** Files of tests, for ReportPortal. */
import {
  normaliseFileName,
  placeOf,
  type Result,
} from "../executors/results.ts";
import { isWithin, readPart } from "./_own_file.ts";

/** What ReportPortal gets of a file. */
export type LogContent =
  | { message: string }
  | {
    message: string;
    attachment: {
      name: string;
      type: string;
      content: Uint8Array<ArrayBuffer>;
    };
  };

/** Kinds of files by the ends of their names. Pages that could run a script are given as text. */
const TYPES: Readonly<Record<string, string>> = {
  csv: "text/csv",
  gif: "image/gif",
  gz: "application/gzip",
  jpeg: "image/jpeg",
  jpg: "image/jpeg",
  json: "application/json",
  mp4: "video/mp4",
  pdf: "application/pdf",
  png: "image/png",
  tar: "application/x-tar",
  webm: "video/webm",
  webp: "image/webp",
  xz: "application/x-xz",
  zip: "application/zip",
  zst: "application/zstd",
};

function typeOf(name: string): string {
  const end = /\.([^.]+)$/.exec(name)?.[1]?.toLowerCase() ?? "";
  return Object.hasOwn(TYPES, end) ? TYPES[end]! : "text/plain";
}

/** Where a file of a result is; undefined if there is no such file of the test. */
export function findFile(
  artifacts: string,
  { name }: Pick<Result, "name">,
  file: string,
): string | undefined {
  const directory = `${artifacts}/files`;
  const place = placeOf(name === undefined ? {} : { name });
  let path: string;
  try {
    path = `${directory}/${place && `${place}/`}${normaliseFileName(file)}`;
  } catch {
    return undefined;
  }
  return isWithin(directory, path) ? path : undefined;
}

/** Bytes of a text that may be the message itself. */
export const MAX_INLINE = 1024 * 1024;

/** Reads what is sent: the text, or a file of which the end is sent if it is too large. */
export function readLog(
  path: string,
  listed: string,
  { inline, most }: { inline: boolean; most: number },
): LogContent {
  using file = Deno.openSync(path);
  const { size } = file.statSync();
  if (inline) {
    const bytes = readPart(
      file,
      Math.max(0, size - most),
      Math.min(size, most),
    );
    return { message: new TextDecoder().decode(bytes) };
  }
  const name = path.slice(path.lastIndexOf("/") + 1);
  const type = typeOf(name);
  if (size <= most) {
    const content = readPart(file, 0, size);
    return { message: listed, attachment: { name, type, content } };
  }
  const content = readPart(file, size - most, most);
  return {
    message: `${listed} (the last ${most} of ${size} bytes)`,
    attachment: { name, type, content },
  };
}
