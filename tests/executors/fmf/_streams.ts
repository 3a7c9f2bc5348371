/** Streams of a control channel to test with. */
import fc from "fast-check";
import { bytesOf, concat, result } from "./_messages.ts";

const names = [
  "a",
  "b",
  "a/b",
  "a/b/c",
  "output.txt",
  "x/./y",
  "é\u0001",
  "__proto__",
];
const fileName = fc.constantFrom(...names, "z", "\ud83d\udc0e", "\uff5e");
const resultName = fc.constantFrom(...names, "", "..", "/../up", "\ud800");
const oddName = fc.constantFrom(
  "../../up",
  "/abs",
  "..",
  ".",
  "",
  "a/".repeat(30),
  "n".repeat(300),
);
const orNull = <T>(arbitrary: fc.Arbitrary<T>) =>
  fc.option(arbitrary, { freq: 6 });

const file = fc.record({ name: fileName, length: fc.nat({ max: 12 }) });

const goodReport = fc.record({
  name: orNull(resultName),
  status: orNull(fc.constantFrom("pass", "fail", "", "own")),
  note: orNull(fc.string({ unit: "binary", maxLength: 5 })),
  partial: orNull(fc.boolean()),
  testout: orNull(fileName),
  files: orNull(fc.array(file, { maxLength: 3 })),
  ["__proto__"]: fc.jsonValue({ maxDepth: 2 }),
  other: fc.jsonValue({ maxDepth: 3 }),
}, { requiredKeys: [] });

/** The same with one value that may not fit. */
const oddReport = fc.tuple(
  goodReport,
  fc.constantFrom("name", "status", "note", "partial", "testout", "files"),
  fc.oneof(
    oddName,
    fc.jsonValue({ maxDepth: 1 }),
    fc.array(fc.record({
      name: fc.oneof(oddName, fileName),
      length: fc.constantFrom<unknown>("3", -1, 0.5, null, "x", 5),
    })),
  ),
).map(([report, key, value]) => ({ ...report, [key]: value }));

/** A result with bytes for its files: sometimes too few or too many. */
const withBytes = (report: fc.Arbitrary<Record<string, unknown>>) =>
  fc.tuple(report, fc.integer({ min: -20, max: 20 })).map(
    ([value, surplus]) => {
      const files = Array.isArray(value.files) ? value.files : [];
      const length = files.reduce(
        (sum: number, file) => sum + (Number(file?.length) || 0),
        Math.abs(surplus) < 20 ? 0 : surplus / 10,
      );
      return result(value) +
        "payload\n".repeat(40).slice(0, Math.max(0, length));
    },
  );

const goodLine = fc.constantFrom(
  "noop\n",
  "noop x y\n",
  "duration save\n",
  "duration restore\n",
  "duration 5m\n",
  "duration +1\n",
  "duration -10h\n",
  "exitcode 0\n",
  "exitcode  7 \n",
  "exitcode -3\n",
  "noop atex-start n0\n",
  "noop atex-end n0\n",
);

const oddLine = fc.oneof(
  fc.constantFrom(
    "disconnect\n",
    "bogus\n",
    "\n",
    " noop\n",
    "noop\r\n",
    "result\n",
    "result 3\n",
    "result 99999999999\n",
    "duration 5w\n",
    "exitcode x\n",
    "no line end",
    "é\n",
  ),
  fc.uint8Array({ maxLength: 12 }).map((bytes) =>
    String.fromCharCode(...bytes)
  ),
);

/** A stream as tests write it, with a fault here and there. */
export const stream: fc.Arbitrary<Uint8Array> = fc.array(
  fc.oneof(
    { weight: 30, arbitrary: withBytes(goodReport) },
    { weight: 8, arbitrary: goodLine },
    { weight: 1, arbitrary: withBytes(oddReport) },
    { weight: 1, arbitrary: oddLine },
  ),
  { maxLength: 15 },
).map((parts) => concat(parts.map(bytesOf)));

/** Ways to cut a stream into pieces; some of them empty. */
export const splits: fc.Arbitrary<(bytes: Uint8Array) => Uint8Array[]> = fc
  .array(fc.nat({ max: 40 }), { minLength: 1, maxLength: 30 })
  .map((sizes) => (bytes) => {
    const pieces: Uint8Array[] = [];
    let at = 0;
    for (const size of sizes) pieces.push(bytes.subarray(at, at += size));
    pieces.push(bytes.subarray(Math.min(at, bytes.length)));
    return pieces;
  });
