/** The reference of all modules that can be imported: what each symbol must tell. */
import { deepStrictEqual, ok } from "node:assert/strict";
import { dirname } from "@std/path/posix/dirname";
import config from "../../deno.json" with { type: "json" };

const ROOT = new URL("../../", import.meta.url);

interface Tag {
  kind: string;
  doc?: string;
  type?: string;
}

interface Documented {
  doc?: string;
  tags?: Tag[];
}

interface Declaration {
  kind: string;
  declarationKind: string;
  jsDoc?: Documented;
  location: { filename: string; line: number };
  def?: {
    extends?: string;
    methods?: { jsDoc?: Documented }[];
    properties?: { name: string; optional?: boolean; tsType?: unknown }[];
  };
}

interface Module {
  module_doc?: Documented;
  symbols: { name: string; declarations: Declaration[] }[];
}

async function readModules(): Promise<Map<string, Module>> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["doc", "--json", ...Object.values(config.exports)],
    cwd: ROOT,
  }).output();
  ok(success, new TextDecoder().decode(stderr));
  const { nodes } = JSON.parse(new TextDecoder().decode(stdout));
  return new Map(
    Object.entries(nodes as Record<string, Module>).map(([url, module]) =>
      [url.slice(ROOT.href.length), module] as const
    ),
  );
}

const modules = await readModules();

const tagsOf = (documented: Documented | undefined, kind: string) =>
  (documented?.tags ?? []).filter((tag) => tag.kind === kind);

/** Exported classes and functions, each with the examples of the modules that have it. */
function* declarations() {
  const seen = new Set<string>();
  for (const { symbols } of modules.values()) {
    for (const { name, declarations } of symbols) {
      for (const declaration of declarations) {
        const { kind, declarationKind, location } = declaration;
        const place = `${location.filename.slice(ROOT.href.length)}: ${name}`;
        if (declarationKind !== "export" || seen.has(place)) continue;
        seen.add(place);
        if (kind !== "class" && kind !== "function") continue;
        const examples = [...modules.values()]
          .filter(({ symbols }) => symbols.some((s) => s.name === name))
          .flatMap(({ module_doc }) => tagsOf(module_doc, "example"));
        yield { name, place, declaration, examples };
      }
    }
  }
}

const isError = (name: string) => name.endsWith("Error");

Deno.test("every module has a description and an example", () => {
  const faults = [...modules].filter(([, { module_doc }]) =>
    !module_doc?.doc || tagsOf(module_doc, "module").length === 0 ||
    tagsOf(module_doc, "example").length === 0
  );
  deepStrictEqual(faults.map(([path]) => path), []);
});

Deno.test("every class and function is in an example, its own or one of its module", () => {
  const faults = [...declarations()].filter(
    ({ name, declaration: { jsDoc }, examples }) =>
      !isError(name) && tagsOf(jsDoc, "example").length === 0 &&
      !examples.some(({ doc }) => new RegExp(`\\b${name}\\b`).test(doc ?? "")),
  );
  deepStrictEqual(faults.map(({ place }) => place), []);
});

Deno.test("every error is named by something that throws it", async () => {
  const { success, stdout } = await new Deno.Command("grep", {
    args: ["-rhoE", "@throws \\{[A-Za-z.]+\\}", "--include=*.ts", "."],
    cwd: ROOT,
  }).output();
  ok(success);
  const thrown = new TextDecoder().decode(stdout);
  /** What gets out in other ways: bases, the reason of a signal, the outcome of a run, values of `lost` and `closed`. */
  const OTHERWISE = [
    "ExecutorError",
    "InterruptedError",
    "ConnectionLostError",
  ];
  const faults = [...declarations()].filter(({ name }) =>
    isError(name) && !OTHERWISE.includes(name) &&
    !thrown.includes(`@throws {${name}}`)
  );
  deepStrictEqual(faults.map(({ name }) => name), []);
});

Deno.test("what an option is by default is shown whole", async () => {
  // `deno doc` ends a value in braces at the first one that closes, and shows nothing behind it
  const cut = /@default \{[^{}\n]*(\{|\} *[^ \n*])/;
  const folders = new Set(Object.values(config.exports).map(dirname));
  const faults: string[] = [];
  for (const folder of folders) {
    for (const { name } of Deno.readDirSync(new URL(folder, ROOT))) {
      const path = `${folder}/${name}`;
      if (!name.endsWith(".ts")) continue;
      const source = await Deno.readTextFile(new URL(path, ROOT));
      if (cut.test(source)) faults.push(path);
    }
  }
  deepStrictEqual(faults, []);
});

Deno.test("what an interface may leave out may be undefined, for those whose optional properties are exact", () => {
  const faults = new Set<string>();
  let optional = 0;
  for (const { symbols } of modules.values()) {
    for (const { name, declarations } of symbols) {
      for (const { kind, def } of declarations) {
        if (kind !== "interface") continue;
        for (const property of def?.properties ?? []) {
          if (!property.optional) continue;
          optional++;
          if (!/"(undefined|unknown)"/.test(JSON.stringify(property.tsType))) {
            faults.add(`${name}.${property.name}`);
          }
        }
      }
    }
  }
  ok(optional > 200, `${optional} optional properties`);
  deepStrictEqual([...faults], []);
});

Deno.test("modules that touch the outside tell which permissions they need", () => {
  /** They need none, or whatever the blocks need that they are given. */
  const NONE =
    /^mod\.ts$|\/(connection|provisioner|executor|aggregator|orchestrator|events|pooled|policies|run_all|compare)\.ts$/;
  const faults = [...modules].filter(([path, module]) => {
    if (NONE.test(path)) return false;
    const docs = [
      module.module_doc,
      ...module.symbols.flatMap(({ declarations }) =>
        declarations.flatMap(({ jsDoc, def }) => [
          jsDoc,
          ...(def?.methods ?? []).map(({ jsDoc }) => jsDoc),
        ])
      ),
    ];
    return !docs.some((documented) =>
      /permission|--allow|deno run -A/.test(documented?.doc ?? "")
    );
  });
  deepStrictEqual(faults.map(([path]) => path), []);
});
