/** Parses one file, in a process of its own, for `micro_yaml.ts`: `_yaml_once.ts std|ours FILE`. */
const [parser, file] = Deno.args;
const text = Deno.readTextFileSync(file);
if (parser === "std") {
  const { parse } = await import("@std/yaml/parse");
  parse(text);
} else {
  const { parseYaml } = await import("../executors/fmf/metadata/yaml.ts");
  parseYaml(text);
}
