/** JSON as a test sends it: strict, and handed on without loss. */

/** An object of a JSON document. Its keys are arbitrary: even `__proto__`. */
export type JsonObject = Record<string, unknown>;

/** Deeper documents are refused, so that whatever walks them can recurse. */
export const MAX_DEPTH = 1000;

const decoder = new TextDecoder("utf-8", { fatal: true });
const encoder = new TextEncoder();

/** Not in every type library yet. */
const exact = JSON as typeof JSON & {
  rawJSON(text: string): object;
  isRawJSON(value: unknown): boolean;
};

/**
 * Parses a document: bytes of UTF-8, or text that is all ASCII.
 *
 * @throws {SyntaxError} if it is not JSON, or nested too deeply
 * @throws {TypeError} if it is not UTF-8
 */
export function parseJson(json: Uint8Array | string): unknown {
  const text = typeof json === "string" ? json : decoder.decode(json);
  // to look at each number takes many times longer
  const value = /[0-9]{16}|[0-9][eE]|(?:[0-9]\.0+|-0)\s*[,}]/.test(text)
    ? JSON.parse(typeof json === "string" ? alone(text) : text, keepNumber)
    : JSON.parse(text);
  // every level takes two bytes
  if (json.length > 2 * MAX_DEPTH && isDeeper(value, MAX_DEPTH)) {
    throw new SyntaxError(`nested more than ${MAX_DEPTH} levels deep`);
  }
  return value;
}

/** The same text, which is not kept as a part of a longer one: what is made of it may hold pieces of its source. */
function alone(text: string): string {
  return decoder.decode(encoder.encode(text));
}

/**
 * Keeps the text of numbers that JavaScript would round: they are not ours. Also that
 * of a length with sign, fraction or exponent, which the value would not show.
 */
function keepNumber(
  this: unknown,
  key: string,
  value: unknown,
  context?: { source: string },
): unknown {
  if (typeof value !== "number" || context === undefined) return value;
  const { source } = context;
  const rounded = !Number.isFinite(value) ||
    /[0-9]{16}/.test(source) && String(value) !== source ||
    key === "length" && !/^[0-9]+$/.test(source);
  return rounded ? exact.rawJSON(source) : value;
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (levels === 0) return true;
  return Object.values(value).some((item) => isDeeper(item, levels - 1));
}

/** Whether it is an object: not a list, not a number kept as its text. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null &&
    !Array.isArray(value) && !exact.isRawJSON(value);
}

/** Sets a key, whatever its name. */
export function setKey(object: JsonObject, key: string, value: unknown): void {
  if (key !== "__proto__") object[key] = value;
  else {
    Object.defineProperty(object, key, {
      value,
      writable: true,
      enumerable: true,
      configurable: true,
    });
  }
}
