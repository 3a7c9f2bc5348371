import assert from "node:assert/strict";
import { rewriteImports, startRegistry } from "../../dev/registry.ts";
import config from "../../deno.json" with { type: "json" };

type Registry = Awaited<ReturnType<typeof startRegistry>>;

const decoder = new TextDecoder();
const root = new URL("../../", import.meta.url);

async function deno(
  args: string[],
  options: Deno.CommandOptions = {},
): Promise<{ code: number; out: string; err: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: root,
    ...options,
    env: { NO_COLOR: "1", ...options.env },
  }).output();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

async function getJson(url: string) {
  const response = await fetch(url);
  assert.equal(response.status, 200, url);
  return await response.json();
}

Deno.test("rewriteImports() makes bare specifiers what a publish makes of them", () => {
  const imports = { "@std/path": "jsr:@std/path@^1", zod: "npm:zod@^4" };
  const table: [string, string][] = [
    [
      `import { join } from "@std/path/posix/join";`,
      `import { join } from "jsr:@std/path@^1/posix/join";`,
    ],
    [`export * from 'zod'`, `export * from 'npm:zod@^4'`],
    [`import "zod/mini";`, `import "npm:zod@^4/mini";`],
    [`await import("zod")`, `await import("npm:zod@^4")`],
    [
      `import type {\n  A,\n} from "zod";`,
      `import type {\n  A,\n} from "npm:zod@^4";`,
    ],
    [`import { a } from "./zod.ts";`, `import { a } from "./zod.ts";`],
    [`import { a } from "zodiac";`, `import { a } from "zodiac";`],
    [
      `import { a } from "jsr:@std/path@1";`,
      `import { a } from "jsr:@std/path@1";`,
    ],
  ];
  for (const [source, want] of table) {
    assert.equal(rewriteImports(source, imports), want);
  }
});

Deno.test("startRegistry() offers what a publish would upload, and nothing else", async () => {
  await using registry = await startRegistry({ jsr: "standin" });
  const base = `${registry.url}/${config.name}`;
  const { latest, versions } = await getJson(`${base}/meta.json`);
  assert.equal(latest, config.version);
  assert.deepEqual(Object.keys(versions), [config.version]);
  const meta = await getJson(`${base}/${latest}_meta.json`);
  assert.deepEqual(meta.exports, config.exports);

  const { err } = await deno([
    "publish",
    "--dry-run",
    "--allow-dirty",
    "--no-check",
  ], {
    env: { JSR_URL: registry.url },
  });
  const published = [...err.matchAll(/^ +(file:\S+) \(/gm)].map(([, url]) =>
    decodeURI(url.slice(root.href.length - 1))
  );
  assert.deepEqual(Object.keys(meta.manifest).sort(), published.sort());
  for (const path of published) {
    assert.doesNotMatch(path, /^\/(dev|tests|examples|bench|out|\.)/);
  }
});

Deno.test("what stands in for @std is the oldest version that deno.json allows", async () => {
  await using registry = await startRegistry({ jsr: "standin" });
  const ranges = Object.entries(config.imports).filter(([name]) =>
    name.startsWith("@std/")
  );
  assert.ok(ranges.length > 0);
  for (const [name, range] of ranges) {
    const { versions } = await getJson(`${registry.url}/${name}/meta.json`);
    const [version, ...others] = Object.keys(versions);
    assert.deepEqual(others, []);
    assert.match(version, /^\d+\.\d+\.\d+$/);
    // what is unstable may be gone in the next minor version
    const kind = name === "@std/async" ? "~" : "^";
    assert.equal(range, `jsr:${name}@${kind}${version}`);
  }
});

Deno.test("an export of @std is unstable only where the range allows for that", async () => {
  const { success, stdout } = await new Deno.Command("grep", {
    args: ["-rhoE", '"@std/[a-z]+/unstable-[a-z-]+"', "--include=*.ts", "."],
    cwd: root,
  }).output();
  assert.ok(success);
  const packages = decoder.decode(stdout).matchAll(/"(@std\/[a-z]+)\//g);
  for (const name of new Set([...packages].map(([, name]) => name))) {
    const range = (config.imports as Record<string, string>)[name];
    assert.match(range, /@~\d+\.\d+\.\d+$/, name);
  }
});

Deno.test("startRegistry() gives files with the checksum that its manifest names", async () => {
  await using registry = await startRegistry({ jsr: "standin" });
  const base = `${registry.url}/${config.name}/${config.version}`;
  const { manifest } = await getJson(`${base}_meta.json`);
  const path = "/orchestrators/orchestrator.ts";
  const bytes = await (await fetch(base + path)).bytes();
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  assert.deepEqual(manifest[path], {
    size: bytes.length,
    checksum: `sha256-${hash.toHex()}`,
  });
});

Deno.test("startRegistry() answers 404 to what it does not have", async () => {
  await using registry = await startRegistry({ jsr: "standin" });
  for (
    const path of [
      "/",
      "/@std/none/meta.json",
      "/@other/package/meta.json",
      `/${config.name}/9.9.9_meta.json`,
      `/${config.name}/${config.version}/dev/registry.ts`,
      `/${config.name}/${config.version}/../../etc/passwd`,
    ]
  ) {
    const response = await fetch(registry.url + path);
    await response.body?.cancel();
    assert.equal(response.status, 404, path);
  }
});

Deno.test("startRegistry() gives each of two registries an address of its own", async () => {
  await using one = await startRegistry({ jsr: "standin" });
  await using other = await startRegistry({ jsr: "standin" });
  assert.notEqual(one.url, other.url);
  await getJson(`${other.url}/@std/path/meta.json`);
});

async function assertPassesThrough(registry: Registry, real: Registry) {
  assert.equal(await registry.std, "registry");
  const { latest } = await getJson(`${real.url}/@std/path/meta.json`);
  const path = `/@std/path/${latest}/posix/join.ts`;
  const [have, want] = await Promise.all(
    [registry, real].map(async ({ url }) =>
      await (await fetch(url + path)).text()
    ),
  );
  assert.equal(have, want);
  const own = await getJson(`${registry.url}/${config.name}/meta.json`);
  assert.equal(own.latest, config.version);
  const missing = await fetch(`${registry.url}/@std/none/meta.json`);
  await missing.body?.cancel();
  assert.equal(missing.status, 404);
}

Deno.test("startRegistry() takes @std, never its own package, from the registry that it is told", async () => {
  await using real = await startRegistry({ jsr: "standin" });
  await using registry = await startRegistry({ jsr: real.url });
  await assertPassesThrough(registry, real);
});

Deno.test("startRegistry() takes @std from the registry in JSR_URL if that answers", async () => {
  const before = Deno.env.get("JSR_URL");
  await using real = await startRegistry({ jsr: "standin" });
  try {
    Deno.env.set("JSR_URL", real.url);
    await using registry = await startRegistry();
    await assertPassesThrough(registry, real);
    Deno.env.set("JSR_URL", nobody());
    await using alone = await startRegistry();
    assert.equal(await alone.std, "stand-ins");
  } finally {
    if (before === undefined) Deno.env.delete("JSR_URL");
    else Deno.env.set("JSR_URL", before);
  }
});

Deno.test("startRegistry() says 502 when the registry that it is told is not there", async () => {
  const jsr = nobody();
  await using registry = await startRegistry({ jsr });
  const response = await fetch(`${registry.url}/@std/path/meta.json`);
  assert.equal(response.status, 502);
  assert.ok((await response.text()).startsWith(`${jsr}/@std/path/meta.json: `));
});

/** An address where nothing listens. */
function nobody(): string {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return `http://127.0.0.1:${listener.addr.port}`;
}

Deno.test("a script in an empty directory gets every export from the registry, not from a stale cache", async () => {
  const dir = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(
      `${dir}/script.ts`,
      Object.keys(config.exports).map((name) =>
        `import "jsr:${config.name}${name.slice(1)}";\n`
      ).join("") + `console.log(import.meta.resolve("jsr:${config.name}"));`,
    );
    for (const _again of [1, 2]) {
      await using registry = await startRegistry({ jsr: "standin" });
      const { code, out, err } = await deno(
        ["run", "--no-prompt", "script.ts"],
        {
          cwd: dir,
          env: { JSR_URL: registry.url },
        },
      );
      assert.equal(code, 0, err);
      assert.equal(
        out,
        `${registry.url}/${config.name}/${config.version}/mod.ts\n`,
      );
      assert.match(err, new RegExp(`Download ${registry.url}/${config.name}/`));
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
