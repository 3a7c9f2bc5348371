import { dirname } from "@std/path/dirname";
import { relative } from "@std/path/relative";
import type { DiscoverOptions } from "../executors/fmf/mod.ts";

/** What the command line asks for. */
export interface Wish {
  readonly directory: string;
  readonly discover: DiscoverOptions;
  readonly on: string;
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

/** The script that does what `atex run` does with these options. */
export function scriptFor(wish: Wish): string {
  const { directory, discover, on, parallel, reruns, env } = wish;
  const pool = parallel === undefined
    ? ""
    : `, ${literal({ maxRemotes: parallel })}`;
  const executor = Object.keys(env).length === 0
    ? "{ tests }"
    : `{ tests, env: ${literal(env)} }`;
  const { imports, page, aggregator } = aggregatorOf(wish);
  return `\
${imports}
import { discover, FmfExecutor } from "jsr:@atex/atex/executors/fmf";
import { runMain } from "jsr:@atex/atex/main";
import { AdHocOrchestrator } from "jsr:@atex/atex/orchestrators/adhoc";
import {
  byPriority,
  destructiveTag,
  longestFirst,
  reruns,
} from "jsr:@atex/atex/orchestrators/policies";
import { showProgress } from "jsr:@atex/atex/orchestrators/progress";
import { provisionerFromString } from "jsr:@atex/atex/provisioners/from-string";

await runMain(async (signal) => {
  await using tests = await discover(${literal(directory)}, {
    ${[...entriesOf({ ...discover }), "signal"].join(",\n    ")},
  });
  const provisioner = await provisionerFromString(${literal(on)}${pool});
  await using pool = await provisioner.start({ signal });
${
    page && `  const page = ${page};\n`
  }  await using results = await ${aggregator}.start();
  await using run = new AdHocOrchestrator({
    platform: ${literal(on)},
    tests: tests.data.keys(),
    provisioners: [pool],
    executor: (remote) => new FmfExecutor(remote, ${executor}),
    aggregator: results,
    next: [byPriority(tests), longestFirst(tests)],
    destructive: destructiveTag(tests),
    rerun: reruns(${reruns}),
  }).run({ signal });
${page && "  page.follow(run);\n"}  await showProgress(run);
  return (await run.finished).failed === 0 ? 0 : 1;
});`;
}

/** What collects results, the page that is among it, and what both take to import. */
function aggregatorOf(
  wish: Wish,
): { imports: string; page: string; aggregator: string } {
  const { results, junit, html } = wish;
  const files = filesOf(wish);
  const imports = [["JsonLinesAggregator", "jsonl"]];
  const parts = [`new JsonLinesAggregator(${literal({ results, files })})`];
  if (junit !== undefined) {
    imports.push(["JUnitAggregator", "junit"]);
    const options = { target: junit, attachments: files };
    parts.push(`new JUnitAggregator(${literal(options)})`);
  }
  let page = "";
  if (html !== undefined) {
    imports.push(["HtmlReportAggregator", "html"]);
    const options = { report: html, files: linkTo(files, html) };
    page = `new HtmlReportAggregator(${literal(options)})`;
    parts.push("page");
  }
  if (parts.length > 1) imports.push(["MultiAggregator", "multi"]);
  return {
    imports: imports.map(([name, module]) =>
      `import { ${name} } from "jsr:@atex/atex/aggregators/${module}";`
    ).sort().join("\n"),
    page,
    aggregator: parts.length === 1
      ? parts[0]!
      : `new MultiAggregator([\n    ${parts.join(",\n    ")},\n  ])`,
  };
}

/** A value as TypeScript: JSON, with keys bare where they can be. */
function literal(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const entries = entriesOf(value);
  return entries.length === 0 ? "{}" : `{ ${entries.join(", ")} }`;
}

function entriesOf(value: object): string[] {
  return Object.entries(value).map(([key, item]) =>
    `${/^[A-Za-z_]\w*$/.test(key) ? key : JSON.stringify(key)}: ${
      literal(item)
    }`
  );
}
