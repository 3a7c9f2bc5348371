/** Cases of aggregators: artifacts that are ingested, and what is made of them. */
import {
  type Aggregator,
  DuplicateResultError,
} from "../../aggregators/aggregator.ts";
import { JsonLinesAggregator } from "../../aggregators/jsonl.ts";
import { BadResultsError } from "../../executors/results.ts";
import type { CaseOutcome } from "./case.ts";

type Entry = { text: string } | { base64: string } | { symlink: string };
type Tree = Record<string, Entry>;

interface Step {
  platform: string;
  test: string;
  artifacts: { results?: string; resultsBase64?: string; files?: Tree };
}

interface Case {
  id: string;
  aggregator: string;
  options?: { allowDuplicate?: boolean };
  preexisting?: "target" | "files";
  steps: Step[];
  expect: {
    startError?: string;
    errors?: (string | null)[];
    target: string;
    files: Tree | null;
    artifactsLeft: string[][];
  };
}

/** Runs the cases of a file. */
export async function* run(
  _file: URL,
  cases: Case[],
): AsyncGenerator<CaseOutcome> {
  for (const it of cases) {
    if (it.aggregator !== "jsonl") {
      throw new Error(`no runner for the aggregator "${it.aggregator}"`);
    }
    const wrong = await play(it);
    yield wrong.length === 0
      ? { name: it.id, outcome: "passed" }
      : { name: it.id, outcome: "failed", why: wrong.join("; ") };
  }
}

/** Ingests the steps of a case; returns what is wrong. */
async function play(it: Case): Promise<string[]> {
  const root = await Deno.makeTempDir({ prefix: "atex-test-" });
  try {
    const results = `${root}/results.jsonl`;
    const files = `${root}/files`;
    if (it.preexisting === "target") await Deno.writeTextFile(results, "old\n");
    if (it.preexisting === "files") await Deno.mkdir(files);

    const errors: (string | null)[] = [];
    const directories: string[] = [];
    let startError: string | null = null;
    const aggregator: Aggregator = new JsonLinesAggregator({
      results,
      files,
      ...it.options,
    });
    try {
      await aggregator.start();
      for (const { platform, test, artifacts } of it.steps) {
        const directory = await layOut(artifacts);
        directories.push(directory);
        errors.push(
          await aggregator.ingest(platform, test, directory)
            .then(() => null, kindOf),
        );
      }
    } catch (error) {
      startError = kindOf(error);
    } finally {
      await aggregator.stop();
    }

    const left = [];
    for (const directory of directories) {
      left.push(Object.keys(await read(directory)).sort());
      await Deno.remove(directory, { recursive: true });
    }
    const lines = (text: string) =>
      text.trim() === "old"
        ? text
        : text.split("\n").slice(0, -1).map((line) => JSON.parse(line));
    const target = await Deno.readTextFile(results).catch(() => "");
    const { expect } = it;
    return [
      ...differ("startError", startError, expect.startError ?? null),
      ...differ("errors", errors, expect.errors ?? []),
      ...differ("target", lines(target), lines(expect.target)),
      ...differ(
        "files",
        await read(files, expect.files ?? {}).catch(() => null),
        expect.files,
      ),
      ...differ("artifactsLeft", left, expect.artifactsLeft),
    ];
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

function kindOf(error: unknown): string {
  if (error instanceof DuplicateResultError) return "DuplicateResult";
  if (error instanceof BadResultsError) return "BadResults";
  if (error instanceof Deno.errors.AlreadyExists) return "AlreadyExists";
  if (error instanceof Deno.errors.NotFound) return "NotFound";
  return String(error);
}

/** Makes a directory of artifacts. */
async function layOut(artifacts: Step["artifacts"]): Promise<string> {
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  const { results, resultsBase64, files } = artifacts;
  if (results !== undefined) {
    await Deno.writeTextFile(`${directory}/results`, results);
  }
  if (resultsBase64 !== undefined) {
    await Deno.writeFile(
      `${directory}/results`,
      Uint8Array.fromBase64(resultsBase64),
    );
  }
  if (files) await Deno.mkdir(`${directory}/files`);
  for (const [path, entry] of Object.entries(files ?? {})) {
    const target = `${directory}/files/${path}`;
    await Deno.mkdir(target.slice(0, target.lastIndexOf("/")), {
      recursive: true,
    });
    if ("symlink" in entry) await Deno.symlink(entry.symlink, target);
    else {
      await Deno.writeFile(
        target,
        "text" in entry
          ? new TextEncoder().encode(entry.text)
          : Uint8Array.fromBase64(entry.base64),
      );
    }
  }
  return directory;
}

/** The files and links below a directory, in the form in which they are expected. */
async function read(
  root: string,
  expected: Tree = {},
  below = "",
): Promise<Tree> {
  const tree: Tree = {};
  for await (const entry of Deno.readDir(`${root}/${below}`)) {
    const path = below + entry.name;
    if (entry.isDirectory) {
      Object.assign(tree, await read(root, expected, `${path}/`));
    } else if (entry.isSymlink) {
      tree[path] = { symlink: await Deno.readLink(`${root}/${path}`) };
    } else {
      const bytes = await Deno.readFile(`${root}/${path}`);
      const form = expected[path] ?? {};
      tree[path] = "base64" in form
        ? { base64: bytes.toBase64() }
        : { text: new TextDecoder().decode(bytes) };
    }
  }
  return tree;
}

/** What is to be said if two JSON values are not the same; the order of keys is free. */
function differ(what: string, actual: unknown, expected: unknown): string[] {
  const [is, should] = [text(actual), text(expected)];
  return is === should ? [] : [`${what} is ${is}, not ${should}`];
}

function text(value: unknown): string {
  return JSON.stringify(
    value,
    (_key, value) =>
      typeof value === "object" && value !== null && !Array.isArray(value)
        ? Object.fromEntries(
          Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1),
        )
        : value,
  );
}
