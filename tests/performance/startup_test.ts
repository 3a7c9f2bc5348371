/** What a script loads before it does anything. */
import { ok, strictEqual } from "node:assert/strict";

interface Module {
  specifier: string;
  dependencies?: {
    isDynamic?: boolean;
    code?: { specifier: string };
  }[];
}

/** The modules that a script of `bench/` loads at once. */
async function modulesOf(script: string): Promise<string[]> {
  const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", import.meta.resolve(`../../bench/${script}`)],
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  ok(success, decoder.decode(stderr));
  const { roots, modules, redirects } = JSON.parse(decoder.decode(stdout));
  const byName = new Map<string, Module>(
    modules.map((module: Module) => [module.specifier, module]),
  );
  const loaded = new Set<string>(roots);
  for (const name of loaded) {
    for (const { isDynamic, code } of byName.get(name)?.dependencies ?? []) {
      if (isDynamic || !code) continue;
      loaded.add(redirects[code.specifier] ?? code.specifier);
    }
  }
  return [...loaded];
}

Deno.test("a script without discovery loads no parser of YAML, no metadata, no zod", async () => {
  const modules = await modulesOf("_startup_once.ts");
  const heavy = modules.filter((module) =>
    /yaml|zod|executors\/fmf|^node:/.test(module)
  );
  strictEqual(heavy.join("\n"), "");
  ok(modules.length <= 110, `${modules.length} modules`);
});

Deno.test("a script with discovery does load the parser, which the test above would see", async () => {
  const modules = await modulesOf("_startup_fmf_once.ts");
  ok(modules.some((module) => module.includes("yaml")));
  ok(modules.length <= 230, `${modules.length} modules`);
});
