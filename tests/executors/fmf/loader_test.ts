import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import {
  type Files,
  temporaryTree,
  writeFiles,
} from "../../_metadata_files.ts";
import { thrown } from "../../_thrown.ts";
import { FmfError } from "../../../executors/fmf/metadata/errors.ts";
import { openTree } from "../../../executors/fmf/metadata/loader.ts";

const names = (nodes: Iterable<{ name: string }>) =>
  Array.from(nodes, ({ name }) => name);

Deno.test("openTree() takes relative paths, addresses and directories below the root", async () => {
  await using tree = await temporaryTree({ "d/x.fmf": "a: 1\n" });
  for (
    const path of [tree.path, `${tree.path}/d/`, new URL(`file://${tree.path}`)]
  ) {
    const { root, top } = openTree(path);
    strictEqual(root, tree.path);
    deepStrictEqual(names(top.climb()), ["/d/x"]);
  }
  thrown(() => openTree(new URL("https://example.com/")), FmfError, "file:");
});

Deno.test("openTree() gives file, line and column of broken YAML", async () => {
  await using tree = await temporaryTree({
    "d/x.fmf": "a: 1\nb: [1, 2\nc: 3\n",
  });
  const error = thrown(() => openTree(tree.path), FmfError, "d/x.fmf:");
  strictEqual(error.kind, "file");
  strictEqual(error.file, "d/x.fmf");
  ok(error.line !== undefined && error.column !== undefined);
});

Deno.test("openTree() names the files that data comes from when it cannot be merged", async () => {
  await using tree = await temporaryTree({
    "main.fmf": "n: 1\n",
    "d/x.fmf": "n+: text\n",
  });
  const error = thrown(() => openTree(tree.path), FmfError);
  strictEqual(
    error.message,
    '/d/x: key "n+": cannot append: the old value is an integer, the new one text (from main.fmf, d/x.fmf)',
  );
});

Deno.test("openTree() tells what cannot be read before what cannot be merged, and of that the first in the tree", async () => {
  const files = {
    "main.fmf": "n: 1\n/d/x:\n  n: 2\n",
    "b/main.fmf": "n+: text\n",
    "d/main.fmf": "m: 1\n",
    "d/x/main.fmf": "m+: text\n",
  };
  await using tree = await temporaryTree(files);
  // said to be there by the root already
  strictEqual(thrown(() => openTree(tree.path), FmfError).node, "/d/x");
  await writeFiles(tree.path, { "z/main.fmf": "a: 1\nb: [1, 2\n" });
  thrown(() => openTree(tree.path), FmfError, "z/main.fmf:3:1");
});

Deno.test("openTree() lets files, keys and directories say things about one node", async () => {
  await using tree = await temporaryTree({
    "main.fmf": "a: [root]\n/d:\n  a+: [key]\n  /x:\n    a+: [key below]\n",
    "d.fmf": "a+: [overridden]\n/y:\n  b: 1\n",
    "d/main.fmf": "a+: [directory]\n",
    "d/x.fmf": "a+: [file below]\n",
    "d/empty/test.sh": "true\n",
    "d/e/f/main.fmf": "c: 1\n",
  });
  const { top } = openTree(tree.path);
  deepStrictEqual(
    Array.from(
      top.climb({ whole: true, sort: false }),
      (node) => [node.name, node.toObject().a, node.parent?.name],
    ),
    [
      ["/", ["root"], undefined],
      ["/d", ["root", "directory"], "/"],
      ["/d/x", ["root", "directory", "file below"], "/d"],
      ["/d/y", ["root", "directory"], "/d"],
      ["/d/e", ["root", "directory"], "/d"],
      ["/d/e/f", ["root", "directory"], "/d/e"],
    ],
  );
});

Deno.test("openTree() does not open special files", async () => {
  await using tree = await temporaryTree({});
  await new Deno.Command("mkfifo", { args: [`${tree.path}/x.fmf`] }).output();
  thrown(
    () => openTree(tree.path),
    FmfError,
    "x.fmf: cannot read metadata: it is a special file",
  );
  await Deno.remove(`${tree.path}/x.fmf`);
  await Deno.symlink("/dev/zero", `${tree.path}/y.fmf`);
  thrown(() => openTree(tree.path), FmfError, "special file");
});

Deno.test("openTree() ends on links that lead into each other", async () => {
  const files: Files = {};
  for (const name of ["a", "b", "c"]) {
    files[`${name}/main.fmf`] = "x: 1\n";
    for (const other of ["a", "b", "c"]) {
      files[`${name}/to-${other}`] = { symlink: `../${other}` };
    }
  }
  await using tree = await temporaryTree(files);
  const found = names(openTree(tree.path).climb());
  ok(found.includes("/a/to-b/to-c/to-a"));
  ok(!found.some((name) => name.endsWith("/to-a/to-a")));
});

Deno.test("openTree() gives up on links that multiply", async () => {
  const files: Files = { "d/main.fmf": "x: 1\n" };
  for (let i = 0; i < 8; i++) {
    for (let j = 0; j < 8; j++) {
      files[`d/d${i}/to-${j}`] = { symlink: `../d${j}` };
    }
  }
  await using tree = await temporaryTree(files);
  thrown(() => openTree(tree.path), FmfError, "symbolic links to directories");
});

Deno.test("openTree() does not count links that are no loop", async () => {
  const files: Files = { "shared/main.fmf": "x: 1\n" };
  for (let i = 0; i < 300; i++) {
    files[`t${i}/lib`] = { symlink: "../shared" };
  }
  await using tree = await temporaryTree(files);
  strictEqual(names(openTree(tree.path).climb()).length, 301);
});

Deno.test("openTree() with `within` looks neither above nor behind links that lead out", async () => {
  await using outer = await temporaryTree({
    "secret.fmf": "x: 1\n",
    "repo/in/main.fmf": "a: 1\n",
  });
  const within = `${outer.path}/repo`;
  thrown(
    () => openTree(`${within}/in`, { within }),
    FmfError,
    "no .fmf directory",
  );
  strictEqual(openTree(`${within}/in`).root, outer.path);

  await writeFiles(within, {
    "main.fmf": "a: 1\n",
    "out": { symlink: ".." },
    "near": { symlink: "in" },
  });
  const tree = openTree(within, { within });
  deepStrictEqual(names(tree.climb()), ["/in", "/near"]);
  deepStrictEqual(tree.warnings.map(({ file }) => file), ["out"]);

  await Deno.symlink("../secret.fmf", `${within}/s.fmf`);
  const error = thrown(() => openTree(within, { within }), FmfError, "outside");
  strictEqual(error.file, "s.fmf");
});

Deno.test("openTree() says what it skipped because it cannot be listed", async () => {
  await using tree = await temporaryTree({
    "main.fmf": "a: 1\n",
    "d/x.fmf": "",
  });
  await Deno.chmod(`${tree.path}/d`, 0);
  try {
    let readable = true;
    try {
      Deno.readDirSync(`${tree.path}/d`);
    } catch {
      readable = false;
    }
    const { warnings } = openTree(tree.path);
    // Nothing is closed to the superuser.
    deepStrictEqual(warnings.map(({ file }) => file), readable ? [] : ["d"]);
  } finally {
    await Deno.chmod(`${tree.path}/d`, 0o700);
  }
});

Deno.test("openTree() takes any text as names and keys", async () => {
  await using tree = await temporaryTree({
    "main.fmf":
      "__proto__: {x: 1}\nconstructor: 2\n/__proto__:\n  __proto__+: {y: 2}\n/toString: {}\n",
    "constructor/main.fmf": "hasOwnProperty: 3\n",
    "then.fmf": "then: 1\n",
    "10.fmf": "b: 1\n2: 3\n".replace("2: 3\n", ""),
  });
  const read = openTree(tree.path);
  deepStrictEqual(names(read.climb()), [
    "/10",
    "/__proto__",
    "/constructor",
    "/then",
    "/toString",
  ]);
  const data = read.find("/__proto__")!.toObject();
  deepStrictEqual(Object.keys(data), ["__proto__", "constructor"]);
  strictEqual(JSON.stringify(data["__proto__"]), '{"x":1,"y":2}');
});

Deno.test("openTree() says that a name is not UTF-8", async () => {
  await using tree = await temporaryTree({ "main.fmf": "a: 1\n" });
  const script = String
    .raw`touch "$(printf 'x\377.fmf')"; mkdir "$(printf 'd\376')"`;
  await new Deno.Command("bash", { args: ["-c", script], cwd: tree.path })
    .output();
  thrown(() => openTree(tree.path), FmfError, "is not UTF-8");
  await new Deno.Command("bash", { args: ["-c", "rm x*"], cwd: tree.path })
    .output();
  const [{ message }] = openTree(tree.path).warnings;
  ok(message.includes("is not UTF-8"), message);
});

/** Texts that are more often nearly YAML than not. */
const yaml = fc.array(
  fc.oneof(
    fc.constantFrom(
      "a: 1\n",
      "a+: [x]\n",
      "a-: x\n",
      "a~: /x/y/\n",
      "a-~: '['\n",
      "/x:\n",
      "  b: 2\n",
      "  /y: {c: 3}\n",
      "/: {inherit: false}\n",
      "  /: {select: yes}\n",
      "adjust:\n",
      "- when: d == 1\n",
      "  a+: 1\n",
      "<<: *x\n",
      "k: &x {a: 1, /z: {}}\n",
      "'__proto__': {__proto__: 1}\n",
      "/../x: {}\n",
      "//: 1\n",
      "? [1]\n",
      "l: [1, {2: 3}, ~]\n",
      "d: 2024-02-30\n",
      "\t",
      "---\n",
      "!!x y\n",
    ),
    fc.string({ maxLength: 6 }),
  ),
  { maxLength: 8 },
).map((lines) => lines.join(""));

Deno.test("openTree() and adjust() fail with FmfError only, whatever files hold", async () => {
  await using tree = await temporaryTree({});
  await Deno.mkdir(`${tree.path}/d`);
  fc.assert(
    fc.property(yaml, yaml, (root, below) => {
      Deno.writeTextFileSync(`${tree.path}/main.fmf`, root);
      Deno.writeTextFileSync(`${tree.path}/d/main.fmf`, below);
      try {
        const read = openTree(tree.path).adjust({ d: "1" });
        for (const node of read.climb({ whole: true })) node.toObject();
      } catch (error) {
        if (!(error instanceof FmfError)) throw error;
        ok(error.message.includes("/") || error.message.includes(".fmf"));
      }
    }),
    { numRuns: 1000 },
  );
});
