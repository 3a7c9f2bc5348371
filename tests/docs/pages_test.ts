/** README and `docs/` agree with the code: links, messages, events. */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { parse } from "jsr:@std/yaml@^1/parse";
import { walk } from "../../dev/_files.ts";
import { codeBlocks } from "../_code_blocks.ts";

const ROOT = new URL("../../", import.meta.url);
const LIBRARY = [
  "connections",
  "provisioners",
  "executors",
  "aggregators",
  "orchestrators",
  "cli",
];

const read = (path: string) => Deno.readTextFile(new URL(path, ROOT));

async function pages(): Promise<string[]> {
  const docs = await Array.fromAsync(walk(new URL("docs/", ROOT)));
  return [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    ...docs.map((path) => `docs/${path}`),
  ].filter((path) => path.endsWith(".md"));
}

/** How a heading is linked to. */
const anchorOf = (heading: string) =>
  heading.toLowerCase().replaceAll(/[^\p{L}\p{N} _-]/gu, "")
    .replaceAll(" ", "-");

/** The text of a page without its code. */
const prose = (text: string) => text.replaceAll(/^```[^]*?^```$/gm, "");

Deno.test("every link of a page leads to something that is there", async () => {
  const faults: string[] = [];
  for (const page of await pages()) {
    const text = prose(await read(page));
    const targets = [
      ...text.matchAll(/\]\(([^)\s]+)\)/g),
      ...text.matchAll(/(?:src|srcset)="([^"]+)"/g),
    ].map(([, target]) => target);
    for (const target of targets) {
      if (/^https:/.test(target)) continue;
      const [path, anchor] = target.split("#");
      const url = path === ""
        ? new URL(page, ROOT)
        : new URL(path, new URL(page, ROOT));
      const found = await Deno.stat(url).catch(() => undefined);
      if (!found) faults.push(`${page}: ${target}`);
      if (!anchor) continue;
      const headings = prose(await Deno.readTextFile(url))
        .matchAll(/^#+ (.*)$/gm);
      const anchors = Array.from(headings, ([, heading]) => anchorOf(heading));
      if (!anchors.includes(anchor)) faults.push(`${page}: ${target}`);
    }
  }
  deepStrictEqual(faults, []);
});

Deno.test("every page of docs is in its index", async () => {
  const index = await read("docs/README.md");
  const missing = (await pages()).filter((page) =>
    page.startsWith("docs/") && page !== "docs/README.md" &&
    !index.includes(page.slice("docs/".length))
  );
  deepStrictEqual(missing, []);
});

Deno.test("every block of the README's table is exported, and every export but contracts is in it", async () => {
  const { exports } = JSON.parse(await read("deno.json"));
  const text = await read("README.md");
  const table = text.slice(text.indexOf("## The blocks"));
  const named = Array.from(
    table.matchAll(/`((?:\w+\/)[\w-]+|main)`/g),
    ([, name]) => name,
  ).filter((name) => LIBRARY.includes(name.split("/")[0]) || name === "main");
  const exported = Object.keys(exports).map((key) => key.replace(/^\.\/?/, ""));
  deepStrictEqual(named.filter((name) => !exported.includes(name)), []);
  const contracts =
    /^$|^cli$|^fmf$|^connections\/(connection|process|owner)$|\/(provisioner|events|pooled|reap|executor|results|aggregator|orchestrator)$/;
  deepStrictEqual(
    exported.filter((name) => !contracts.test(name) && !named.includes(name)),
    [],
  );
});

/** All that is in the code, with its lines joined as far as texts go over several. */
async function sources(): Promise<string[]> {
  const texts = [await read("options.ts")];
  for (const folder of LIBRARY) {
    for await (const path of walk(new URL(`${folder}/`, ROOT))) {
      texts.push(await read(`${folder}/${path}`));
    }
  }
  return texts;
}

Deno.test("every message in docs/troubleshooting.md is in the code", async () => {
  const page = await read("docs/troubleshooting.md");
  const messages = Array.from(
    page.matchAll(/^\| ((?:`[^`]+`[^|`]*)+) *\|/gm),
    ([, cell]) => cell,
  ).filter((cell) => !/\(by (ssh|Deno)\)/.test(cell))
    .flatMap((cell) => Array.from(cell.matchAll(/`([^`]+)`/g), ([, m]) => m));
  ok(messages.length > 30, `${messages.length} messages`);
  const all = await sources();
  const unknown = messages.filter((message) => {
    const parts = message.split("…").filter((part) => part.trim().length > 3);
    ok(parts.length > 0, message);
    return !all.some((text) =>
      parts.every((part) =>
        text.includes(part) || text.includes(part.replaceAll('"', '\\"'))
      )
    );
  });
  deepStrictEqual(unknown, []);
});

/** The values of `type` in a union of the code, of interfaces or not, in its order. */
function typesIn(text: string, union: string): string[] {
  const start = text.indexOf(`export type ${union} =`);
  ok(start >= 0, union);
  const end = text.indexOf(";\n\n", start);
  const body = text.slice(start, end < 0 ? undefined : end);
  const named = body.matchAll(/^ {2}\| (\w+)$/gm).map(([, name]) => {
    const at = text.indexOf(`export interface ${name} `);
    ok(at >= 0, name);
    return text.slice(at, text.indexOf("\n}\n", at));
  });
  return [body, ...named].flatMap((part) =>
    Array.from(part.matchAll(/readonly type: "([\w-]+)"/g), ([, t]) => t)
  );
}

/** The first cells of the table that follows a heading or sentence. */
function firstCells(page: string, after: string): string[] {
  const start = page.indexOf(after);
  ok(start >= 0, after);
  const table = /(?:^\|.*\n)+/m.exec(page.slice(start))![0];
  return Array.from(table.matchAll(/^\| `([\w-]+)`/gm), ([, name]) => name);
}

Deno.test("docs/architecture.md lists all events", async () => {
  const page = await read("docs/architecture.md");
  deepStrictEqual(
    firstCells(page, "Events of a run"),
    typesIn(await read("orchestrators/orchestrator.ts"), "RunEvent"),
  );
  deepStrictEqual(
    firstCells(page, "Events of a provisioner"),
    typesIn(await read("provisioners/events.ts"), "ProvisionerEvent"),
  );
});

Deno.test("docs/architecture.md names the modes and phases of the schedule", async () => {
  const page = await read("docs/architecture.md");
  const state = await read("orchestrators/_state.ts");
  const [, modes] = /mode: ((?:"\w+"(?: \| )?)+);/.exec(state)!;
  const [, phases] = /phase: ((?:"[\w-]+"(?: \| )?)+);/.exec(state)!;
  for (const name of (modes + phases).matchAll(/"([\w-]+)"/g)) {
    const drawn = name[1].replace("set-up", "setup");
    ok(new RegExp(`(-->|^ *) ?${drawn}\\b`, "m").test(page), name[1]);
  }
});

Deno.test("YAML in docs can be parsed", async () => {
  let count = 0;
  for (const page of await pages()) {
    for (
      const { language, place, text } of codeBlocks(page, await read(page))
    ) {
      if (language !== "yaml") continue;
      ok(typeof parse(text) === "object", place);
      count++;
    }
  }
  ok(count >= 3);
});

Deno.test("workflows can be parsed and use the Deno of .ci/run", async () => {
  const version = /deno@([\d.]+)/.exec(await read(".ci/run"))![1];
  for (const name of ["test", "publish"]) {
    const text = await read(`.github/workflows/${name}.yml`);
    ok(typeof parse(text) === "object");
    const versions = text.matchAll(/deno-version: (\S+)/g);
    for (const [, used] of versions) strictEqual(used, version);
  }
});
