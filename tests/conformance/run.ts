/**
 * Runs conformance cases: `deno task conformance [PATH…]`.
 *
 * A path is a case file, or a directory that holds some at any depth; without one, `cases` beside this file.
 * Prints a line for each case that failed or was skipped, then `N passed, N failed, N skipped`;
 * the exit status is 1 if any failed.
 */
import { fileURLToPath, pathToFileURL } from "node:url";
import type { CaseOutcome, Runner } from "./case.ts";

const TOPICS = ["fmf", "control", "orchestrator", "aggregator"] as const;
type Topic = typeof TOPICS[number];

const counts = { passed: 0, failed: 0, skipped: 0 };

function report(file: string, { name, outcome, why }: CaseOutcome): void {
  counts[outcome]++;
  if (outcome !== "passed") {
    console.log(`${outcome} ${file}: ${name}${why ? `: ${why}` : ""}`);
  }
}

/** The topic shows in the shape of a file or of its first case, so that a directory may have any name. */
// deno-lint-ignore no-explicit-any -- any JSON
function topicOf(content: any): Topic | undefined {
  const cases = Array.isArray(content) ? content : content.cases;
  const first = Array.isArray(cases) && cases[0] || {};
  if (content.scenarios || first.provisioners) return "orchestrator";
  if (first.stream) return "control";
  if (content.topic) return "fmf";
  if (content.format && cases || first.steps || first.ingests) {
    return "aggregator";
  }
}

/**
 * What is to be run of a file.
 *
 * @throws {Error} if that is nothing
 */
function casesOf(content: Record<string, unknown> | unknown[]): unknown[] {
  const name = "scenarios" in content ? "scenarios" : "cases";
  const cases = Array.isArray(content) ? content : content[name];
  if (!Array.isArray(cases)) throw new Error(`its "${name}" are no list`);
  if (cases.length === 0) throw new Error(`its "${name}" are none`);
  return cases;
}

async function runFile(file: URL): Promise<void> {
  const short = file.pathname.split("/").at(-1)!.replace(/\.json$/, "");
  let topic: Topic | undefined;
  // deno-lint-ignore no-explicit-any -- the runner knows the schema
  let cases: any[];
  // deno-lint-ignore no-explicit-any -- the runner knows the schema
  let content: any;
  let run: Runner;
  try {
    const text = await Deno.readTextFile(file);
    content = JSON.parse(text.replace(/^\ufeff/, ""));
    topic = topicOf(content);
    if (!topic) throw new Error(`it is none of ${TOPICS.join(", ")}`);
    cases = casesOf(content);
    ({ run } = await import(`./${topic}.ts`));
  } catch (error) {
    report(short, {
      name: decodeURI(file.pathname),
      ...failure(error),
    });
    return;
  }
  const label = `${topic}/${short}`;
  for (let seen = 0; seen < cases.length;) {
    try {
      for await (const outcome of run(cases.slice(seen), content)) {
        seen++;
        report(label, outcome);
      }
      if (seen !== cases.length) {
        throw new Error(`the runner reported ${seen} of ${cases.length} cases`);
      }
    } catch (error) {
      // the next one may have nothing to do with it
      const { name, id = `after ${seen} cases` } = cases[seen] ?? {};
      report(label, { name: name ?? id, ...failure(error) });
      seen++;
    }
  }
}

function failure(error: unknown): Omit<CaseOutcome, "name"> {
  console.error(error);
  return { outcome: "failed", why: `${error}`.split("\n")[0]! };
}

/** The case files in `dir` and below it. */
async function caseFiles(dir: URL): Promise<URL[]> {
  const files: URL[] = [];
  for await (const entry of Deno.readDir(dir)) {
    const url = new URL(
      encodeURIComponent(entry.name) + (entry.isDirectory ? "/" : ""),
      dir,
    );
    if (entry.isDirectory) files.push(...await caseFiles(url));
    else if (entry.name.endsWith(".json")) files.push(url);
  }
  return files.sort((a, b) => a.href < b.href ? -1 : 1);
}

const paths = Deno.args.length > 0
  ? Deno.args
  : [fileURLToPath(new URL("./cases", import.meta.url))];
for (const path of paths) {
  const files = Deno.statSync(path).isDirectory
    ? await caseFiles(pathToFileURL(`${Deno.realPathSync(path)}/`))
    : [pathToFileURL(Deno.realPathSync(path))];
  if (files.length === 0) throw new Error(`${path}: holds no case files`);
  for (const file of files) await runFile(file);
}
const { passed, failed, skipped } = counts;
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
Deno.exitCode = failed > 0 ? 1 : 0;
