import { deepStrictEqual } from "node:assert/strict";
import { temporaryTree } from "../../_metadata_files.ts";
import { thrown } from "../../_thrown.ts";
import { discover } from "../../../executors/fmf/discover.ts";
import { FmfError } from "../../../executors/fmf/metadata/errors.ts";
import {
  allPackages,
  listOf,
  packagesOf,
} from "../../../executors/fmf/packages.ts";

Deno.test("listOf() makes a list of whatever a key holds", () => {
  deepStrictEqual(listOf(undefined), []);
  deepStrictEqual(listOf(null), []);
  deepStrictEqual(listOf("a"), ["a"]);
  deepStrictEqual(listOf(0), [0]);
  deepStrictEqual(listOf({ a: 1 }), [{ a: 1 }]);
  const list = ["a", null];
  deepStrictEqual(listOf(list), ["a", null]);
  listOf(list).push("b");
  deepStrictEqual(list, ["a", null]);
});

Deno.test("packagesOf() leaves out what is no package", () => {
  const test = { require: ["b", { type: "library", url: "x" }, "a", "b"] };
  deepStrictEqual(packagesOf(test, "require"), ["b", "a", "b"]);
  deepStrictEqual(packagesOf(test, "recommend"), []);
  deepStrictEqual(packagesOf({ recommend: "c" }, "recommend"), ["c"]);
});

Deno.test("allPackages() gives each package once, those of the plan included", () => {
  const tests = {
    plan: { prepare: { how: "install", package: ["z", "b"] } },
    data: new Map([["/t", { require: ["b", "a"] }], ["/u", { require: "a" }]]),
  };
  deepStrictEqual(allPackages(tests, "require"), ["a", "b", "z"]);
  deepStrictEqual(allPackages(tests, "recommend"), ["b", "z"]);
});

Deno.test("allPackages() names the plan, its files and the value that is wrong", async () => {
  await using tree = await temporaryTree({
    "main.fmf": "/p: {discover: {how: fmf}, prepare: hello}\n/t: {test: x}\n",
  });
  await using tests = await discover(tree.path, { plan: "/p" });
  const error = thrown(() => allPackages(tests, "require"), FmfError);
  deepStrictEqual(
    [error.node, error.sources, error.key, error.text],
    ["/p", ["main.fmf"], "prepare", "hello"],
  );
  await using without = await discover(tree.path);
  deepStrictEqual(without.planName, undefined);
});

Deno.test("allPackages() says what is wrong with a plan", () => {
  const data = new Map();
  for (const prepare of ["x", [null], [["x"]]]) {
    const error = thrown(
      () => allPackages({ plan: { prepare }, data }, "require"),
      FmfError,
      "must be a mapping",
    );
    deepStrictEqual([error.kind, error.key], ["discover", "prepare"]);
  }
  thrown(
    () =>
      allPackages({
        plan: { prepare: { how: "install", package: [5] } },
        data,
      }, "require"),
    FmfError,
    '"package" must be text',
  );
});
