/** Reading back what the aggregator of JSON lines wrote. */
import { BadResultsError } from "../executors/results.ts";
import { pathOf } from "../options.ts";
import { textOf } from "./_decompress.ts";
import { isText, isTextList, type StoredResult } from "./_stored_result.ts";

/**
 * Reads a file of results that `JsonLinesAggregator` wrote, also compressed by
 * gzip, zstd or xz. A last line that is not complete, as a killed script leaves
 * it, is ignored.
 *
 * Needs `--allow-read` for the file, and `--allow-run=xz` if it is one of xz.
 *
 * @throws {BadResultsError} if another line cannot be understood
 */
export async function* readJsonLines(
  path: string | URL,
): AsyncGenerator<StoredResult> {
  const name = pathOf(path);
  yield* parseJsonLines(textOf(name), name);
}

/** The results in the text of a file; its path is for errors. */
export async function* parseJsonLines(
  text: AsyncIterable<string>,
  path: string,
): AsyncGenerator<StoredResult> {
  let line = 0;
  let rest = "";
  for await (const part of text) {
    if (!part.includes("\n")) {
      rest += part;
      continue;
    }
    const lines = (rest + part).split("\n");
    rest = lines.pop()!;
    for (const text of lines) {
      line++;
      if (text.trim() !== "") yield parseLine(text, path, line);
    }
  }
  if (rest.trim() === "") return;
  let last: StoredResult;
  try {
    last = parseLine(rest, path, line + 1);
  } catch {
    return;
  }
  yield last;
}

function parseLine(text: string, path: string, line: number): StoredResult {
  let items: unknown;
  try {
    items = JSON.parse(text);
  } catch (cause) {
    throw new BadResultsError(path, line, "is not JSON", { cause });
  }
  if (!Array.isArray(items) || items.length < 6 || items.length > 7) {
    throw new BadResultsError(path, line, "is not a list of 6 or 7 items");
  }
  const [platform, status, test, subtest, files, note, fields] = items;
  if (
    !isText(platform) || !isText(test) ||
    ![status, subtest, note].every((item) => item === null || isText(item)) ||
    !(files === null || isTextList(files)) ||
    !(fields === undefined || typeof fields === "object" && fields !== null)
  ) {
    throw new BadResultsError(path, line, "has items of wrong types");
  }
  return {
    platform,
    test,
    ...(subtest !== null && { subtest }),
    ...(status !== null && { status }),
    files: files ?? [],
    ...(note !== null && { note }),
    ...(fields !== undefined && { fields }),
  };
}
