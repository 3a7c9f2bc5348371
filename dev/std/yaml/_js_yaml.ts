// deno-lint-ignore-file no-explicit-any
// The real package is a port of js-yaml 3, so that line of js-yaml is the layer below. It is CommonJS, for which Deno
// needs a good part of a Node.js: twice as long as Deno itself takes to start. Its bundle is a script that needs none.
import source from "npm:js-yaml@3.14.2/dist/js-yaml.js" with { type: "text" };

const module = { exports: {} as any };
new Function("module", "exports", source)(module, module.exports);

export const jsYaml = module.exports;
