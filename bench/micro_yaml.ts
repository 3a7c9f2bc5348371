/** Parsing a file of 100 tests: again and again, and once in a fresh process. */
import { parse } from "@std/yaml/parse";
import { parseYaml } from "../executors/fmf/metadata/yaml.ts";
import { runProcess } from "./_once.ts";
import { treeFiles } from "./_trees.ts";

const [, content] = [...treeFiles("wide", 100)][1];

Deno.bench("@std/yaml", { group: "warm", baseline: true }, () => {
  parse(content);
});

Deno.bench("ours, with exact types", { group: "warm" }, () => {
  parseYaml(content);
});

const file = Deno.makeTempFileSync({ prefix: "atex-bench-" });
Deno.writeTextFileSync(file, content);
addEventListener("unload", () => Deno.removeSync(file));
const empty = import.meta.resolve("./_empty_once.ts");
const cold = import.meta.resolve("./_yaml_once.ts");

Deno.bench("nothing", { group: "cold", baseline: true }, async () => {
  await runProcess(empty);
});

for (const parser of ["std", "ours"]) {
  Deno.bench(`parsing with ${parser}`, { group: "cold" }, async () => {
    await runProcess(cold, [parser, file]);
  });
}
