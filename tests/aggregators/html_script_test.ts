/** The page's script is a string to the compiler; here it is a file to it. */
import { strictEqual } from "node:assert/strict";
import { SCRIPT } from "../../aggregators/_html_script.ts";
import { STYLE } from "../../aggregators/_html_style.ts";

const TYPES = [
  "PageBar",
  "PageData",
  "PageFile",
  "PageRun",
  "PageSubtest",
  "PageSystem",
];

/** Runs a command of Deno on the script, and on its configuration. */
async function onScript(...args: string[]): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  try {
    const data = new URL("../../aggregators/_html_data.ts", import.meta.url);
    const imports = TYPES.map((name) =>
      `/** @import { ${name} } from ${JSON.stringify(data.href)} */\n`
    );
    await Deno.writeTextFile(
      `${directory}/script.js`,
      `// @ts-check\n${imports.join("")}${SCRIPT}`,
    );
    await Deno.writeTextFile(
      `${directory}/deno.json`,
      JSON.stringify({
        compilerOptions: {
          checkJs: true,
          strict: true,
          lib: ["dom", "dom.iterable", "esnext"],
        },
        lint: { rules: { exclude: ["no-control-regex", "no-window"] } },
      }),
    );
    const { success, stdout, stderr } = await new Deno.Command(
      Deno.execPath(),
      {
        args: [...args, "script.js"],
        cwd: directory,
        env: { NO_COLOR: "1" },
        stdin: "null",
      },
    ).output();
    const said = new TextDecoder().decode(stderr) +
      new TextDecoder().decode(stdout);
    strictEqual(success, true, said);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("the script of the page has no type errors", () => onScript("check"));

Deno.test("the script of the page is free of lint", () => onScript("lint"));

Deno.test("nothing in script and style can end the element they are in", () => {
  strictEqual(/<\/|<!--/.test(SCRIPT + STYLE), false);
});

Deno.test("script and style name no other place", () => {
  const places = (SCRIPT + STYLE).match(/\w+:\/\/[\w.]+|url\((?!#)/g) ?? [];
  // the name of a kind of drawing, which nobody fetches
  strictEqual(places.join(), "http://www.w3.org");
});

Deno.test("the script puts no text into the page as markup", () => {
  const ways =
    /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|setTimeout\(\s*["']/;
  strictEqual(ways.exec(SCRIPT)?.[0], undefined);
});
