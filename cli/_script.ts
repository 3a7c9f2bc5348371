import { dirname } from "@std/path/posix/dirname";
import { relative } from "@std/path/posix/relative";
import config from "../deno.json" with { type: "json" };
import type { DiscoverOptions } from "../executors/fmf/mod.ts";
import { optionsFor } from "./_system.ts";

/** A script stays, and so should what it imports. */
const PACKAGE = `jsr:${config.name}@^${config.version}`;

/** What the command line asks for. */
export interface Wish {
  readonly directory: string;
  readonly discover: DiscoverOptions;
  readonly on: string;
  /** What results call that. */
  readonly platform: string;
  readonly parallel?: number;
  readonly reruns: number;
  readonly results: string;
  readonly junit?: string;
  readonly html?: string;
  readonly env: Readonly<Record<string, string>>;
}

/** The directory for the files of tests. */
export function filesOf({ results }: Pick<Wish, "results">): string {
  return `${results}.files`;
}

/** The directory as a page that is to link to it sees it. */
export function linkTo(directory: string, page: string): string {
  return relative(dirname(page), directory);
}

/** What is stored of the run of each test: for its time, and for tests that are flaky. */
export const FIELDS = [
  "attempt",
  "earlier",
  "remote",
  "startedAt",
  "durationMs",
];

/** The script that does what `atex run` does with these options. */
export function scriptFor(wish: Wish): string {
  const { directory, discover, on, platform, parallel, reruns, env } = wish;
  const options = {
    ...(parallel !== undefined && { maxRemotes: parallel }),
    ...optionsFor(on),
  };
  const executor = Object.keys(env).length === 0
    ? " new FmfExecutor(remote, { tests })"
    : `
      new FmfExecutor(remote, {
        tests,
        env: ${literal(env, "        ")},
      })`;
  const { imports, page, aggregator } = aggregatorOf(wish);
  return `\
${imports}
import { discover, FmfExecutor } from "${PACKAGE}/executors/fmf";
import { runMain } from "${PACKAGE}/main";
import { AdHocOrchestrator } from "${PACKAGE}/orchestrators/adhoc";
import {
  byPriority,
  destructiveTag,
  longestFirst,
  reruns,
} from "${PACKAGE}/orchestrators/policies";
import { showProgress } from "${PACKAGE}/orchestrators/progress";
import { provisionerFromString } from "${PACKAGE}/provisioners/from-string";

await runMain(async (signal) => {
  await using tests = await discover(${literal(directory)}, {
    ${[...entriesOf({ ...discover }, "    "), "signal"].join(",\n    ")},
  });
  const provisioner = ${callOf("await provisionerFromString", on, options)};
  await using pool = await provisioner.start({ signal });
${
    page && `  const page = ${page};\n`
  }  await using results = await ${aggregator}.start();
  await using run = new AdHocOrchestrator({
    platform: ${literal(platform)},
    tests: tests.data.keys(),
    provisioners: [pool],
    executor: (remote) =>${executor},
    aggregator: results,
    next: [byPriority(tests), longestFirst(tests)],
    destructive: destructiveTag(tests),
    rerun: reruns(${reruns}),
  }).run({ signal });
${page && "  page.follow(run);\n"}  await showProgress(run);
  return (await run.finished).failed === 0 ? 0 : 1;
});`;
}

/** A call with a text and options, which is broken into lines if the first were too long. */
function callOf(name: string, text: string, options: object): string {
  const begin = `${name}(${quoted(text)}`;
  const isPlain = Object.keys(options).length === 0;
  const rest = isPlain ? ");" : ", {";
  if (`  const provisioner = ${begin}${rest}`.length <= 80) {
    return isPlain ? `${begin})` : `${begin}, ${literal(options, "  ")})`;
  }
  const args = isPlain
    ? [quoted(text)]
    : [quoted(text), literal(options, "    ")];
  return `${name}(\n${args.map((arg) => `    ${arg},\n`).join("")}  )`;
}

/** What collects results, the page that is among it, and what both take to import. */
function aggregatorOf(
  wish: Wish,
): { imports: string; page: string; aggregator: string } {
  const { results, junit, html } = wish;
  const files = filesOf(wish);
  const imports = [["JsonLinesAggregator", "jsonl"]];
  const creation = (name: string, options: object, indent: string) =>
    `new ${name}(${literal(options, indent)})`;
  const alone = junit === undefined && html === undefined;
  const indent = alone ? "  " : "    ";
  const lines = { results, files, fields: FIELDS };
  const parts = [creation("JsonLinesAggregator", lines, indent)];
  if (junit !== undefined) {
    imports.push(["JUnitAggregator", "junit"]);
    const options = { target: junit, attachments: files };
    parts.push(creation("JUnitAggregator", options, indent));
  }
  let page = "";
  if (html !== undefined) {
    imports.push(["HtmlReportAggregator", "html"]);
    const options = { report: html, files: linkTo(files, html) };
    page = creation("HtmlReportAggregator", options, "  ");
    parts.push("page");
  }
  if (!alone) imports.push(["MultiAggregator", "multi"]);
  return {
    imports: imports.map(([name, module]) =>
      `import { ${name} } from "${PACKAGE}/aggregators/${module}";`
    ).sort().join("\n"),
    page,
    aggregator: alone
      ? parts[0]!
      : `new MultiAggregator([\n    ${parts.join(",\n    ")},\n  ])`,
  };
}

/** A value as TypeScript, laid out as `deno fmt` does: JSON, with keys bare where they can be. */
function literal(value: unknown, indent = ""): string {
  if (Array.isArray(value)) {
    return `[${value.map((item) => literal(item)).join(", ")}]`;
  }
  if (typeof value === "string") return quoted(value);
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const inner = `${indent}  `;
  const lines = entriesOf(value, inner).map((entry) => `${inner}${entry},\n`);
  return lines.length === 0 ? "{}" : `{\n${lines.join("")}${indent}}`;
}

function entriesOf(value: object, indent: string): string[] {
  return Object.entries(value).map(([key, item]) =>
    `${/^[A-Za-z_]\w*$/.test(key) ? key : quoted(key)}: ${
      literal(item, indent)
    }`
  );
}

/** In the quotes of which there are fewer in the text. */
function quoted(text: string): string {
  const json = JSON.stringify(text);
  const count = (quote: string) => text.split(quote).length;
  if (count('"') <= count("'")) return json;
  const inside = json.slice(1, -1);
  return `'${inside.replaceAll('\\"', '"').replaceAll("'", "\\'")}'`;
}
