import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import * as atex from "../../../mod.ts";
import { CONTEXT, SHAPES, writeTree } from "../../../bench/_trees.ts";
import { parseTemporaryName } from "../../../connections/ownership.ts";
import * as executor from "../../../executors/fmf/mod.ts";
import * as metadata from "../../../executors/fmf/metadata/mod.ts";
import { discover } from "../../../executors/fmf/discover.ts";
import { Context } from "../../../executors/fmf/metadata/context.ts";
import { FmfError } from "../../../executors/fmf/metadata/errors.ts";
import { resolveIdentifier } from "../../../executors/fmf/metadata/identifier.ts";
import { openTree } from "../../../executors/fmf/metadata/loader.ts";
import { Tree } from "../../../executors/fmf/metadata/tree.ts";
import {
  git,
  temporaryTree,
  temporaryVariable,
} from "../../_metadata_files.ts";
import { rejected } from "../../_thrown.ts";
import { Repositories } from "./_repository.ts";

const names = (tests: { data: Map<string, unknown> }) => [...tests.data.keys()];

/** JSON with all keys sorted. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, item) => {
    if (item instanceof Map) return Object.fromEntries(item);
    if (typeof item !== "object" || item === null || Array.isArray(item)) {
      return item;
    }
    return Object.fromEntries(
      Object.entries(item).sort(([a], [b]) => a < b ? -1 : 1),
    );
  });
}

async function sha256(text: string): Promise<string> {
  const bytes = new TextEncoder().encode(text);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

const DIGESTS: Record<typeof SHAPES[number], string> = {
  flat: "83378054c13c92520137904a0685f2b823491c3ac8d75ac6d0e5fbd4e0061d5b",
  wide: "5e2ccc246562880011e24538c9d8bcde6f477dc1c76f7195bf705ee3f6cf5d0b",
  adjust: "459ed2c39419f7cf4377e2fe7bca2d4d7e5bdbcae6c73e2c63fdb9af0740834d",
  deep: "099ecaecc8f259946efdfc5e38aaea977353654f79a3c9c2d120ba99c9206e99",
};

for (const shape of SHAPES) {
  Deno.test(`discover() finds the known data in the tree "${shape}"`, async () => {
    await using tree = await temporaryTree({}, true);
    writeTree(tree.path, shape, 1000);
    await using tests = await discover(tree.path, {
      context: CONTEXT,
      libraries: false,
    });
    strictEqual(tests.data.size, 1000);
    strictEqual(await sha256(canonical(tests.data)), DIGESTS[shape]);
  });
}

Deno.test("discover() writes nothing when nothing has to be laid over the tree", async () => {
  await using tree = await temporaryTree({
    "main.fmf": "require: [bash]\n/t: {test: x}\n/p: {discover: {how: fmf}}\n",
  });
  await using own = await temporaryTree({}, true);
  using _temporary = temporaryVariable("TMPDIR", own.path);
  for (const plan of [undefined, "/p"]) {
    await using tests = await discover(
      tree.path,
      plan === undefined ? {} : { plan },
    );
    strictEqual(tests.root, tree.path);
    deepStrictEqual(names(tests), ["/t"]);
    deepStrictEqual([...Deno.readDirSync(own.path)], []);
  }
  ok(await Deno.stat(tree.path));
});

Deno.test("discover() gives data that belong to the caller", async () => {
  await using tree = await temporaryTree({
    "main.fmf": "test: x\nenvironment: {A: '1'}\n/a: {}\n/b: {}\n",
  });
  await using tests = await discover(tree.path);
  const a = tests.data.get("/a")!;
  (a.environment as Record<string, string>).A = "2";
  a.added = true;
  const b = tests.data.get("/b")!;
  deepStrictEqual({ ...b.environment as object }, { A: "1" });
  strictEqual(b.added, undefined);
  strictEqual(Object.getPrototypeOf(b), null);
  strictEqual(Object.getPrototypeOf(tests.plan), null);
});

Deno.test("discover() removes its copy, also what must not be written to", async () => {
  await using tree = await temporaryTree({
    "main.fmf": "/t: {test: x}\n/p: {discover: {name: n}}\n",
    "d/f": "x",
    "d/run": "x",
    ".git": "x",
    "d/.git/f": "x",
    link: { symlink: "/nowhere" },
  });
  await Deno.chmod(`${tree.path}/d/run`, 0o750);
  await Deno.utime(`${tree.path}/d/run`, 1_000_000, 2_000_000);
  await Deno.utime(`${tree.path}/d`, 1_000_000, 3_000_000);
  await Deno.chmod(`${tree.path}/d`, 0o555);
  try {
    const tests = await discover(tree.path, { plan: "/p" });
    const copy = `${tests.root}/n`;
    const run = await Deno.stat(`${copy}/d/run`);
    strictEqual(run.mode! & 0o777, 0o750);
    strictEqual(run.mtime!.getTime(), 2_000_000_000);
    const directory = await Deno.stat(`${copy}/d`);
    strictEqual(directory.mode! & 0o777, 0o555);
    strictEqual(directory.mtime!.getTime(), 3_000_000_000);
    strictEqual(await Deno.readLink(`${copy}/link`), "/nowhere");
    await rejects(Deno.lstat(`${copy}/.git`), Deno.errors.NotFound);
    await rejects(Deno.lstat(`${copy}/d/.git`), Deno.errors.NotFound);
    await tests[Symbol.asyncDispose]();
    await tests[Symbol.asyncDispose]();
    await rejects(Deno.stat(tests.root), Deno.errors.NotFound);
  } finally {
    await Deno.chmod(`${tree.path}/d`, 0o755);
  }
});

Deno.test("discover() leaves out special files and says so", async () => {
  await using tree = await temporaryTree({
    "main.fmf": "/t: {test: x}\n/p: {discover: {name: n}}\n",
  });
  await new Deno.Command("mkfifo", { args: [`${tree.path}/fifo`] }).output();
  await using tests = await discover(tree.path, { plan: "/p" });
  deepStrictEqual(tests.warnings, [{
    message: "left out a special file",
    file: `${tree.path}/fifo`,
  }]);
});

Deno.test("discover() does not copy its copy, where temporary directories are inside of the tree", async () => {
  await using tree = await temporaryTree({
    "main.fmf": "/t: {test: x}\n/p: {discover: [{name: a}, {name: b}]}\n",
    "tmp/kept": "",
  });
  using _temporary = temporaryVariable("TMPDIR", `${tree.path}/tmp`);
  await using tests = await discover(tree.path, { plan: "/p" });
  deepStrictEqual([...tests.data.keys()], ["/a/t", "/b/t"]);
  deepStrictEqual(
    [...Deno.readDirSync(`${tests.root}/b/tmp`)].map(({ name }) => name),
    ["kept"],
  );
});

Deno.test("discover() leaves nothing behind when it fails half-way", async () => {
  await using tree = await temporaryTree({
    "main.fmf":
      "/t: {test: x}\n/p:\n  discover:\n  - {name: a}\n  - {name: b, url: 'file:///nonexistent'}\n",
  });
  await using own = await temporaryTree({}, true);
  using _temporary = temporaryVariable("TMPDIR", own.path);
  using _cache = temporaryVariable(
    "FMF_CACHE_DIRECTORY",
    `${tree.path}/cache`,
  );
  const error = await rejected(
    discover(tree.path, { plan: "/p" }),
    FmfError,
    "/nonexistent",
  );
  deepStrictEqual(
    [error.kind, error.node, error.key],
    ["fetch", "/p", "discover.url"],
  );
  deepStrictEqual([...Deno.readDirSync(own.path)], []);
});

Deno.test("what discover() throws and takes is the same class wherever it is imported from", async () => {
  const { FmfError, Tree, Context } = executor;
  await rejects(discover("/does/not/exist"), FmfError);
  for (const module of [metadata, atex]) {
    deepStrictEqual(
      [module.FmfError, module.Tree, module.Context],
      [FmfError, Tree, Context],
    );
  }
});

Deno.test("discover() warns about what it does not support in a plan", async () => {
  await using tree = await temporaryTree({
    "main.fmf":
      "/t: {test: x}\n/p:\n  discover:\n  - {when: 'a == b', ref: main}\n  - {how: shell, script: x}\n  prepare: {how: ansible}\n",
  });
  await using tests = await discover(tree.path, { plan: "/p" });
  deepStrictEqual(
    tests.warnings.map(({ message, node, key }) => [message, node, key]),
    [
      ['section 1: ignored the key "when"', "/p", "discover.when"],
      [
        'section 1: ignored the key "ref": it needs "url"',
        "/p",
        "discover.ref",
      ],
      [
        'left out a discover section: how: "shell" is not supported',
        "/p",
        "discover",
      ],
      [
        'prepare of the plan: a step with "how: ansible" is left out',
        "/p",
        undefined,
      ],
    ],
  );
  deepStrictEqual(names(tests), ["/t"]);
});

Deno.test("discover() says where a pattern or filter of a plan stands", async () => {
  await using tree = await temporaryTree({
    "main.fmf":
      "/t: {test: x}\n/a: {discover: {test: '('}}\n/b: {discover: {filter: 'tag: ['}}\n/c: {discover: {exclude: '('}}\n",
  });
  for (
    const [plan, kind, key] of [
      ["/a", "filter", "discover.test"],
      ["/b", "filter", "discover.filter"],
      ["/c", "discover", "discover.exclude"],
    ]
  ) {
    const error = await rejected(discover(tree.path, { plan }), FmfError);
    deepStrictEqual([error.kind, error.node, error.key], [kind, plan, key]);
  }
});

Deno.test("discover() says which test cannot be used, and why", async () => {
  for (
    const [data, key, reason] of [
      ["test: 5", "test", "must be text, not an integer"],
      ["{test: x, enabled: no}", "enabled", 'not the text "no"'],
      ["{test: x, manual: 1}", "manual", "must be true or false"],
      ["{test: x, duration: soon}", "duration", "soon"],
      ["{test: x, duration: 1.5}", "duration", "1.5"],
      ["{test: x, duration: 2.0}", "duration", "2.0"],
    ]
  ) {
    await using tree = await temporaryTree({
      "main.fmf": `/t: ${data.startsWith("{") ? data : `{${data}}`}\n`,
    });
    const error = await rejected(discover(tree.path), FmfError, reason);
    deepStrictEqual(
      [error.kind, error.node, error.key],
      ["discover", "/t", key],
    );
    ok(error.message.includes("main.fmf"));
  }
  await using tree = await temporaryTree({
    "main.fmf": '"/a\\0b": {test: x}\n',
  });
  await rejected(discover(tree.path), FmfError, "NUL");
});

Deno.test("discover() leaves out what is a story, by the truth of any value", async () => {
  for (
    const [story, found] of [
      ["'0'", []],
      ["'0.0'", []],
      ["text", []],
      ["[x]", []],
      ["0", ["/t"]],
      ["-0.0", ["/t"]],
      ["''", ["/t"]],
      ["{}", ["/t"]],
      ["~", ["/t"]],
    ] as const
  ) {
    await using tree = await temporaryTree({
      "main.fmf": `/t: {test: x, story: ${story}}\n`,
    });
    await using tests = await discover(tree.path);
    deepStrictEqual([story, names(tests)], [story, found]);
  }
});

Deno.test("discover() takes a tree without changing it", async () => {
  await using directory = await temporaryTree({
    "main.fmf": "test: x\nadjust: {when: arch == riscv, level: 1}\n",
  });
  const tree = openTree(directory.path);
  await using tests = await discover(tree, { context: { arch: "riscv" } });
  strictEqual(tests.data.get("/")!.level, 1);
  strictEqual(tree.top.data.has("level"), false);
  await rejected(
    discover(Tree.fromData({ test: "x" })),
    FmfError,
    "a tree without files",
  );
});

Deno.test("discover() takes the part of a tree that a node is the top of", async () => {
  await using repos = await Repositories.open();
  const url = await repos.make("r", {
    ".fmf/version": "1\n",
    "main.fmf": "test: x\n/a: {/x: {}}\n/b: {}\n",
    run: "x",
  });
  await using found = await resolveIdentifier({ url, name: "/a" });
  await using tests = await discover(found.tree);
  deepStrictEqual(names(tests), ["/a/x"]);
  await using same = await discover({ url, name: "/a" });
  // whoever finds it later can tell whether this process still lives
  const [, directory] = /([^/]+)\/tree$/.exec(same.root)!;
  strictEqual(parseTemporaryName(directory!)?.pid, String(Deno.pid));
  deepStrictEqual(names(same), ["/a/x"]);
  strictEqual(await Deno.readTextFile(`${same.root}/run`), "x");
  await same[Symbol.asyncDispose]();
  await rejects(Deno.stat(same.root), Deno.errors.NotFound);
  await rejected(
    discover({ url, name: "/a" }, { plan: "/b" }),
    FmfError,
    "no such plan",
  );
});

Deno.test("discover() warns of paths of tests that name another directory", async () => {
  await using tree = await temporaryTree({
    "main.fmf": "/root: {test: x, path: /}\n/odd: {test: x, path: /sub}\n",
    "sub/main.fmf":
      "test: x\npath: sub\n/same: {}\n/up: {path: /}\n/off: {path: /, enabled: false}\n",
  });
  await using tests = await discover(tree.path);
  deepStrictEqual(tests.warnings, [{
    message:
      'ignored the key "path" of /odd and 1 more: a test runs in the directory of its file',
    node: "/odd",
    key: "path",
  }]);
});

Deno.test("discover() names the plans there are when there is not the one that was asked for", async () => {
  await using tree = await temporaryTree({
    "main.fmf": "/t: {test: x}\n",
    "plans.fmf":
      "discover: {how: fmf}\n/all: {}\n/some: {}\n/none: {discover: , execute: {how: tmt}, test: x}\n",
  });
  const { message } = await rejected(
    discover(tree.path, { plan: "plans/all" }),
    FmfError,
    "no such plan",
  );
  ok(message.endsWith(": choose one of /plans/all, /plans/some"), message);
  await using bare = await temporaryTree({ "main.fmf": "/t: {test: x}\n" });
  await rejected(
    discover(bare.path, { plan: "/p" }),
    FmfError,
    ": it has none",
  );
});

Deno.test("discover() adjusts with any comparison of case", async () => {
  await using tree = await temporaryTree({
    "main.fmf": "test: x\nadjust: {when: distro == OAK, enabled: false}\n",
  });
  const values = { distro: "oak-9" };
  const found = async (options: Parameters<typeof discover>[1]) => {
    await using tests = await discover(tree.path, options);
    return tests.data.size;
  };
  strictEqual(await found({ context: values }), 1);
  strictEqual(await found({ context: values, caseSensitive: false }), 0);
  const context = new Context(values, { caseSensitive: false });
  strictEqual(await found({ context }), 0);
});

Deno.test("discover() asks conditions", async () => {
  await using tree = await temporaryTree({
    "main.fmf": "test: x\n/a: {extra-priority: 5}\n/b: {}\n",
  });
  await using tests = await discover(tree.path, {
    conditions: [
      (data) => (data["extra-priority"] ?? 0) > 1,
      (_, node) => node.name !== "/b",
    ],
  });
  deepStrictEqual(names(tests), ["/a"]);
});

Deno.test("discover() refuses identifiers that are not text", async () => {
  for (
    const identifier of [
      { path: 5 },
      { path: null },
      { url: 5 },
      { url: null },
      { url: "https://example.com/r", ref: 1 },
      { path: "/", name: ["x"] },
    ]
  ) {
    const error = await rejected(
      discover(identifier as never),
      FmfError,
      "must be text",
    );
    strictEqual(error.kind, "reference");
  }
});

Deno.test("discover() refuses options of the wrong type", async () => {
  for (const name of ["names", "filters", "excludes", "conditions"]) {
    const error = await rejected(
      discover("/", { [name]: "text" }),
      FmfError,
    );
    ok(["usage", "root"].includes(error.kind));
  }
  await using tree = await temporaryTree({ "main.fmf": "test: x\n" });
  for (const name of ["names", "filters", "excludes", "conditions"]) {
    await rejected(
      discover(tree.path, { [name]: "text" }),
      FmfError,
      `"${name}" must be a list`,
    );
  }
  await rejected(discover(5 as never), FmfError, "a tree must be");
});

Deno.test("discover() does not begin when it is aborted, and ends when it is", async () => {
  await using tree = await temporaryTree({
    "main.fmf": "test: x\n/a: {}\n/p: {test-: , discover: {name: n}}\n",
  });
  const reason = new Error("enough");
  await rejects(
    discover(tree.path, { signal: AbortSignal.abort(reason) }),
    reason,
  );
  for (let i = 0; i < 1200; i++) {
    await Deno.writeTextFile(`${tree.path}/f${i}`, "");
  }
  await Deno.writeTextFile(
    `${tree.path}/main.fmf`,
    "/p: {discover: {name: n}}\n",
  );
  const controller = new AbortController();
  const found = discover(tree.path, {
    plan: "/p",
    signal: controller.signal,
  });
  setTimeout(() => controller.abort(reason));
  await rejects(found, reason);
});

Deno.test("discover() copies a tree in a repository without that repository", async () => {
  await using tree = await temporaryTree({
    "main.fmf": "/t: {test: x}\n/p: {discover: {name: n}}\n",
  });
  await git(tree.path, "init", "-q");
  await using tests = await discover(tree.path, { plan: "/p" });
  deepStrictEqual(
    Array.from(Deno.readDirSync(`${tests.root}/n`), ({ name }) => name).sort(),
    [".fmf", "main.fmf"],
  );
});

const text = fc.oneof(
  fc.constantFrom(
    "..",
    "__proto__",
    "/a/../b",
    "library(../x)",
    "library(a/b)",
    "(",
    "tag: [",
    "",
    "/",
    "/lib",
    "fmf",
    "\0",
  ),
  fc.string({ maxLength: 5 }),
);
/** Text, and now and then something else. */
const odd = fc.oneof(
  { weight: 20, arbitrary: text },
  { weight: 1, arbitrary: fc.integer() },
  { weight: 1, arbitrary: fc.boolean() },
  { weight: 1, arbitrary: fc.constant(null) },
);
const dictionary = (keys: string[]) =>
  fc.dictionary(fc.constantFrom(...keys), odd, { maxKeys: 3 });
const orList = <T>(one: fc.Arbitrary<T>) =>
  fc.oneof(one, fc.array(one, { maxLength: 3 }));

Deno.test("discover() fails with FmfError only, whatever plans and tests ask for", async () => {
  await using directory = await temporaryTree({ "lib/main.fmf": "x: 1\n" });
  await fc.assert(
    fc.asyncProperty(
      orList(
        dictionary(["how", "name", "ref", "path", "test", "filter", "exclude"]),
      ),
      orList(fc.oneof(odd, dictionary(["type", "path", "nick", "name"]))),
      fc.oneof({ weight: 9, arbitrary: fc.constant("5m") }, odd),
      async (section, require, duration) => {
        await Deno.writeTextFile(
          `${directory.path}/main.fmf`,
          `/p: ${JSON.stringify({ discover: section })}\n` +
            `/t: ${JSON.stringify({ test: "x", require, duration })}\n`,
        );
        for (const plan of [undefined, "/p"]) {
          try {
            await using tests = await discover(directory.path, {
              ...(plan && { plan }),
              libraries: { exists: () => Promise.resolve(false) },
            });
            ok(await Deno.stat(tests.root));
          } catch (error) {
            if (!(error instanceof FmfError)) throw error;
          }
        }
        deepStrictEqual(
          Array.from(Deno.readDirSync(directory.path), ({ name }) => name)
            .sort(),
          [".fmf", "lib", "main.fmf"],
        );
      },
    ),
    { numRuns: 300 },
  );
});
