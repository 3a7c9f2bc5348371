/** Inputs made of valid ones, and of the pieces that mean something in them. */
import fc from "fast-check";

/** A change; the place is a part of the whole, so that it fits any text. */
type Edit = (text: string) => string;

const at = (text: string, place: number) => Math.floor(text.length * place);

const place = fc.double({ min: 0, max: 1, noNaN: true });
const length = fc.oneof(fc.nat({ max: 4 }), fc.nat({ max: 60 }));

function edit(pieces: fc.Arbitrary<string>): fc.Arbitrary<Edit> {
  return fc.oneof(
    // inserted, or instead of what was there
    fc.tuple(place, length, pieces).map(([place, length, piece]): Edit =>
    (
      text,
    ) => {
      const start = at(text, place);
      return text.slice(0, start) + piece + text.slice(start + length);
    }),
    fc.tuple(place, pieces).map(([place, piece]): Edit => (text) => {
      const start = at(text, place);
      return text.slice(0, start) + piece + text.slice(start);
    }),
    // left out
    fc.tuple(place, length).map(([place, length]): Edit => (text) => {
      const start = at(text, place);
      return text.slice(0, start) + text.slice(start + length);
    }),
    // cut off
    place.map((place): Edit => (text) => text.slice(0, at(text, place))),
    // again, once or many times
    fc.tuple(place, length, fc.constantFrom(1, 2, 30, 400)).map(
      ([place, length, times]): Edit => (text) => {
        const start = at(text, place);
        const part = text.slice(start, start + length);
        return text.slice(0, start) + part.repeat(times) + text.slice(start);
      },
    ),
    // elsewhere
    fc.tuple(place, length, place).map(([from, length, to]): Edit => (text) => {
      const start = at(text, from);
      const part = text.slice(start, start + length);
      const rest = text.slice(0, start) + text.slice(start + length);
      const target = at(rest, to);
      return rest.slice(0, target) + part + rest.slice(target);
    }),
    // one line less, or two in another order
    fc.tuple(place, fc.boolean()).map(([place, swap]): Edit => (text) => {
      const lines = text.split("\n");
      const index = Math.min(
        lines.length - 1,
        Math.floor(lines.length * place),
      );
      const [line] = lines.splice(index, 1);
      if (swap) lines.splice(Math.max(0, index - 1), 0, line!);
      return lines.join("\n");
    }),
  );
}

/** Longer inputs make it slow to see much. */
const LONGEST = 20_000;

/** What any parser may take for something else than it is. */
const ODD = fc.oneof(
  fc.constantFrom(
    ..."\0\n\r\t \\\"'/.-,:;=#%&*?!@^$|()[]{}<>~`_",
    "\r\n",
    "..",
    "__proto__",
    "constructor",
    "toString",
    "null",
    "true",
    "NaN",
    "0",
    "-1",
    "1e999",
    "9007199254740993",
    "é",
    "\u2028",
    "\ufeff",
    "\u{1f600}",
    "\ud800",
    "\x1b[31m",
  ),
  fc.string({ unit: "binary", maxLength: 4 }),
);

/** Valid inputs with a few changes; `tokens` are what changes insert beside odd characters. */
export function mutated(
  seeds: readonly string[],
  tokens: readonly string[] = [],
): fc.Arbitrary<string> {
  const pieces = tokens.length === 0
    ? ODD
    : fc.oneof(fc.constantFrom(...tokens), ODD);
  return fc.tuple(
    fc.constantFrom(...seeds),
    fc.oneof(
      { weight: 4, arbitrary: fc.array(edit(pieces), { maxLength: 4 }) },
      { weight: 1, arbitrary: fc.array(edit(pieces), { maxLength: 20 }) },
    ),
  ).map(([seed, edits]) =>
    edits.reduce((text, edit) => edit(text).slice(0, LONGEST), seed)
  );
}

/** Tokens in any order, and odd characters between them. */
export function soup(tokens: readonly string[]): fc.Arbitrary<string> {
  return fc.array(
    fc.oneof(
      { weight: 8, arbitrary: fc.constantFrom(...tokens) },
      { weight: 1, arbitrary: ODD },
    ),
    { maxLength: 30 },
  ).map((parts) => parts.join(""));
}

/** Both, and plain noise. */
export function texts(
  seeds: readonly string[],
  tokens: readonly string[],
): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 5, arbitrary: mutated(seeds, tokens) },
    { weight: 3, arbitrary: soup(tokens) },
    { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 100 }) },
  );
}

/** JSON that is like a sample, with parts of it left out, of another type, or more than there should be. */
export function like(sample: unknown): fc.Arbitrary<unknown> {
  const other = fc.oneof(
    fc.jsonValue({ maxDepth: 2 }),
    fc.constantFrom<unknown>(
      null,
      "",
      -1,
      0.5,
      1e300,
      "2026-01-01T00:00:00Z",
      "__proto__",
      [],
      {},
    ),
  );
  return fc.oneof(
    { weight: 12, arbitrary: sameShape(sample) },
    { weight: 1, arbitrary: other },
  );
}

function sameShape(sample: unknown): fc.Arbitrary<unknown> {
  if (Array.isArray(sample)) {
    return sample.length === 0
      ? fc.constant([])
      : fc.array(fc.oneof(...sample.map(like)), { maxLength: 3 });
  }
  if (typeof sample !== "object" || sample === null) return fc.constant(sample);
  const keys = Object.entries(sample).map(([key, value]) => [
    key,
    fc.option(like(value), { nil: undefined, freq: 15 }),
  ]);
  // parsed again: what is undefined goes, and `__proto__` becomes a key
  return fc.tuple(
    fc.record(Object.fromEntries(keys)),
    fc.option(fc.constantFrom("__proto__", "constructor", "more"), {
      nil: undefined,
      freq: 10,
    }),
  ).map(([value, more]) => {
    const text = JSON.stringify(value);
    return JSON.parse(
      more === undefined || text === "{}"
        ? text
        : `${text.slice(0, -1)},${JSON.stringify(more)}:{"polluted":1}}`,
    );
  });
}
