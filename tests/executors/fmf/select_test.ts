import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { thrown } from "../../_thrown.ts";
import { FmfError } from "../../../executors/fmf/metadata/errors.ts";
import { Tree } from "../../../executors/fmf/metadata/tree.ts";

const tree = Tree.fromData({
  "/a": { level: 1, env: { K: "one" } },
  "/b": { level: 2 },
  "/c": {},
});
const names = (options: Parameters<Tree["prune"]>[0]) =>
  Array.from(tree.prune(options), ({ name }) => name);

Deno.test("prune() asks conditions for each node", () => {
  deepStrictEqual(names({ conditions: [(data) => data.level > 1] }), ["/b"]);
  deepStrictEqual(
    names({ conditions: [(data) => data.env?.K === "one"] }),
    ["/a"],
  );
  deepStrictEqual(
    names({ conditions: [(_, node) => node.name > "/a"] }),
    ["/b", "/c"],
  );
  deepStrictEqual(
    names({
      conditions: [(data) => data.level >= 1, (data) => data.level < 2],
    }),
    ["/a"],
  );
});

Deno.test("prune() gives conditions data of their own", () => {
  deepStrictEqual(
    names({
      conditions: [(data) => {
        data.level = 0;
        delete data.env;
        return true;
      }],
    }),
    ["/a", "/b", "/c"],
  );
  strictEqual(tree.find("/a")!.data.get("level"), 1);
});

Deno.test("prune() says for which node a condition failed", () => {
  const error = thrown(
    () => names({ conditions: [(data) => data.env.K === "one"] }),
    FmfError,
    "a condition failed",
  );
  deepStrictEqual([error.kind, error.node], ["filter", "/b"]);
  thrown(
    () => names({ conditions: [(() => Promise.resolve(true)) as never] }),
    FmfError,
    "not a promise",
  );
});

Deno.test("prune() refuses a text where a list belongs", () => {
  for (const name of ["keys", "names", "filters", "sources", "conditions"]) {
    const error = thrown(
      () => tree.prune({ [name]: "text" }),
      FmfError,
      `"${name}" must be a list`,
    );
    strictEqual(error.kind, "usage");
    thrown(() => tree.prune({ [name]: [5] }), FmfError, `"${name}" holds`);
  }
});

Deno.test("prune() checks what it is given at once, not at the first node", () => {
  const error = thrown(() => tree.prune({ names: ["("] }), FmfError, "(");
  strictEqual(error.kind, "filter");
});
