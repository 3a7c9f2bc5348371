import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { thrown } from "../../_thrown.ts";
import { Context } from "../../../executors/fmf/metadata/context.ts";
import { FmfError } from "../../../executors/fmf/metadata/errors.ts";
import { Tree } from "../../../executors/fmf/metadata/tree.ts";

const dataOf = (tree: Tree, name: string) =>
  JSON.parse(JSON.stringify(tree.find(name)!.toObject()));

Deno.test("adjust() takes a Context and its comparison of case", () => {
  const rules = { when: "distro == OAK", a: 1 };
  const tree = (context: Context) =>
    Tree.fromData({ adjust: rules }).adjust(context);
  const values = { distro: "oak-9" };
  strictEqual(dataOf(tree(new Context(values)), "/").a, undefined);
  const loose = new Context(values, { caseSensitive: false });
  strictEqual(dataOf(tree(loose), "/").a, 1);
});

Deno.test("adjust() names node, rule number and expression", () => {
  const adjust = [{ a: 1 }, { when: "distro ==", b: 1 }];
  const error = thrown(
    () => Tree.fromData({ "/x": { adjust } }).adjust({}),
    FmfError,
    'rule 2: "when"',
  );
  deepStrictEqual(
    [error.kind, error.node, error.key, error.text],
    ["rule", "/x", "adjust", "distro =="],
  );
});

Deno.test("adjust() refuses what a rule would change only if it applies", () => {
  const rule = (when: unknown) => ({ when, "/x": { a: 1 } });
  for (const when of [false, "distro == other", "arch == unknown"]) {
    const tree = Tree.fromData({ adjust: [rule(when), { b: 1 }] });
    strictEqual(dataOf(tree.adjust({ distro: "oak" }), "/").b, 1);
  }
  const error = thrown(
    () => Tree.fromData({ adjust: [{ b: 1 }, rule(true)] }).adjust({}),
    FmfError,
    'rule 2: a rule must not define a child node, "/x"',
  );
  deepStrictEqual([error.kind, error.key], ["format", "adjust"]);
  // what decides is looked at anyway
  for (const control of [{ continue: "no" }, { when: 5 }, { when: null }]) {
    const rules = [{ when: false, ...control }];
    thrown(() => Tree.fromData({ adjust: rules }).adjust({}), FmfError);
  }
});

Deno.test("adjust() with `raise` names the expression and the dimension", () => {
  const tree = Tree.fromData({
    adjust: { when: "distro == oak and trigger == push" },
  });
  const error = thrown(
    () => tree.adjust({ distro: "oak" }, { undecided: "raise" }),
    FmfError,
    '"trigger"',
  );
  strictEqual(error.kind, "cannot-decide");
  strictEqual(error.text, "distro == oak and trigger == push");
});

Deno.test("adjust() does not change what nodes share", () => {
  const tree = Tree.fromData({
    env: { A: "1" },
    list: [{ x: 1 }],
    adjust: { "env+": { B: "2" }, "list+": { y: 2 } },
    "/kept": { adjust: [] },
    "/changed": {},
  }).adjust({});
  deepStrictEqual(dataOf(tree, "/kept").env, { A: "1" });
  deepStrictEqual(dataOf(tree, "/kept").list, [{ x: 1 }]);
  deepStrictEqual(dataOf(tree, "/changed").env, { A: "1", B: "2" });
  deepStrictEqual(dataOf(tree, "/changed").list, [{ x: 1, y: 2 }]);
});

Deno.test("adjust() applies additional rules where appliesTo says so", () => {
  const tree = Tree.fromData({ "/x": { test: "t" }, "/y": {} }).adjust(
    { arch: "x86_64" },
    {
      additionalRules: [{ when: "arch == x86_64", tag: ["added"] }],
      appliesTo: (node) => node.data.has("test"),
    },
  );
  deepStrictEqual(dataOf(tree, "/x"), { test: "t", tag: ["added"] });
  deepStrictEqual(dataOf(tree, "/y"), {});
});

Deno.test("adjust() shows a rule that applies before it is merged", () => {
  const seen: unknown[] = [];
  Tree.fromData({ a: 1, adjust: [{ a: 2 }, { when: false, a: 3 }] }).adjust(
    {},
    {
      onDecision: (node, rule, applied) =>
        seen.push([node.data.get("a"), rule.get("a"), applied]),
    },
  );
  deepStrictEqual(seen, [[1, 2, true], [1, 3, false]]);
});
