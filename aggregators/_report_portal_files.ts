/** Files of tests, for ReportPortal. */
import { normalisePath, placeOf, type Result } from "../executors/results.ts";
import { contentTypeOf } from "./_content_types.ts";
import { fromCharacter, isWithin, readPart } from "./_own_file.ts";

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

/** Where a file of a result is; undefined if there is no such file of the test. */
export function findFile(
  artifacts: string,
  { name }: Pick<Result, "name">,
  file: string,
): string | undefined {
  const directory = `${artifacts}/files`;
  const place = placeOf(name === undefined ? {} : { name });
  const path = `${directory}/${place && `${place}/`}${normalisePath(file)}`;
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
  const isCut = size > most;
  const content = isCut
    ? readPart(file, size - most, most)
    : readPart(file, 0, size);
  const part = `(the last ${most} of ${size} bytes)`;
  if (inline) {
    const text = new TextDecoder().decode(
      isCut ? fromCharacter(content) : content,
    );
    return { message: isCut ? `${part}\n${text}` : text };
  }
  const name = path.slice(path.lastIndexOf("/") + 1);
  return {
    message: isCut ? `${listed} ${part}` : listed,
    attachment: { name, type: contentTypeOf(name), content },
  };
}
