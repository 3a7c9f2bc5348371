/** Reading back what the aggregator of YAML documents wrote. */
import { parse } from "@std/yaml/parse";
import { BadResultsError } from "../executors/results.ts";
import { isText, isTextList, type StoredResult } from "./_stored_result.ts";

/**
 * The results in the text of a file, of each test those of its parts first; its
 * path is for errors. A last document without an end of its last line, as a killed
 * script leaves it, is ignored.
 *
 * @throws {BadResultsError} if a document cannot be understood
 */
export async function* parseYaml(
  text: AsyncIterable<string>,
  path: string,
): AsyncGenerator<StoredResult> {
  let line = 1;
  for await (const { document, isLast } of documents(text)) {
    // not even the name of a test was written
    if (isLast && /^---\s+(?:platform:[^\n]*\n)?$/.test(document)) return;
    yield* resultsOf(document, path, line);
    line += document.split("\n").length - 1;
  }
}

/** Cuts text before each line that begins with `---`. */
async function* documents(
  text: AsyncIterable<string>,
): AsyncGenerator<{ document: string; isLast: boolean }> {
  let document: string[] = [];
  /** A line that has not ended: it may only look like a beginning. */
  let line = "";
  for await (const part of text) {
    line += part;
    if (!part.includes("\n")) continue;
    const end = line.lastIndexOf("\n") + 1;
    const lines = line.slice(0, end);
    let start = 0;
    for (const { index } of lines.matchAll(/^---(?=\s)/gm)) {
      document.push(lines.slice(start, index));
      yield { document: document.join(""), isLast: false };
      document = [];
      start = index;
    }
    document.push(lines.slice(start));
    line = line.slice(end);
  }
  // unless it was cut off; perhaps where another one was to begin
  if ("---".startsWith(line)) {
    yield { document: document.join(""), isLast: true };
  }
}

function* resultsOf(
  text: string,
  path: string,
  line: number,
): Generator<StoredResult> {
  const bad = (reason: string, options?: ErrorOptions) =>
    new BadResultsError(path, line, reason, options);
  let document: unknown;
  try {
    // everything is text
    document = parse(text, { schema: "failsafe" });
  } catch (cause) {
    throw bad("begins a document that is not YAML", { cause });
  }
  if (document === null || document === undefined) return;
  if (!isMapping(document)) throw bad("begins a document that is no mapping");
  const { platform, name: test } = document;
  const subtests = document.subtests ?? [];
  if (!isText(platform) || !isText(test)) {
    throw bad('begins a document without "platform" or "name"');
  }
  if (!Array.isArray(subtests)) {
    throw bad('begins a document whose "subtests" are no list');
  }
  for (const subtest of subtests) {
    const result = resultOf(subtest);
    if (!result?.subtest) throw bad("begins a document with a bad subtest");
    yield { platform, test, ...result };
  }
  const own = resultOf({ ...document, name: null });
  if (!own) throw bad("begins a document with fields of wrong types");
  // a test of which nothing is known must not be lost
  if (Object.keys(own).length > 1 || own.files.length > 0 || !subtests.length) {
    yield { platform, test, ...own };
  }
}

/** A result, unless its fields are of wrong types. */
function resultOf(
  value: unknown,
): Omit<StoredResult, "platform" | "test"> | undefined {
  if (!isMapping(value)) return undefined;
  const [subtest, status, note, files] = ["name", "status", "note", "files"]
    .map((key) => value[key] ?? undefined);
  const texts = { subtest, status, note };
  const given = Object.entries(texts).filter(([, text]) => text !== undefined);
  if (!given.every(([, text]) => isText(text))) return undefined;
  if (files !== undefined && !isTextList(files)) return undefined;
  return { ...Object.fromEntries(given), files: files ?? [] };
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
