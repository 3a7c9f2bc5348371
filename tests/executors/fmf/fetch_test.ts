import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { git, temporaryVariable } from "../../_metadata_files.ts";
import { rejected } from "../../_thrown.ts";
import { FmfError } from "../../../executors/fmf/metadata/errors.ts";
import { cloneNames } from "../../../executors/fmf/metadata/address.ts";
import {
  checkOut,
  type FetchOptions,
} from "../../../executors/fmf/metadata/fetch.ts";
import { Repositories } from "./_repository.ts";

/** Content of the file `f` in a checkout. */
async function read(
  url: string,
  ref?: string,
  options?: FetchOptions,
): Promise<string> {
  await using checkout = await checkOut(url, ref, options);
  return (await Deno.readTextFile(`${checkout.path}/f`)).trim();
}

const listed = (path: string) =>
  Array.from(Deno.readDirSync(path), ({ name }) => name).sort();

Deno.test("checkOut() gives a directory without .git that lasts until it is disposed of", async () => {
  await using repos = await Repositories.open();
  const url = await repos.make("r", {
    f: "one",
    "d/run.sh": "#!/bin/sh\n",
    link: { symlink: "d/run.sh" },
  });
  await repos.git("r", "update-index", "--chmod=+x", "d/run.sh");
  await repos.git("r", "commit", "-q", "-m", "x");
  const head = await repos.git("r", "rev-parse", "HEAD");
  const checkout = await checkOut(url, undefined);
  strictEqual(checkout.commit, head);
  deepStrictEqual(listed(checkout.path), ["d", "f", "link"]);
  strictEqual(await Deno.readLink(`${checkout.path}/link`), "d/run.sh");
  const { mode } = await Deno.stat(`${checkout.path}/d/run.sh`);
  ok(mode! & 0o100);
  await checkout[Symbol.asyncDispose]();
  await checkout[Symbol.asyncDispose]();
  await rejects(Deno.lstat(checkout.path), Deno.errors.NotFound);
  const name = url.replaceAll("/", "_");
  deepStrictEqual(listed(repos.cache), [name, `${name}.fetch.lock`]);
});

Deno.test("checkOut() fetches again only when the clone is too old", async () => {
  await using repos = await Repositories.open();
  const url = await repos.make("r", { f: "one" });
  for (const ref of [undefined, "main"]) {
    strictEqual(await read(url, ref), "one");
  }
  await repos.commit("r", { f: "two" });
  strictEqual(await read(url), "one");
  strictEqual(await read(url, "main"), "one");
  strictEqual(await read(url, undefined, { maxAge: 0 }), "two");
  strictEqual(await read(url, "main"), "two");
});

Deno.test("checkOut() looks for a ref that is not in the clone, however new that is", async () => {
  await using repos = await Repositories.open();
  const url = await repos.make("r", { f: "one" });
  strictEqual(await read(url), "one");
  await repos.git("r", "checkout", "-q", "-b", "topic/new");
  const commit = await repos.commit("r", { f: "two" });
  await repos.git("r", "tag", "v2");
  strictEqual(await read(url, "topic/new"), "two");
  strictEqual(await read(url, "v2"), "two");
  strictEqual(await read(url, commit), "two");
  strictEqual(await read(url, commit.slice(0, 8)), "two");
  strictEqual(await read(url, "refs/heads/main"), "one");
  strictEqual(await read(url, "refs/tags/v2"), "two");
});

Deno.test("checkOut() follows branches and tags that are moved, and a default branch that is renamed", async () => {
  await using repos = await Repositories.open();
  const url = await repos.make("r", { f: "one" });
  await repos.git("r", "tag", "latest");
  strictEqual(await read(url, "latest"), "one");
  await repos.git(
    "r",
    "commit",
    "-q",
    "--amend",
    "-m",
    "other",
    "--allow-empty",
  );
  await repos.commit("r", { f: "two" });
  await repos.git("r", "tag", "-f", "latest");
  strictEqual(await read(url, "latest", { maxAge: 0 }), "two");
  strictEqual(await read(url, "main"), "two");
  await repos.git("r", "branch", "-m", "main", "release/1");
  await repos.commit("r", { f: "three" });
  strictEqual(await read(url, undefined, { maxAge: 0 }), "three");
});

Deno.test("checkOut() follows a default branch with a slash that is renamed, in a shallow clone", async () => {
  await using repos = await Repositories.open();
  const url = await repos.make("r", { f: "one" });
  await repos.git("r", "branch", "-m", "main", "release/1");
  strictEqual(await read(url), "one");
  await repos.git("r", "branch", "-m", "release/1", "release/2");
  await repos.commit("r", { f: "two" });
  strictEqual(await read(url, undefined, { maxAge: 0 }), "two");
});

Deno.test("checkOut() follows a tag that is moved, in a shallow clone", async () => {
  await using repos = await Repositories.open();
  const url = await repos.make("r", { f: "one" }, false);
  await repos.git("r", "tag", "latest");
  strictEqual(await read(url), "one");
  await repos.commit("r", { f: "two" });
  await repos.git("r", "tag", "-f", "latest");
  strictEqual(await read(url, undefined, { maxAge: 0 }), "two");
  strictEqual(await read(url, "latest", { maxAge: 0 }), "two");
});

Deno.test("checkOut() takes a branch before a tag of the same name", async () => {
  await using repos = await Repositories.open();
  const url = await repos.make("r", { f: "tag" });
  await repos.git("r", "tag", "x");
  await repos.git("r", "checkout", "-q", "-b", "x");
  await repos.commit("r", { f: "branch" });
  await repos.git("r", "checkout", "-q", "main");
  strictEqual(await read(url, "x"), "branch");
  strictEqual(await read(url, "refs/tags/x"), "tag");
});

Deno.test("checkOut() clones local paths, with all refs", async () => {
  await using repos = await Repositories.open();
  await repos.make("r", { f: "one" });
  await repos.git("r", "checkout", "-q", "-b", "other");
  await repos.commit("r", { f: "two" });
  await repos.git("r", "checkout", "-q", "main");
  const path = `${repos.path}/r`;
  strictEqual(await read(path), "one");
  strictEqual(await read(path, "other"), "two");
});

Deno.test("checkOut() keeps repositories apart whose names look the same in the cache", async () => {
  await using repos = await Repositories.open();
  const one = await repos.make("a/b", { f: "one" });
  const two = await repos.make("a_b", { f: "two" });
  for (const _ of [1, 2]) {
    strictEqual(await read(one), "one");
    strictEqual(await read(two), "two");
  }
  const long = await repos.make(`${"x".repeat(200)}`, { f: "long" });
  strictEqual(await read(long), "long");
});

Deno.test("checkOut() does not take the clone that another process made of a repository whose name looks the same", async () => {
  await using repos = await Repositories.open();
  const one = await repos.make("a/b", { f: "one" });
  const two = await repos.make("a_b", { f: "two" });
  const clone = `${repos.cache}/${one.replaceAll("/", "_")}`;
  await Deno.mkdir(repos.cache);
  using lock = await Deno.create(`${clone}.fetch.lock`);
  await lock.lock(true);
  const waiting = read(two);
  await git(repos.cache, "clone", "-q", "--no-checkout", one, clone);
  await lock.unlock();
  strictEqual(await waiting, "two");
});

Deno.test("checkOut() limits also the writing of files, and lets nobody else at the clone meanwhile", async () => {
  await using repos = await Repositories.open();
  const url = await repos.make("r", { f: "one" });
  await read(url);
  const lock = `${repos.cache}/${url.replaceAll("/", "_")}.fetch.lock`;
  const bin = `${repos.path}/bin`;
  const path = Deno.env.get("PATH")!;
  await Deno.mkdir(bin);
  await Deno.writeTextFile(
    `${bin}/git`,
    `#!/bin/sh
case "$*" in
*read-tree*) flock -n '${lock}' touch '${bin}/free'; exec sleep 600 ;;
esac
PATH='${path}'
exec git "$@"
`,
    { mode: 0o755 },
  );
  using _path = temporaryVariable("PATH", `${bin}:${path}`);
  await rejected(
    checkOut(url, undefined, { commandTimeout: 2000 }),
    FmfError,
    "git read-tree takes longer than 2 s",
  );
  deepStrictEqual(listed(bin), ["git"]);
});

Deno.test("checkOut() makes a broken clone anew", async () => {
  await using repos = await Repositories.open();
  const url = await repos.make("r", { f: "one" });
  await read(url);
  const clone = `${repos.cache}/${url.replaceAll("/", "_")}`;
  await Deno.remove(`${clone}/.git/HEAD`);
  strictEqual(await read(url), "one");
  await Deno.remove(`${clone}/.git`, { recursive: true });
  await Deno.mkdir(`${clone}.new`);
  strictEqual(await read(url), "one");
  deepStrictEqual(listed(clone), [".git"]);
});

Deno.test("checkOut() works many times at once", async () => {
  await using repos = await Repositories.open();
  const url = await repos.make("r", { f: "one" });
  await repos.git("r", "checkout", "-q", "-b", "other");
  await repos.commit("r", { f: "two" });
  await repos.git("r", "checkout", "-q", "main");
  const refs = [undefined, "other", "main", "other", undefined];
  deepStrictEqual(
    await Promise.all(refs.map((ref) => read(url, ref))),
    ["one", "two", "one", "two", "one"],
  );
});

Deno.test("checkOut() waits for the lock of another process only so long", async () => {
  await using repos = await Repositories.open();
  const url = await repos.make("r", { f: "one" });
  await read(url);
  const path = `${repos.cache}/${url.replaceAll("/", "_")}.fetch.lock`;
  using lock = await Deno.open(path, { write: true });
  await lock.lock(true);
  const error = await rejected(
    checkOut(url, undefined, { lockTimeout: 100 }),
    FmfError,
    "another process has held the lock",
  );
  strictEqual(error.kind, "fetch");
  const controller = new AbortController();
  const waiting = checkOut(url, undefined, { signal: controller.signal });
  controller.abort(new Error("enough"));
  await rejects(waiting, /enough/);
  const late = read(url);
  await lock.unlock();
  strictEqual(await late, "one");
});

Deno.test("checkOut() ends git when it is aborted", async () => {
  await using repos = await Repositories.open();
  // A server that never answers.
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const controller = new AbortController();
  const { signal } = controller;
  const waiting = checkOut(`git://127.0.0.1:${port}/r`, undefined, { signal });
  using _connection = await listener.accept();
  controller.abort(new Error("enough"));
  await rejects(waiting, /enough/);
  deepStrictEqual(
    listed(repos.cache).filter((name) => !name.endsWith(".lock")),
    [],
  );
  await rejects(checkOut("x", undefined, { signal }), /enough/);
});

Deno.test("checkOut() does not wait for what an ssh of git's leaves in the background", async () => {
  await using repos = await Repositories.open();
  const ssh = `${repos.path}/ssh`;
  const script = (command: string) =>
    Deno.writeTextFileSync(
      ssh,
      `#!/bin/sh\n[ "$1" != -G ] || exit 0\nsetsid sleep 60 >/dev/null &\necho $! >>${repos.path}/pids\n${command}\n`,
      { mode: 0o755 },
    );
  using _variable = temporaryVariable("GIT_SSH_COMMAND", ssh);
  try {
    const started = performance.now();
    script("echo refused >&2; exit 1");
    await rejects(checkOut("ssh://nowhere/r", undefined), /refused/);
    script("sleep 60");
    await rejects(
      checkOut("ssh://nowhere/r", undefined, { commandTimeout: 500 }),
      /git clone takes longer than 0.5 s/,
    );
    // all of them would have ended by themselves
    ok(performance.now() - started < 60_000);
  } finally {
    for (const pid of Deno.readTextFileSync(`${repos.path}/pids`).split("\n")) {
      if (pid) Deno.kill(Number(pid), "SIGKILL");
    }
  }
});

Deno.test("checkOut() refuses addresses and refs that are more than that", async () => {
  await using repos = await Repositories.open();
  const url = await repos.make("r", { f: "one" });
  for (
    const [address, ref, reason] of [
      ["", undefined, "is empty"],
      ["--upload-pack=touch x", undefined, "must not begin with a dash"],
      ["ext::sh -c date", undefined, "not allowed"],
      ["fd::17", undefined, "not allowed"],
      ["file:///x\ny", undefined, "control characters"],
      [url, "", "must be a branch"],
      [url, "-x", "must be a branch"],
      [url, "@.refs", "dynamic refs"],
      [url, "main~1", "must be a branch"],
      [url, "main^{tree}", "must be a branch"],
      [url, "a..b", "must be a branch"],
      [url, "x@{1}", "must be a branch"],
      [url, "a b", "must be a branch"],
      [url, "nope", "no such branch, tag or commit"],
      [url, "12345678", "no such branch, tag or commit"],
      [`${url}-not`, undefined, "does not appear to be"],
    ] as const
  ) {
    const error = await rejected(checkOut(address, ref), FmfError, reason);
    strictEqual(error.kind, "fetch");
    ok(error.message.includes(address) || address.includes("\n"));
    if (ref) ok(error.message.includes(ref));
  }
  strictEqual(await read(url), "one");
});

for (
  const [url, shown] of [
    ["http://me:s3cret@127.0.0.1:1/r.git", "http://***@127.0.0.1:1/r.git"],
    ["http://s3cret@127.0.0.1:1/r.git", "http://***@127.0.0.1:1/r.git"],
    ["http://me:a@s3cret@127.0.0.1:1/r", "http://***@127.0.0.1:1/r"],
    ["ssh://me:s3cret@127.0.0.1:1/r", "ssh://me:***@127.0.0.1:1/r"],
  ]
) {
  Deno.test(`checkOut() shows no secret of ${url}`, async () => {
    await using repos = await Repositories.open();
    const error = await rejected(checkOut(url, undefined), FmfError, shown);
    ok(!error.message.includes("s3cret"), error.message);
    const names = listed(repos.cache).join(" ");
    ok(!names.includes("s3cret"), names);
  });
}

Deno.test("checkOut() shows no token in what git says", async () => {
  await using _repos = await Repositories.open();
  await using server = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    onListen() {},
  }, () =>
    new Response(null, {
      status: 401,
      headers: { "WWW-Authenticate": "Basic realm=x" },
    }));
  const error = await rejected(
    checkOut(`http://s3cret@127.0.0.1:${server.addr.port}/r`, undefined),
    FmfError,
    "could not read Password for 'http://***@127.0.0.1:",
  );
  ok(!error.message.includes("s3cret"), error.message);
});

Deno.test("checkOut() keeps apart what is cloned with two tokens", async () => {
  const [one, two] = await Promise.all([
    cloneNames("https://one@example.com/r"),
    cloneNames("https://two@example.com/r"),
  ]);
  strictEqual(new Set([...one, ...two]).size, 2);
  ok(one[0].startsWith("https:__***@example.com_r."));
});

Deno.test("checkOut() fetches from the mirror, and names the original", async () => {
  await using repos = await Repositories.open();
  const url = await repos.make("r", { f: "one" });
  const mirror = (address: string) =>
    address.replace("https://example.com/", `file://${repos.path}/`);
  strictEqual(
    await read("https://example.com/r", undefined, { mirror }),
    "one",
  );
  ok(listed(repos.cache).includes(url.replaceAll("/", "_")));
  await rejected(
    checkOut("https://example.com/none", undefined, { mirror }),
    FmfError,
    "cannot fetch https://example.com/none (from file:///",
  );
});

Deno.test("checkOut() is not led astray by variables of an outer git", async () => {
  await using repos = await Repositories.open();
  const url = await repos.make("r", { f: "one" });
  await repos.make("other", { f: "two" });
  {
    const other = `${repos.path}/other/.git`;
    using _directory = temporaryVariable("GIT_DIR", other);
    using _index = temporaryVariable("GIT_INDEX_FILE", `${other}/index`);
    strictEqual(await read(url), "one");
  }
  strictEqual(await git(`${repos.path}/other`, "status", "--porcelain"), "");
});

Deno.test("checkOut() takes files as they are in the commit", async () => {
  await using repos = await Repositories.open();
  const url = await repos.make("r", {
    f: "$Id$\n",
    ".gitattributes": "f export-subst\nhidden export-ignore\n",
    hidden: "x",
  });
  await using checkout = await checkOut(url, undefined);
  deepStrictEqual(listed(checkout.path), [".gitattributes", "f", "hidden"]);
});

Deno.test("checkOut() says that git is missing", async () => {
  await using repos = await Repositories.open();
  const path = Deno.env.get("PATH")!;
  Deno.env.set("PATH", repos.path);
  try {
    await rejected(
      checkOut("https://example.com/x", undefined),
      FmfError,
      "the program is not installed",
    );
  } finally {
    Deno.env.set("PATH", path);
  }
});

Deno.test("checkOut() says where clones or files cannot be written", async () => {
  await using repos = await Repositories.open();
  const url = await repos.make("r", { f: "one" });
  await Deno.writeTextFile(repos.cache, "a file");
  await rejects(checkOut(url, undefined), FmfError, repos.cache);
  await Deno.remove(repos.cache);
  using _temporary = temporaryVariable("TMPDIR", `${repos.path}/none`);
  const error = await rejected(checkOut(url, undefined), FmfError, url);
  strictEqual(error.kind, "fetch");
});

Deno.test("checkOut() of an empty repository says so", async () => {
  await using repos = await Repositories.open();
  await Deno.mkdir(`${repos.path}/e`);
  await repos.git("e", "init", "-q");
  await rejected(
    checkOut(`file://${repos.path}/e`, undefined),
    FmfError,
    "no default branch, or is empty",
  );
});
