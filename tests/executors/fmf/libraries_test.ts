import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { discover } from "../../../executors/fmf/discover.ts";
import { FmfError } from "../../../executors/fmf/metadata/errors.ts";
import {
  type Files,
  layoutOf,
  temporaryTree,
  writeFiles,
} from "../../_metadata_files.ts";
import { rejected } from "../../_thrown.ts";
import { Repositories } from "./_repository.ts";

const VERSION = { ".fmf/version": "1\n" };

/** What a test requires in the end, as JSON. */
async function requirements(
  require: string,
  files: Files = {},
  options: Parameters<typeof discover>[1] = {},
): Promise<{ require: unknown; layout: string[] }> {
  await using tree = await temporaryTree({
    "main.fmf": `/t:\n  test: x\n  require: ${require}\n`,
    ...files,
  });
  await using tests = await discover(tree.path, options);
  return {
    require: JSON.parse(JSON.stringify(tests.data.get("/t")!.require)),
    layout: (await layoutOf(tests.root, true))
      .filter((path) => path.startsWith("libs/")),
  };
}

Deno.test("a library of the same tree inside of a library is looked for in the library's tree first", async () => {
  await using repos = await Repositories.open();
  const url = await repos.make("kit", {
    ...VERSION,
    "a/main.fmf":
      "require: [{nick: near, name: /b}, {nick: far, name: /only-here}]\n",
    "b/main.fmf": "require: from-kit\n",
  });
  const found = await requirements(`{url: '${url}', name: /a}`, {
    "b/main.fmf": "require: from-tests\n",
    "only-here/main.fmf": "require: far\n",
  });
  deepStrictEqual(found.require, [
    { url, name: "/a" },
    { nick: "near", name: "/b" },
    "from-kit",
    { nick: "far", name: "/only-here" },
    "far",
  ]);
  deepStrictEqual(found.layout, [
    "libs/far/only-here -> ../../only-here",
    "libs/kit/a/main.fmf",
    "libs/near/b/main.fmf",
  ]);
});

Deno.test("two refs for one library are an error that says what to do", async () => {
  await using repos = await Repositories.open();
  const url = await repos.make("kit", { ...VERSION, "a/main.fmf": "x: 1\n" });
  await repos.git("kit", "tag", "v1");
  await using tree = await temporaryTree({
    "main.fmf":
      `/t: {test: x, require: {url: '${url}', name: /a}}\n/u: {test: x, require: {url: '${url}', ref: v1, name: /a}}\n`,
  });
  const error = await rejected(
    discover(tree.path),
    FmfError,
    "two different libraries would lie in libs/kit/a",
  );
  deepStrictEqual(
    [error.kind, error.node, error.key],
    ["discover", "/u", "require"],
  );
  // One more suffix makes no other repository.
  await Deno.symlink("kit", `${repos.path}/kit.git`);
  const { require } = await requirements(
    `[{url: '${url}', name: /a}, {url: '${url}.git', name: /a}]`,
  );
  ok(Array.isArray(require));
});

Deno.test("a library that is required in two ways is not expanded without end", async () => {
  await using repos = await Repositories.open();
  const files: Files = { ...VERSION };
  for (let i = 0; i < 20; i++) {
    const next = `{nick: k, name: /l${i + 1}}`;
    files[`l${i}/main.fmf`] = `require: [${next}, ${next}]\n`;
  }
  files["l20/main.fmf"] = "require: x\n";
  const url = await repos.make("kit", files);
  await rejects(
    requirements(`{url: '${url}', name: /l0}`),
    /more than 10000 requirements/,
  );
  const { require } = await requirements(`{url: '${url}', name: /l18}`);
  deepStrictEqual(
    (require as unknown[]).filter((item) => item === "x").length,
    4,
  );
});

Deno.test("libraries stay in their directory", async () => {
  await using repos = await Repositories.open();
  const url = await repos.make("kit", {
    ...VERSION,
    "a/main.fmf": "x: 1\n",
    out: { symlink: "/etc" },
    "main.fmf": "/virtual: {}\n/out: {}\n",
  });
  const local = { "a/main.fmf": "x: 1\n" };
  for (
    const [item, reason] of [
      [`{url: '${url}', name: /a, nick: ../x}`, '"nick"'],
      [`{url: '${url}', name: /a, nick: /x}`, '"nick"'],
      [`{url: '${url}', name: /a, nick: ''}`, '"nick"'],
      [`{url: '${url}', name: /a/../a}`, '"name"'],
      [`{url: '${url}', path: ../kit, name: /a}`, '"path"'],
      [`{url: '${url}', name: /virtual}`, "no directory of its own"],
      [`{url: '${url}', name: /out}`, "outside of its tree"],
      [`{url: '${url}', name: 5}`, '"name" must be text'],
      [`{url: , name: /a}`, '"url" must be text'],
      ["{nick: .., name: /a}", '"nick"'],
      ["{nick: x, name: /t}", "no directory of its own"],
      ["library(../x)", '"nick"'],
      ["library(x/../../y)", '"name"'],
    ]
  ) {
    const error = await rejected(
      requirements(item, local),
      FmfError,
      reason,
    );
    deepStrictEqual(
      [item, error.kind, error.node, error.key],
      [item, "discover", "/t", "require"],
    );
  }
});

Deno.test("a library is not written through a link of the tests", async () => {
  await using repos = await Repositories.open();
  const url = await repos.make("kit", { ...VERSION, "a/main.fmf": "x: 1\n" });
  await using outside = await temporaryTree({}, true);
  const item = `{url: '${url}', name: /a}`;
  await rejects(
    requirements(item, { libs: { symlink: outside.path } }),
    /something else is there/,
  );
  await rejects(
    requirements(item, { "libs/kit": { symlink: outside.path } }),
    /something else is there/,
  );
  await rejects(
    requirements(item, { "libs/kit/a": { symlink: outside.path } }),
    /something else is there/,
  );
  deepStrictEqual([...Deno.readDirSync(outside.path)], []);
  const { layout } = await requirements(item, {
    "libs/kit/a/main.fmf": { symlink: "../../../main.fmf" },
    "libs/kit/a/own": "x",
  });
  deepStrictEqual(layout, ["libs/kit/a/main.fmf", "libs/kit/a/own"]);
});

Deno.test("the tests' own tree is not changed by libraries", async () => {
  await using repos = await Repositories.open();
  const url = await repos.make("kit", { ...VERSION, "a/main.fmf": "x: 1\n" });
  await using tree = await temporaryTree({
    "main.fmf": `/t: {test: x, require: {url: '${url}', name: /a}}\n`,
  });
  await using tests = await discover(tree.path);
  ok(tests.root !== tree.path);
  deepStrictEqual(await layoutOf(tree.path, false), [
    ".fmf/version",
    "main.fmf",
  ]);
});

Deno.test("an error of a library names the test and the library", async () => {
  await using repos = await Repositories.open();
  const url = await repos.make("kit", {
    ...VERSION,
    "a/main.fmf": `require: {url: 'file://${repos.path}/kit', name: /b}\n`,
    "b/main.fmf": "require: 5\n",
  });
  const error = await rejected(
    requirements(`{url: '${url}', name: /a}`),
    FmfError,
    "may only hold text and mappings, not an integer",
  );
  strictEqual(
    error.message,
    `/t: key "require": library { url: ${url}, name: /a }: library { url: ${url}, name: /b }: may only hold text and mappings, not an integer (from main.fmf)`,
  );
  await Deno.writeTextFile(`${repos.path}/kit/broken.fmf`, "a: [\n");
  await repos.commit("kit", {});
  const broken = await rejected(
    requirements(`{url: '${url}', name: /a}`, {}, { fetch: { maxAge: 0 } }),
    FmfError,
    "broken.fmf:",
  );
  deepStrictEqual([broken.kind, broken.node], ["discover", "/t"]);
  const missing = await rejected(
    requirements(`{url: '${url}-none', name: /a}`),
    FmfError,
    `${url}-none`,
  );
  deepStrictEqual([missing.kind, missing.node], ["fetch", "/t"]);
});

/** A server for HEAD requests that answers with the status in the path. */
function serve(statuses: Record<string, number>) {
  const requests: string[] = [];
  const server = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    onListen() {},
  }, (request) => {
    const { pathname } = new URL(request.url);
    requests.push(`${request.method} ${pathname}`);
    return new Response(null, { status: statuses[pathname] ?? 404 });
  });
  return {
    base: `http://127.0.0.1:${server.addr.port}/libs`,
    requests,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

Deno.test("a library in the old form is asked for once with HEAD, and fetched if it is there", async () => {
  await using repos = await Repositories.open();
  const url = await repos.make("kit", {
    ...VERSION,
    "a/b/main.fmf": "require: inner\n",
    "c/main.fmf": "require: library(kit/a/b)\n",
  });
  await using server = serve({
    "/libs/kit/tree/HEAD/a/b": 301,
    "/libs/kit/tree/HEAD/c": 200,
    "/libs/kit/tree/HEAD/d": 200,
    "/libs/kit/tree/HEAD/e": 403,
  });
  const { base } = server;
  const options = {
    libraries: { base: `${base}/` },
    fetch: {
      mirror: (address: string) => address.replace(`${base}/kit`, url),
    },
  };
  const item = (name: string) => ({
    type: "library",
    url: `${base}/kit`,
    name,
  });
  const { require, layout } = await requirements(
    "[library(kit/a/b), library(kit/c), library(kit/d), library(kit/e), library(kit/e), library(kit/f)]",
    {},
    options,
  );
  deepStrictEqual(require, [
    item("/a/b"),
    "inner",
    item("/c"),
    item("/a/b"),
    "inner",
    "library(kit/d)",
    "library(kit/e)",
    "library(kit/e)",
    "library(kit/f)",
  ]);
  deepStrictEqual(layout, ["libs/kit/a/b/main.fmf", "libs/kit/c/main.fmf"]);
  deepStrictEqual(
    server.requests.map((line) => line.split("/HEAD/")[1]).sort(),
    ["a/b", "c", "d", "e", "f"],
  );
  ok(server.requests.every((line) => line.startsWith("HEAD ")));
});

Deno.test("a library in the old form that cannot be asked for is an error", async () => {
  let base: string;
  {
    await using server = serve({});
    base = server.base;
  }
  const error = await rejected(
    requirements("library(kit/a)", {}, { libraries: { base } }),
    FmfError,
    `${base}/kit/tree/HEAD/a`,
  );
  deepStrictEqual(
    [error.kind, error.node, error.key],
    ["fetch", "/t", "require"],
  );
});

/** A library with a link that leads out of its tree. */
function makeKitThatWarns(repos: Repositories): Promise<string> {
  return repos.make("kit", {
    ...VERSION,
    "a/main.fmf": "x: 1\n",
    out: { symlink: "/etc" },
  });
}

Deno.test("warnings about the tree of a library reach the caller", async () => {
  await using repos = await Repositories.open();
  const url = await makeKitThatWarns(repos);
  await using tree = await temporaryTree({
    "main.fmf": `/t: {test: x, require: {url: '${url}', name: /a}}\n`,
  });
  await using tests = await discover(tree.path);
  deepStrictEqual(tests.warnings.map(({ file }) => file), ["out"]);
});

Deno.test("a library in the old form is asked for once for all tests, and its tree warns once", async () => {
  await using repos = await Repositories.open();
  const url = await makeKitThatWarns(repos);
  await using tree = await temporaryTree({
    "main.fmf": "test: x\nrequire: library(kit/a)\n/one:\n/two:\n",
  });
  const asked: string[] = [];
  await using tests = await discover(tree.path, {
    libraries: {
      base: "https://example.com",
      exists(address) {
        asked.push(address);
        return Promise.resolve(asked.length === 1);
      },
    },
    fetch: { mirror: () => url },
  });
  for (const name of ["/one", "/two"]) {
    strictEqual(
      typeof (tests.data.get(name)!.require as unknown[])[0],
      "object",
    );
  }
  deepStrictEqual(asked, ["https://example.com/kit/tree/HEAD/a"]);
  deepStrictEqual(tests.warnings.map(({ file }) => file), ["out"]);
});

Deno.test("libraries of the same tree do not replace what is there", async () => {
  const { layout } = await requirements("{nick: tool, name: /lib}", {
    "lib/main.fmf": "x: 1\n",
    "libs/tool/lib/own": "x",
  });
  deepStrictEqual(layout, ["libs/tool/lib/own"]);
  const whole = await requirements("{nick: tool, name: /}");
  deepStrictEqual(whole.layout, ["libs/tool -> .."]);
});

Deno.test("a library from a local directory is copied without its repository", async () => {
  await using library = await temporaryTree({ "main.fmf": "require: x\n" });
  await writeFiles(library.path, { ".git/HEAD": "x", f: "x" }, true);
  const nick = library.path.slice(library.path.lastIndexOf("/") + 1);
  const { require, layout } = await requirements(`{path: ${library.path}}`);
  deepStrictEqual(require, [{ path: library.path }, "x"]);
  deepStrictEqual(layout, [
    `libs/${nick}/.fmf/version`,
    `libs/${nick}/f`,
    `libs/${nick}/main.fmf`,
  ]);
});
