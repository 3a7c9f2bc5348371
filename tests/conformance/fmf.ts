/**
 * Runs the cases about metadata and discovery.
 */
import { join } from "@std/path/posix/join";
import { discover } from "../../executors/fmf/discover.ts";
import { parseDuration } from "../../executors/fmf/duration.ts";
import { Context } from "../../executors/fmf/metadata/context.ts";
import { FmfError } from "../../executors/fmf/metadata/errors.ts";
import { matchFilter } from "../../executors/fmf/metadata/filter.ts";
import { openTree } from "../../executors/fmf/metadata/loader.ts";
import type { FmfNode } from "../../executors/fmf/metadata/node.ts";
import { compilePattern } from "../../executors/fmf/metadata/regex.ts";
import type { Tree } from "../../executors/fmf/metadata/tree.ts";
import type { FmfMap } from "../../executors/fmf/metadata/value.ts";
import { parseYaml } from "../../executors/fmf/metadata/yaml.ts";
import { allPackages } from "../../executors/fmf/packages.ts";
import {
  type Files,
  layoutOf,
  makeRepository,
  type RepositoryCase,
  temporaryVariable,
  writeFiles,
} from "../_metadata_files.ts";
import { same, tagged } from "./_values.ts";
import type { CaseOutcome, Runner } from "./case.ts";

// deno-lint-ignore no-explicit-any -- the schema is that of the case files
type Case = any;

/** What a case gave, as the case files write it. */
type Outcome = unknown;

/** Runs the cases of one file. */
export const run: Runner = async function* (cases, { topic }) {
  const perform = TOPICS[topic];
  if (!perform) throw new Error(`unknown topic ${topic}`);
  for (const test of cases) yield await runCase(topic, perform, test);
};

async function runCase(
  topic: string,
  perform: (test: Case, directory: string) => Outcome | Promise<Outcome>,
  test: Case,
): Promise<CaseOutcome> {
  const { name } = test;
  const directory = await Deno.makeTempDir({ prefix: "atex-" });
  try {
    let outcome: Outcome;
    try {
      outcome = await perform(test, directory);
    } catch (error) {
      if (!(error instanceof FmfError)) {
        return { name, outcome: "failed", why: Deno.inspect(error) };
      }
      outcome = error;
    }
    const wanted = [
      test.expect,
      ...("better" in test ? [test.better] : []),
      ...("extended" in test ? [test.extended] : []),
      ...(test.accept ?? []),
    ].map((one) => topic === "discover" ? putPathsIn(one, directory) : one);
    if (wanted.some((one) => fits(topic, outcome, one))) {
      return { name, outcome: "passed" };
    }
    const got = outcome instanceof FmfError
      ? `${outcome.kind} error: ${outcome.message}`
      : JSON.stringify(outcome);
    return {
      name,
      outcome: "failed",
      why: `expected ${
        wanted.map((one) => JSON.stringify(one)).join(" or ")
      }, got ${got}`,
    };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** Whether an outcome is the wanted one. */
function fits(
  topic: string,
  outcome: Outcome,
  wanted: Case,
): boolean {
  const isError = wanted === "error" || wanted?.error === true;
  if (!(outcome instanceof FmfError)) {
    if (isError) return false;
    if (topic !== "discover") return same(outcome, wanted);
    const found = outcome as Record<string, unknown>;
    const entries = Object.entries(wanted);
    return entries.length > 0 &&
      entries.every(([key, value]) => same(found[key], value));
  }
  if (topic === "context" && wanted === "cannot-decide") return false;
  if (!isError) return false;
  if (wanted === "error") return true;
  const kind = wanted.kind === "yaml" ? "file" : wanted.kind;
  return (kind === undefined || outcome.kind === kind) &&
    (wanted.mention ?? []).every((text: string) => mentions(outcome, text));
}

/** Whether an error says something, in its message or, as it is, in one of its fields. */
function mentions({ message, reason, place }: FmfError, text: string): boolean {
  const { file, node, key, text: wrong, sources = [] } = place;
  return [message, reason, file, node, key, wrong, ...sources]
    .some((part) => part?.includes(text));
}

const TOPICS: Record<
  string,
  (test: Case, directory: string) => Outcome | Promise<Outcome>
> = {
  yaml: ({ text }) => ({ value: tagged(parseYaml(text, {})) }),

  regex({ op, pattern, text, replacement }) {
    const compiled = compilePattern(pattern);
    return op === "search"
      ? compiled.found(text)
      : compiled.replaceAll(text, replacement);
  },

  async tree(test, directory) {
    await writeFiles(directory, test.files, test.bare);
    const tree = openTree(join(directory, test.start ?? ""));
    return {
      nodes: nodesOf(tree),
      selected: Array.from(tree.climb(), ({ name }) => name),
      sources: Object.fromEntries(
        Array.from(
          tree.climb({ whole: true }),
          (
            { name, sources },
          ) => [name, sources.map((path) => path.slice(directory.length + 1))],
        ),
      ),
    };
  },

  async merge({ files }, directory) {
    await writeFiles(directory, files);
    return { nodes: nodesOf(openTree(directory)) };
  },

  async adjust({ files, context, options }, directory) {
    await writeFiles(directory, files);
    const {
      undecided,
      case_sensitive: caseSensitive,
      key,
      additional_rules: additionalRules,
      additional_only_with_key: onlyWith,
    } = options ?? {};
    const decisions: [string, string][] = [];
    const tree = openTree(directory).adjust(context ?? {}, {
      ...(undecided !== undefined && { undecided }),
      ...(caseSensitive !== undefined && { caseSensitive }),
      ...(key !== undefined && { key }),
      ...(additionalRules !== undefined && { additionalRules }),
      ...(onlyWith !== undefined &&
        { appliesTo: (node: FmfNode) => node.data.has(onlyWith) }),
      onDecision(node, _rule, applied) {
        const word = applied === undefined
          ? "undecided"
          : applied
          ? "applied"
          : "skipped";
        decisions.push([node.name, word]);
      },
    });
    return { nodes: nodesOf(tree), decisions };
  },

  context({ expression, context, case_sensitive: caseSensitive = true }) {
    const result = new Context(context ?? {}, { caseSensitive })
      .matches(expression);
    return result ?? "cannot-decide";
  },

  filter({ filter, data, sensitive, regexp, node }) {
    return matchFilter(filter ?? "", parseYaml(data, {}) as FmfMap, {
      caseSensitive: sensitive,
      regexp,
      ...(typeof node === "string" && { name: node }),
    });
  },

  async prune({ files, context, args = {} }, directory) {
    await writeFiles(directory, files);
    const tree = openTree(directory);
    if (context) tree.adjust(context);
    if ("find" in args) {
      return { found: tree.find(args.find)?.name ?? null };
    }
    const { sources, ...others } = args;
    const nodes = tree.prune({
      ...others,
      ...(sources &&
        { sources: sources.map((path: string) => join(directory, path)) }),
    });
    return Array.from(nodes, ({ name }) => name);
  },

  duration({ value }) {
    try {
      return parseDuration(value) / 1000;
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      // It does not know of metadata, so its errors are not about that.
      return new FmfError("discover", error.message);
    }
  },

  discover: runDiscover,
};

function nodesOf(tree: Tree): unknown {
  const nodes = Object.create(null);
  for (const { name, data } of tree.climb({ whole: true })) {
    nodes[name] = tagged(data);
  }
  return nodes;
}

async function runDiscover(given: Case, top: string): Promise<Outcome> {
  const test = putPathsIn(given, top) as Case;
  const at = (name: string) => join(top, "named", name);
  const repositories: [string, RepositoryCase][] = Object.entries(
    test.repos ?? {},
  );
  for (const [name, repository] of repositories) {
    await makeRepository(at(name), repository);
  }
  const directories: [string, Files][] = Object.entries(test.dirs ?? {});
  for (const [name, files] of directories) await writeFiles(at(name), files);
  const directory = join(top, "tree");
  if (test.files) await writeFiles(directory, test.files, test.bare);
  const { plan, names, filters, excludes, conditions, context } = test;
  const { libraries = false, expect, better, accept = [] } = test;
  // a plan that cannot install anything may still have tests
  const needsPackages = [expect, better, ...accept]
    .some((wanted) => wanted?.packages || wanted?.error);

  const base = "https://github.com/beakerlib";
  const legacy: Record<string, string> = test.legacy ?? {};
  using _cache = temporaryVariable("FMF_CACHE_DIRECTORY", join(top, "cache"));
  await using found = await discover(
    test.id ?? join(directory, test.path ?? ""),
    {
      ...(typeof plan === "string" && { plan }),
      ...(names && { names }),
      ...(filters && { filters }),
      ...(excludes && { excludes }),
      ...(conditions && { conditions }),
      ...(context && { context }),
      libraries: libraries && {
        base,
        // deno-lint-ignore require-await -- what a request would find out
        async exists(url: string) {
          const [nick, , , ...path] = url.slice(base.length + 1).split("/");
          const branches = test.repos?.[legacy[nick]]?.branches;
          const files = branches && branches[Object.keys(branches)[0]];
          return Object.keys(files ?? {})
            .some((name) => `${name}/`.startsWith(`${path.join("/")}/`));
        },
      },
      fetch: {
        mirror(url) {
          const nick = url.slice(base.length + 1);
          return url.startsWith(`${base}/`) && legacy[nick]
            ? `file://${at(legacy[nick])}`
            : url;
        },
      },
    },
  );
  return {
    names: [...found.data.keys()],
    data: tagged(found.data),
    sources: tagged(found.sources),
    plan: tagged(found.plan),
    layout: await layoutOf(found.root, found.root === directory),
    ...(needsPackages && {
      packages: {
        require: allPackages(found, "require"),
        recommend: allPackages(found, "recommend"),
      },
    }),
  };
}

/** Replaces in all texts, keys included. */
function replaced(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === "string") return change(value);
  if (Array.isArray(value)) return value.map((item) => replaced(item, change));
  if (typeof value !== "object" || value === null) return value;
  const result = Object.create(null);
  for (const [key, item] of Object.entries(value)) {
    result[change(key)] = replaced(item, change);
  }
  return result;
}

/** `@NAME@` stands for the path of a repository or directory. */
function putPathsIn(value: unknown, top: string): unknown {
  return replaced(
    value,
    (text) =>
      text.replaceAll(/@([\w.-]+)@/g, (_, name) => join(top, "named", name)),
  );
}
