/** What a test says in the JSON of a result: checked before any of it is used. */
import { BadReportJSONError } from "../executor.ts";
import { normaliseFileName, placeOf } from "../results.ts";
import { isObject, type JsonObject, parseJson } from "./_json.ts";

/** A file whose bytes follow the JSON. */
export interface Upload {
  /** Normalised path, below the place of the result. */
  readonly name: string;
  /** Bytes. */
  readonly length: number;
}

/** A checked result, as a test reported it. */
export interface Report {
  /** Name of the part of the test; `""` for the test itself. */
  readonly name: string;
  /** Whether more of it is to come. */
  readonly partial: boolean;
  /** File name for the output of the test; `null` to forget an earlier one. */
  readonly testout: string | null | undefined;
  /** Files that follow; `null` to forget earlier ones. */
  readonly files: readonly Upload[] | null | undefined;
  /**
   * The object itself, for what the test reported beside: `partial`, `testout`
   * and `files` in it mean nothing, a `name` in it is not empty.
   */
  readonly values: JsonObject;
}

/**
 * Reads a result.
 *
 * @throws {BadReportJSONError} if any of it cannot be used
 */
export function readReport(json: Uint8Array | string): Report {
  const values = readObject(json);
  // no object has one of these keys by itself
  const name = optionalText(values.name, "name") ?? "";
  if (name === "" && "name" in values) delete values.name;
  optionalText(values.status, "status");
  optionalText(values.note, "note");
  const { partial } = values;
  if (partial != null && typeof partial !== "boolean") {
    throw bad('"partial" is not true or false');
  }
  const testout = optionalText(values.testout, "testout");
  const entries = values.files;
  if (entries != null && !Array.isArray(entries)) {
    throw bad('"files" is not a list');
  }
  const files = entries?.map(readUpload);
  if (name !== "" && (typeof testout === "string" || files?.length)) {
    const place = placeOf({ name });
    if (place !== "") fileName(place, '"name"');
  }
  return {
    name,
    partial: partial === true,
    testout: typeof testout === "string"
      ? fileName(testout, '"testout"')
      : testout,
    files: files ?? (entries === null ? null : undefined),
    values,
  };
}

function readObject(json: Uint8Array | string): JsonObject {
  let value: unknown;
  try {
    value = parseJson(json);
  } catch (error) {
    const { message } = error as Error;
    throw bad(
      error instanceof TypeError
        ? "it is not UTF-8"
        : `the ${json.length} bytes that "result ${json.length}" announced are not JSON: ${message}`,
      error,
    );
  }
  if (!isObject(value)) throw bad("it is not an object");
  return value;
}

function optionalText(value: unknown, key: string): string | null | undefined {
  if (value === undefined || value === null || typeof value === "string") {
    return value;
  }
  throw bad(`"${key}" is not a string`);
}

function readUpload(entry: unknown, index: number): Upload {
  const what = `"files" item ${index + 1}`;
  if (!isObject(entry)) throw bad(`${what} is not an object`);
  const { name, length } = entry;
  if (typeof name !== "string") {
    throw bad(`${what} has a "name" that is not a string`);
  }
  const bytes = typeof length === "string" && /^[0-9]+$/.test(length)
    ? Number(length)
    : length;
  if (!Number.isSafeInteger(bytes) || (bytes as number) < 0) {
    throw bad(`${what} has a "length" that is not a number of bytes`);
  }
  return { name: fileName(name, `"name" of ${what}`), length: bytes as number };
}

function fileName(text: string, what: string): string {
  try {
    return normaliseFileName(text);
  } catch (error) {
    throw bad(`${what}: ${(error as Error).message}`, error);
  }
}

function bad(reason: string, cause?: unknown): BadReportJSONError {
  return new BadReportJSONError(
    `Cannot use the JSON of a result: ${reason}`,
    cause === undefined ? undefined : { cause },
  );
}
