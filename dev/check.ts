/** The fast gate, `deno task check`: everything that needs no test to run but those of structure and docs. */
import { walk } from "./_files.ts";
import { Steps } from "./_steps.ts";
import config from "../deno.json" with { type: "json" };

/** Folders with code beside the modules that are exported. */
const FOLDERS = ["tests", "examples", "bench", "dev"];

export async function gate(steps: Steps): Promise<void> {
  const modules = Object.values(config.exports);
  const library = [...new Set(modules.map((path) => path.split("/")[1]))];
  const pages = ["README.md"];
  // By name: `deno check --doc` finds no pages in a folder, and says nothing.
  for await (const path of walk(new URL("../docs/", import.meta.url))) {
    if (path.endsWith(".md")) pages.push(`docs/${path}`);
  }
  await steps.run("format", ["deno", "fmt", "--check"]);
  await steps.run("lint", ["deno", "lint"]);
  await steps.run("documentation of every export", [
    "deno",
    "doc",
    "--lint",
    ...modules,
  ]);
  // Alone: what only another module exports counts as there above, but cannot be imported from this one.
  await steps.run("documentation of the module that has them all", [
    "deno",
    "doc",
    "--lint",
    config.exports["."],
  ]);
  await steps.run("types of the library and of the code in its docs", [
    "deno",
    "check",
    "--doc",
    ...library,
    ...pages,
  ]);
  await steps.run("types of " + FOLDERS.join(", "), [
    "deno",
    "check",
    ...FOLDERS,
  ]);
  await steps.run("structure, and what the docs say", [
    "deno",
    "test",
    "-A",
    "--no-check",
    "tests/structure_test.ts",
    "tests/docs",
    "tests/faults/timeouts_test.ts",
  ]);
}

if (import.meta.main) {
  await using steps = await Steps.start();
  await gate(steps);
  Deno.exitCode = steps.summary();
}
