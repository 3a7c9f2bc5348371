/** The fast gate, `deno task check`: everything that needs no test to run but the one of the structure. */
import { Steps } from "./_steps.ts";
import config from "../deno.json" with { type: "json" };

/** Folders with code beside the modules that are exported. */
const FOLDERS = ["tests", "examples", "bench", "dev"];

export async function gate(steps: Steps): Promise<void> {
  const modules = Object.values(config.exports);
  const library = [...new Set(modules.map((path) => path.split("/")[1]))];
  await steps.run("format", ["deno", "fmt", "--check"]);
  await steps.run("lint", ["deno", "lint"]);
  await steps.run("documentation of every export", [
    "deno",
    "doc",
    "--lint",
    ...modules,
  ]);
  await steps.run("types of the library and of the examples in its docs", [
    "deno",
    "check",
    "--doc",
    ...library,
    "README.md",
  ]);
  await steps.run("types of " + FOLDERS.join(", "), [
    "deno",
    "check",
    ...FOLDERS,
  ]);
  await steps.run("structure", [
    "deno",
    "test",
    "-A",
    "--no-check",
    "tests/structure_test.ts",
  ]);
}

if (import.meta.main) {
  await using steps = await Steps.start();
  await gate(steps);
  Deno.exitCode = steps.summary();
}
