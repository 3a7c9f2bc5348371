import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { thrown } from "../../_thrown.ts";
import { FmfError } from "../../../executors/fmf/metadata/errors.ts";
import { compareText } from "../../../executors/fmf/metadata/value.ts";
import { Tree } from "../../../executors/fmf/metadata/tree.ts";

const names = (nodes: Iterable<{ name: string }>) =>
  Array.from(nodes, ({ name }) => name);

Deno.test("Tree.fromData() builds a tree without files", () => {
  const tree = Tree.fromData({ tag: ["a"], "/one": { "tag+": ["b"] } });
  strictEqual(tree.root, undefined);
  const one = tree.find("/one")!;
  deepStrictEqual(one.sources, []);
  deepStrictEqual({ ...one.toObject() }, { tag: ["a", "b"] });
});

Deno.test("Tree.fromData() refuses what is no data", () => {
  thrown(() => Tree.fromData([] as never), FmfError, "not of a list");
  thrown(
    () => Tree.fromData({ f: (() => 1) as never }),
    FmfError,
    "function",
  );
});

Deno.test("find() takes only exact names", () => {
  const tree = Tree.fromData({ "/a": { "/b": {} }, "/__proto__": {} });
  strictEqual(tree.find("/a/b")?.name, "/a/b");
  strictEqual(tree.find("/__proto__")?.name, "/__proto__");
  strictEqual(tree.find("/")?.name, "/");
  for (const name of ["", "a", "/a/", "//a", "/constructor", "/a/b/c", "/A"]) {
    strictEqual(tree.find(name), undefined, name);
  }
});

Deno.test("climb() sorts by code points", () => {
  const tree = Tree.fromData({ "/\u{1f600}": {}, "/\uff21": {}, "/z": {} });
  deepStrictEqual(names(tree.climb()), ["/z", "/\uff21", "/\u{1f600}"]);
  ok(compareText("a", "ab") < 0);
  strictEqual(compareText("ab", "ab"), 0);
});

Deno.test("copy() shares nothing that adjust() changes", () => {
  const tree = Tree.fromData({
    tag: ["a"],
    adjust: { "tag+": ["b"] },
    "/x": {},
  });
  const copy = tree.copy().adjust({});
  deepStrictEqual(copy.find("/x")!.toObject().tag, ["a", "b"]);
  deepStrictEqual(tree.find("/x")!.toObject().tag, ["a"]);
});

Deno.test("toObject() shares nothing with other nodes", () => {
  const tree = Tree.fromData({ env: { A: 1 }, "/x": {}, "/y": {} });
  const x = tree.find("/x")!.toObject() as { env: Record<string, number> };
  x.env.A = 2;
  deepStrictEqual({ ...tree.find("/y")!.toObject().env as object }, { A: 1 });
  strictEqual(Object.getPrototypeOf(x), null);
});

Deno.test("nodes must not be called . or ..", () => {
  for (const key of ["/..", "/.", "/a/../b", "/a/."]) {
    const error = thrown(
      () => Tree.fromData({ [key]: {} }),
      FmfError,
      "must not be called",
    );
    strictEqual(error.kind, "format");
    strictEqual(error.key, key);
  }
  deepStrictEqual(names(Tree.fromData({ "/...": {} }).climb()), ["/..."]);
});

Deno.test("nodes are not nested without limit", () => {
  thrown(
    () => Tree.fromData({ ["/x".repeat(100_000)]: {} }),
    FmfError,
    "more than 1000 levels",
  );
});

Deno.test("errors name node, key and files", () => {
  const error = thrown(
    () => Tree.fromData({ n: 1, "/a": { "/b": { "n+": "x" } } }),
    FmfError,
  );
  strictEqual(
    error.message,
    '/a/b: key "n+": cannot append: the old value is an integer, the new one text',
  );
});
