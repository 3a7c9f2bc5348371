import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { temporaryTree, temporaryVariable } from "../../_metadata_files.ts";
import { rejected } from "../../_thrown.ts";
import { FmfError } from "../../../executors/fmf/metadata/errors.ts";
import {
  type FmfIdentifier,
  resolveIdentifier,
} from "../../../executors/fmf/metadata/identifier.ts";
import { Repositories } from "./_repository.ts";

Deno.test("resolveIdentifier() gives a node whose files last until it is disposed of", async () => {
  await using repos = await Repositories.open();
  const url = await repos.make("r", {
    ".fmf/version": "1\n",
    "a/main.fmf": "x: 1\n/b: {}\n",
  });
  const found = await resolveIdentifier({ url, name: "/a" });
  strictEqual(found.node.name, "/a");
  strictEqual(found.tree.top, found.node);
  strictEqual(found.tree.commit, await repos.git("r", "rev-parse", "HEAD"));
  strictEqual(
    await Deno.readTextFile(`${found.node.root}/a/main.fmf`),
    "x: 1\n/b: {}\n",
  );
  strictEqual(found.tree.find("/a/b")?.name, "/a/b");
  strictEqual(found.tree.find("/"), undefined);
  await found[Symbol.asyncDispose]();
  await rejects(Deno.stat(found.node.root!), Deno.errors.NotFound);
});

Deno.test("resolveIdentifier() looks for the root above the path, but not above the repository", async () => {
  await using outer = await temporaryTree({});
  using _temporary = temporaryVariable("TMPDIR", outer.path);
  await using repos = await Repositories.open();
  const url = await repos.make("r", {
    ".fmf/version": "1\n",
    "d/e/x.fmf": "x: 1\n",
  });
  await using found = await resolveIdentifier({
    url,
    path: "/d/e",
    name: "/d/e/x",
  });
  strictEqual(found.node.name, "/d/e/x");
  const other = await repos.make("bare", { "d/f": "x" });
  const error = await rejected(
    resolveIdentifier({ url: other, path: "d" }),
    FmfError,
    `in the repository, in ${other}`,
  );
  strictEqual(error.kind, "root");
});

Deno.test("resolveIdentifier() names files in the repository, not where they were written to", async () => {
  await using repos = await Repositories.open();
  const url = await repos.make("r", {
    ".fmf/version": "1\n",
    "d/x.fmf": "a: [\n",
  });
  const error = await rejected(resolveIdentifier({ url }), FmfError, url);
  strictEqual(error.file, "d/x.fmf");
  const none = await repos.make("v", { ".fmf/version": "2\n" });
  const second = await rejected(
    resolveIdentifier({ url: none }),
    FmfError,
    "unsupported format version",
  );
  strictEqual(second.message.includes("atex-"), none.includes("atex-"));
  strictEqual(second.file, undefined);
});

Deno.test("resolveIdentifier() refuses what leads elsewhere or nowhere", async () => {
  await using repos = await Repositories.open();
  const url = await repos.make("r", {
    ".fmf/version": "1\n",
    out: { symlink: "/" },
    f: "x",
  });
  const cases: [FmfIdentifier, string, string][] = [
    [{ url, path: "../x" }, "reference", "leads out"],
    [{ url, path: "out" }, "reference", "leads out"],
    [{ url, path: "none" }, "file", 'no directory "none"'],
    [{ url, path: "f" }, "file", "no directory"],
    [{ url, name: "/none" }, "reference", 'no node "/none"'],
    [{ path: "some/where" }, "reference", '"some/where"'],
    [{ path: "/nonexistent" }, "file", "/nonexistent"],
    [{ url: 5 as never }, "reference", '"url"'],
    [{ path: null as never }, "reference", '"path"'],
    [{ url, ref: ["x"] as never }, "reference", '"ref"'],
  ];
  for (const [identifier, kind, reason] of cases) {
    const error = await rejected(
      resolveIdentifier(identifier),
      FmfError,
      reason,
    );
    deepStrictEqual([identifier, error.kind], [identifier, kind]);
  }
});
