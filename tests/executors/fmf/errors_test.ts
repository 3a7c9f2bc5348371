import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { FmfError, locating } from "../../../executors/fmf/metadata/errors.ts";
import { thrown } from "../../_thrown.ts";

Deno.test("FmfError says all that it knows, the place first", () => {
  const { message } = new FmfError("merge", "cannot append a number", {
    file: "net/main.fmf",
    line: 3,
    column: 9,
    node: "/net/ping",
    key: "tag+",
    text: "5",
    sources: ["main.fmf", "net/main.fmf"],
  });
  strictEqual(
    message,
    'net/main.fmf:3:9: /net/ping: key "tag+": "5": cannot append a number (from main.fmf)',
  );
});

Deno.test("FmfError leaves out what it does not know", () => {
  strictEqual(new FmfError("usage", "wrong").message, "wrong");
  strictEqual(
    new FmfError("file", "wrong", { line: 2, column: 4 }).message,
    "line 2, column 4: wrong",
  );
  strictEqual(
    new FmfError("filter", 'no key "a" in "a: b"', { text: "a: b" }).message,
    'no key "a" in "a: b"',
  );
});

Deno.test("FmfError.at() adds what the caller knows and keeps what is known", () => {
  const cause = new Error("below");
  const inner = new FmfError("filter", "bad", { key: "a", cause });
  const outer = inner.at({ key: "b", node: "/n" }, "merge");
  strictEqual(outer.kind, "merge");
  strictEqual(outer.key, "a");
  strictEqual(outer.node, "/n");
  strictEqual(outer.cause, cause);
  strictEqual(outer.message, '/n: key "a": bad');
});

Deno.test("locating() adds the place to metadata errors only", () => {
  const place = { file: "f.fmf" };
  const error = thrown(
    () =>
      locating(place, () => {
        throw new FmfError("format", "bad");
      }),
    FmfError,
  );
  deepStrictEqual([error.file, error.message], ["f.fmf", "f.fmf: bad"]);
  const other = new RangeError("other");
  strictEqual(
    thrown(() =>
      locating(place, () => {
        throw other;
      }), RangeError),
    other,
  );
  ok(locating(place, () => true));
});
