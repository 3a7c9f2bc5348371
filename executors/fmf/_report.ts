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
export function readReport(json: Uint8Array): Report {
  const values = readObject(json);
  const name = optional(values, "name", isText, "text") ?? "";
  if (name === "" && Object.hasOwn(values, "name")) delete values.name;
  optional(values, "status", isText, "text");
  optional(values, "note", isText, "text");
  const partial = optional(values, "partial", isBoolean, "true or false");
  const testout = optional(values, "testout", isText, "text");
  const entries = optional(values, "files", Array.isArray, "a list");
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

function readObject(json: Uint8Array): JsonObject {
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

const isText = (value: unknown) => typeof value === "string";
const isBoolean = (value: unknown) => typeof value === "boolean";

/** The value of a key: `undefined` if it is absent. */
function optional<T>(
  values: JsonObject,
  key: string,
  fits: (value: unknown) => value is T,
  what: string,
): T | null | undefined {
  // a key may be called as a method of all objects is
  const value = Object.hasOwn(values, key) ? values[key] : undefined;
  if (value === undefined || value === null || fits(value)) return value;
  throw bad(`"${key}" is not ${what}`);
}

function readUpload(entry: unknown, index: number): Upload {
  const what = `"files" item ${index + 1}`;
  if (!isObject(entry)) throw bad(`${what} is not an object`);
  const { name, length } = entry;
  if (typeof name !== "string") {
    throw bad(`${what} has a "name" that is not text`);
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
