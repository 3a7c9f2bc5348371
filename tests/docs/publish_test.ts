/** What is published: what users need, and nothing else; it works where nothing else is. */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import config from "../../deno.json" with { type: "json" };

const ROOT = new URL("../../", import.meta.url);

async function published(): Promise<string[]> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["publish", "--dry-run", "--allow-dirty", "--no-check"],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  }).output();
  const said = new TextDecoder().decode(stderr);
  ok(success, said);
  ok(!/warning/i.test(said), said);
  const files = Array.from(
    said.matchAll(/^ +(file:\S+) \(/gm),
    ([, url]) => url.slice(ROOT.href.length),
  );
  ok(files.length > 50, said);
  return files;
}

Deno.test("a publish has the modules and what tells about them", async () => {
  const files = await published();
  const folders = [
    "connections",
    "provisioners",
    "executors",
    "aggregators",
    "orchestrators",
    "cli",
  ];
  const others = files.filter((path) =>
    !(folders.includes(path.split("/")[0]) && path.endsWith(".ts"))
  );
  deepStrictEqual(others.sort(), [
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "deno.json",
    "mod.ts",
    "options.ts",
  ]);
  for (const path of Object.values(config.exports)) {
    ok(files.includes(path.slice(2)), path);
  }
});

Deno.test("every file that is published is used by a module that can be imported", async () => {
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  const all = Object.values(config.exports).map((path) =>
    `import ${JSON.stringify(new URL(path, ROOT).href)};\n`
  );
  await Deno.writeTextFile(`${directory}/all.ts`, all.join(""));
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      "info",
      "--json",
      "--no-remote",
      "--no-npm",
      "--config=deno.json",
      `${directory}/all.ts`,
    ],
    cwd: ROOT,
  }).output();
  await Deno.remove(directory, { recursive: true });
  const { modules } = JSON.parse(new TextDecoder().decode(stdout));
  const used = new Set(
    modules.map(({ specifier }: { specifier: string }) =>
      specifier.slice(ROOT.href.length)
    ),
  );
  deepStrictEqual(
    (await published()).filter((path) =>
      path.endsWith(".ts") && !used.has(path)
    ),
    [],
  );
});

Deno.test("a script in an empty directory, with an empty cache, imports everything", async () => {
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  try {
    const names = Object.keys(config.exports).map((key) =>
      `jsr:${config.name}${key.slice(1)}`
    );
    const script = names.map((name, i) =>
      `import * as m${i} from ${JSON.stringify(name)};\n`
    ).join("") +
      `console.log([${
        names.map((_, i) => `m${i}`)
      }].length);\n`;
    await Deno.writeTextFile(`${directory}/all.ts`, script);
    const { success, stdout, stderr } = await new Deno.Command(
      Deno.execPath(),
      {
        args: ["run", "--quiet", "all.ts"], // and without any permission
        cwd: directory,
        env: { DENO_DIR: `${directory}/cache`, HOME: directory },
      },
    ).output();
    ok(success, new TextDecoder().decode(stderr));
    strictEqual(
      new TextDecoder().decode(stdout),
      `${names.length}\n`,
    );
    strictEqual(new TextDecoder().decode(stderr), "");
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("the version is a heading of the CHANGELOG", async () => {
  const text = await Deno.readTextFile(new URL("CHANGELOG.md", ROOT));
  match(
    text,
    new RegExp(`^## ${config.version.replaceAll(".", "\\.")}\\b`, "m"),
  );
});
