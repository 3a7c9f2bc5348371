/** Cases of aggregators: artifacts that are ingested, and what is made of them. */
import { parseAllDocuments } from "yaml";
import type { Aggregator, IngestInfo } from "../../aggregators/aggregator.ts";
import {
  JUnitAggregator,
  type JUnitAggregatorOptions,
} from "../../aggregators/junit.ts";
import { MultiAggregator } from "../../aggregators/multi.ts";
import { create, kindOf, type Options } from "./_aggregators.ts";
import {
  type Artifacts,
  layOut,
  read,
  readPlain,
  type Tree,
} from "./_artifact_trees.ts";
import { playReportPortal, type ReportPortalCase } from "./_report_portal.ts";
import type { CaseOutcome } from "./case.ts";

interface Step {
  platform: string;
  test: string;
  artifacts: Artifacts;
}

/** JSON lines, compressed or not, and YAML documents. */
interface StoreCase {
  aggregator: string;
  options?: Options;
  preexisting?: "target" | "files";
  steps?: Step[];
  expect: {
    startError?: string;
    errors?: (string | null)[];
    target?: string;
    documents?: unknown[];
    files?: Tree | null;
    artifactsLeft?: string[][];
  };
}

interface MultiCase {
  children: string[];
  steps: Step[];
  expect: {
    errors: (string | null)[];
    targets: string[];
    fileTrees: Tree[];
    artifactsLeft?: string[][];
    temporaryCopiesLeft?: number;
  };
}

interface JUnitCase {
  options?: Partial<JUnitAggregatorOptions>;
  ingests: {
    platform: string;
    test: string;
    results: unknown[];
    files?: Record<string, string>;
    info?:
      & Omit<IngestInfo, "startedAt">
      & { startedAt?: string };
  }[];
  expect: { xml: string };
}

type Case =
  & { id: string }
  & (
    StoreCase | MultiCase | JUnitCase | ReportPortalCase
  );

const COMPARED: ReadonlySet<string> = new Set([
  "startError",
  "errors",
  "target",
  "documents",
  "files",
  "targets",
  "fileTrees",
  "requests",
  "xml",
]);

/** Runs the cases of a file. */
export async function* run(
  cases: Case[],
): AsyncGenerator<CaseOutcome> {
  for (const given of cases) {
    const options = "options" in given ? withoutNulls(given.options) : {};
    const it = { ...given, options } as Case;
    const root = await Deno.makeTempDir({ prefix: "atex-test-" });
    try {
      const wrong = !Object.keys(it.expect).some((key) => COMPARED.has(key))
        ? ["nothing is expected that could be compared"]
        : "children" in it
        ? await playMulti(it, root)
        : "requests" in it.expect
        ? await differOfPlayed(playReportPortal(it as ReportPortalCase, root))
        : "ingests" in it
        ? await playJUnit(it, root)
        : await playStore(it as StoreCase, root);
      yield wrong.length === 0
        ? { name: it.id, outcome: "passed" }
        : { name: it.id, outcome: "failed", why: wrong.join("; ") };
    } finally {
      await Deno.remove(root, { recursive: true });
    }
  }
}

/** Options, of which those that are null are as good as absent. */
function withoutNulls(options: object = {}): object {
  return Object.fromEntries(
    Object.entries(options ?? {}).filter(([, value]) => value !== null),
  );
}

async function differOfPlayed(
  played: ReturnType<typeof playReportPortal>,
): Promise<string[]> {
  const { actual, expected } = await played;
  return [
    ...differ("errors", actual.errors, expected.errors),
    ...differ("requests", actual.requests, expected.requests),
  ];
}

async function playStore(it: StoreCase, root: string): Promise<string[]> {
  const results = `${root}/results`;
  const files = `${root}/files`;
  if (it.preexisting === "target") await Deno.writeTextFile(results, "old\n");
  if (it.preexisting === "files") await Deno.mkdir(files);
  const aggregator = create(it.aggregator, { results, files }, it.options);
  const { startError, ...played } = await play(
    aggregator,
    it.steps ?? [],
    root,
  );
  const { expect } = it;
  const format = it.aggregator.split("-")[1];
  return [
    // of an earlier run, or nothing at all, if it did not start
    ...(format && expect.startError === undefined
      ? differ("format", (await readPlain(results)).compressed, format)
      : []),
    ...differ("startError", startError, expect.startError ?? null),
    ...differOfSteps(played, expect),
    ...(expect.documents
      ? differ(
        "documents",
        await documents(results),
        expect.documents.map((document) => JSON.stringify(document)),
      )
      : []),
    ...(expect.target === undefined
      ? []
      : differ("target", await lines(results), linesOf(expect.target))),
    ...(expect.files === undefined ? [] : differ(
      "files",
      await read(files, expect.files ?? {}).catch(() => null),
      expect.files,
    )),
  ];
}

async function playMulti(it: MultiCase, root: string): Promise<string[]> {
  const places = it.children.map((_, index) => ({
    results: `${root}/results${index}`,
    files: `${root}/files${index}`,
  }));
  const children = it.children.map((kind, index) =>
    create(kind, places[index]!)
  );
  const played = await play(new MultiAggregator(children), it.steps, root);
  const { expect } = it;
  const wrong = differOfSteps(played, expect);
  for (const [index, { results, files }] of places.entries()) {
    const target = await lines(results);
    const tree = await read(files, expect.fileTrees[index]).catch(() => ({}));
    wrong.push(
      ...differ(`target ${index}`, target, linesOf(expect.targets[index]!)),
      ...differ(`files ${index}`, tree, expect.fileTrees[index]),
    );
  }
  const copies = [...Deno.readDirSync(`${root}/artifacts`)]
    .filter(({ name }) => name.startsWith("atex-multi-")).length;
  return [
    ...wrong,
    ...differ("copies left", copies, expect.temporaryCopiesLeft ?? 0),
  ];
}

async function playJUnit(it: JUnitCase, root: string): Promise<string[]> {
  const target = `${root}/junit.xml`;
  await using aggregator = await new JUnitAggregator({
    target,
    ...it.options,
  }).start();
  for (const [index, step] of it.ingests.entries()) {
    const { platform, test, results, files = {}, info = {} } = step;
    const artifacts = await layOut(`${root}/artifacts/${index}`, {
      results: results.map((result) => `${JSON.stringify(result)}\n`)
        .join(""),
      files: Object.fromEntries(
        Object.entries(files).map(([path, text]) => [path, { text }]),
      ),
    });
    const { startedAt, ...rest } = info;
    await aggregator.ingest(platform, test, artifacts, {
      ...rest,
      ...(startedAt !== undefined && { startedAt: Date.parse(startedAt) }),
    });
  }
  await aggregator.stop();
  return differ("xml", await Deno.readTextFile(target), it.expect.xml);
}

/** What came of ingests. */
interface Played {
  startError: string | null;
  errors: (string | null)[];
  artifactsLeft: string[][];
}

/** Ingests everything, one after the other, between start and stop. */
async function play(
  aggregator: Aggregator,
  steps: Step[],
  root: string,
): Promise<Played> {
  const played: Played = { startError: null, errors: [], artifactsLeft: [] };
  const directories: string[] = [];
  try {
    await aggregator.start();
    for (const [index, { platform, test, artifacts }] of steps.entries()) {
      const directory = await layOut(`${root}/artifacts/${index}`, artifacts);
      directories.push(directory);
      played.errors.push(
        await aggregator.ingest(platform, test, directory)
          .then(() => null, kindOf),
      );
    }
  } catch (error) {
    played.startError = kindOf(error);
  } finally {
    await aggregator.stop();
  }
  for (const directory of directories) {
    played.artifactsLeft.push(Object.keys(await read(directory)).sort());
  }
  return played;
}

function differOfSteps(
  played: Pick<Played, "errors" | "artifactsLeft">,
  expected: Partial<Pick<Played, "errors" | "artifactsLeft">>,
): string[] {
  const none = played.errors.map(() => null);
  const { errors = none, artifactsLeft = played.artifactsLeft } = expected;
  return [
    ...differ("errors", played.errors, errors),
    ...differ("artifactsLeft", played.artifactsLeft, artifactsLeft),
  ];
}

/** The lines of a file of results, parsed where they can be; none if it is not there. */
async function lines(path: string): Promise<unknown> {
  return linesOf(await textOf(path));
}

function linesOf(text: string): unknown {
  const lines = text.split("\n").map((line) => {
    try {
      return JSON.parse(line);
    } catch {
      return { text: line };
    }
  });
  // a last line without its end is one, too
  return text === "" || text.endsWith("\n") ? lines.slice(0, -1) : lines;
}

/** The documents of a file of results, as text, since the order of their keys counts. */
async function documents(path: string): Promise<string[]> {
  return parseAllDocuments(await textOf(path))
    .map((document) => JSON.stringify(document.toJS()));
}

/** What is in a file of results; nothing if it is not there. */
async function textOf(path: string): Promise<string> {
  try {
    return new TextDecoder().decode((await readPlain(path)).bytes);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
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
