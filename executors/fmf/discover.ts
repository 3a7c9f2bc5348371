/**
 * Finding the tests of a tree of metadata, as a plan asks for them.
 */
import type { SignalOptions } from "../../connections/connection.ts";
import { temporaryPrefix } from "../../connections/ownership.ts";
import { checkMilliseconds, checkOptions, type Known } from "../../options.ts";
import { type CopyOptions, copyTree } from "./_copy.ts";
import {
  defaultSection,
  findPlan,
  type Section,
  sectionsOf,
} from "./_sections.ts";
import { ignoredSteps } from "./_steps.ts";
import { Workspace } from "./_workspace.ts";
import {
  isElsewhere,
  isTest,
  requiresOnlyPackages,
  sourceOf,
} from "./_runnable.ts";
import type { LibraryOptions, LibraryResolver } from "./libraries.ts";
import { Context, type ContextValues } from "./metadata/context.ts";
import { FmfError, locating } from "./metadata/errors.ts";
import type { FetchOptions } from "./metadata/fetch.ts";
import { type FmfIdentifier, TreeStore } from "./metadata/identifier.ts";
import { openTree } from "./metadata/loader.ts";
import { type FmfNode, placeOf } from "./metadata/node.ts";
import {
  anyName,
  type Condition,
  type ConditionText,
  listOption,
  prune,
  type Test,
} from "./metadata/select.ts";
import { type FmfWarning, Tree } from "./metadata/tree.ts";
import { type FmfValue, toPlain } from "./metadata/value.ts";
import { listOf } from "./packages.ts";

export type { LibraryOptions };

/** Options of {@linkcode discover}. */
export interface DiscoverOptions extends SignalOptions {
  /**
   * Full name of the plan. Without one, every test of the tree is found.
   *
   * @default none
   */
  plan?: string | undefined;
  /**
   * Patterns of which any must be found in the name of a test, in addition to
   * those of the plan.
   *
   * @default {[]}
   */
  names?: readonly string[] | undefined;
  /**
   * Filters that must all hold, besides those of the plan: `tag: fast & tag: -slow`.
   *
   * @default {[]}
   */
  filters?: readonly string[] | undefined;
  /**
   * Patterns of which none may be found in the name of a test, besides those of
   * the plan.
   *
   * @default {[]}
   */
  excludes?: readonly string[] | undefined;
  /**
   * Conditions that must all hold: functions, or text such as
   * `level > 1 and 'net' in tag`.
   *
   * @default {[]}
   */
  conditions?: readonly (Condition | ConditionText)[] | undefined;
  /**
   * What `adjust` rules are decided by: each dimension with its value or values,
   * such as `{ distro: "fedora-42", arch: "x86_64" }`.
   *
   * @default `{}`
   */
  context?: Context | ContextValues | undefined;
  /**
   * Compare the values of the context case-sensitively. Of no effect if
   * `context` is a {@linkcode Context}, which has an option of its own.
   *
   * @default {true}
   */
  caseSensitive?: boolean | undefined;
  /**
   * Resolve the libraries that tests require, or how to do that.
   *
   * @default {true}
   */
  libraries?: boolean | LibraryOptions | undefined;
  /**
   * How repositories are fetched and kept.
   *
   * @default `{}`
   */
  fetch?: Omit<FetchOptions, "signal"> | undefined;
}

const OPTIONS: Known<DiscoverOptions> = {
  plan: "optional",
  names: "optional",
  filters: "optional",
  excludes: "optional",
  conditions: "optional",
  context: "optional",
  caseSensitive: "optional",
  libraries: "optional",
  fetch: "optional",
  signal: "optional",
};

const LIBRARY_OPTIONS: Known<LibraryOptions> = {
  base: "a string, if given",
  exists: "a function, if given",
  existsTimeout: "optional",
};

const FETCH_OPTIONS: Known<Omit<FetchOptions, "signal">> = {
  cache: "a path or a URL, if given",
  maxAge: "optional",
  lockTimeout: "optional",
  commandTimeout: "optional",
  mirror: "a function, if given",
  prefix: "a string, if given",
};

/**
 * What is known of a test: an object without prototype with all of its metadata.
 * Of the types, only those that are named here are certain.
 */
export interface TestData {
  /** Shell script that is the test. */
  test: string;
  /** How long it may take, such as `15m`; a number is in seconds. */
  duration?: string | number | undefined;
  /** Any other metadata. */
  [key: string]: unknown;
}

/** Tests that were found. Change `data` freely: its keys are the list of the tests. */
export interface FmfTests extends AsyncDisposable {
  /** Data of the plan. */
  readonly plan: Record<string, unknown>;
  /** Full name of the plan, if there is one. */
  readonly planName?: string | undefined;
  /** Files that the data of the plan comes from, relative to the tree. */
  readonly planSources?: readonly string[] | undefined;
  /** Data of the tests by name, in the order in which they were found. */
  readonly data: Map<string, TestData>;
  /** The directory in which each test runs, relative to `root`. */
  readonly sources: Map<string, string>;
  /**
   * Directory to upload, except for any directory `.git` in it: the one of the tree itself
   * if nothing has to be added, otherwise a copy that lasts until the tests are
   * disposed of.
   */
  readonly root: string;
  /** What looks wrong: keys of the plan that are not supported, for example. */
  readonly warnings: readonly FmfWarning[];
}

/**
 * Finds tests.
 *
 * Without a plan, or with one that takes its tests from the tree alone, nothing
 * is copied unless a test requires a library: `root` of the result is then the
 * directory of the tree.
 *
 * Needs permission to read the tree; for libraries, other repositories and
 * several sections also to write temporary files, to run `git` and to read the
 * environment; for libraries in the old form, to reach the network.
 *
 * @param tree a directory in the tree, a tree (which is not changed), or an
 * identifier. A `name` in an identifier restricts tests and plans to what is
 * below that node.
 * @throws {FmfError} that says which file, node, key or option is wrong
 * @throws {TypeError} if an option is misspelt or of the wrong kind
 * @throws {RangeError} if a time is out of range
 *
 * @example The tests of a plan
 * ```ts
 * import { discover } from "jsr:@atex/atex/executors/fmf";
 *
 * await using tests = await discover("./suite", {
 *   plan: "/plans/nightly",
 *   context: { distro: "fedora-42", arch: "x86_64" },
 * });
 * for (const { message } of tests.warnings) console.warn(message);
 * for (const [name, { duration = "5m" }] of tests.data) {
 *   console.log(name, duration, tests.sources.get(name));
 * }
 * ```
 *
 * @example Fast tests, chosen by a filter and a function
 * ```ts
 * import { discover } from "jsr:@atex/atex/executors/fmf";
 *
 * await using tests = await discover("./suite", {
 *   filters: ["tag: -slow"],
 *   conditions: [(data) => (data["extra-priority"] ?? 0) > 10],
 * });
 * ```
 */
export async function discover(
  tree: string | URL | Tree | FmfIdentifier,
  options: DiscoverOptions = {},
): Promise<FmfTests> {
  checkOptions("discover()", options, OPTIONS);
  checkDetails(options);
  return await new Discovery(options).run(tree);
}

/** Checks the options of what is used for some trees only. */
function checkDetails({ libraries, fetch = {} }: DiscoverOptions): void {
  if (typeof libraries === "object") {
    checkOptions('"libraries" of discover()', libraries, LIBRARY_OPTIONS);
    const { existsTimeout = Infinity } = libraries;
    checkMilliseconds({ existsTimeout });
  }
  checkOptions('"fetch" of discover()', fetch, FETCH_OPTIONS);
  const { maxAge = 0, lockTimeout = 0, commandTimeout = Infinity } = fetch;
  checkMilliseconds({ maxAge, lockTimeout }, { orZero: true });
  checkMilliseconds({ commandTimeout });
}

/** One call of {@linkcode discover}. */
class Discovery {
  readonly #options: DiscoverOptions;
  readonly #names: readonly string[];
  readonly #filters: readonly string[];
  readonly #excludes: readonly string[];
  readonly #context: Context;
  readonly #warnings: FmfWarning[] = [];
  readonly #data = new Map<string, TestData>();
  readonly #sources = new Map<string, string>();
  /** Tests that tmt would run in another directory. */
  readonly #elsewhere: string[] = [];

  constructor(options: DiscoverOptions) {
    this.#options = options;
    this.#names = listOption("names", options.names);
    this.#filters = listOption("filters", options.filters);
    this.#excludes = listOption("excludes", options.excludes);
    const { context = {}, caseSensitive = true } = options;
    this.#context = context instanceof Context
      ? context
      : new Context(context, { caseSensitive });
  }

  async run(from: string | URL | Tree | FmfIdentifier): Promise<FmfTests> {
    const { plan, signal } = this.#options;
    signal?.throwIfAborted();
    await using store = new TreeStore({
      prefix: temporaryPrefix(),
      ...this.#options.fetch,
      signal,
    });
    const tree = await this.#open(from, store);
    if (tree.root === undefined) {
      throw new FmfError(
        "usage",
        "cannot discover tests in a tree without files",
      );
    }
    const node = plan === undefined ? undefined : findPlan(tree, plan);
    const sections = node
      ? sectionsOf(node, this.#warnings)
      : [defaultSection()];
    const planData = node
      ? node.toObject()
      : toPlain(DUMMY_PLAN) as FmfTests["plan"];
    for (const message of ignoredSteps(planData)) {
      this.#warnings.push({
        message,
        ...(plan !== undefined && { node: plan }),
      });
    }
    await using resources = new AsyncDisposableStack();
    const root = await this.#find(tree, sections, store, resources);
    this.#warnings.unshift(...tree.warnings);
    this.#warnAboutPaths();
    // What is uploaded may be what was fetched; otherwise it was copied.
    if (root === tree.root) resources.use(store.move());
    const kept = resources.move();
    return {
      plan: planData,
      ...(node && {
        planName: node.name,
        planSources: placeOf(node).sources ?? [],
      }),
      data: this.#data,
      sources: this.#sources,
      root,
      warnings: this.#warnings,
      [Symbol.asyncDispose]: () => kept.disposeAsync(),
    };
  }

  /** A tree of our own, adjusted. */
  async #open(
    from: string | URL | Tree | FmfIdentifier,
    store: TreeStore,
  ): Promise<Tree> {
    if (from instanceof Tree) return this.#adjusted(from.copy());
    if (typeof from === "string" || from instanceof URL) {
      return this.#adjusted(openTree(from));
    }
    if (typeof from !== "object" || from === null) {
      throw new FmfError(
        "usage",
        "a tree must be a path, a tree or an identifier",
      );
    }
    const tree = (await store.open(from)).copy();
    this.#adjusted(tree);
    const node = (await store.find(from)).top;
    return node.name === tree.top.name
      ? tree
      : new Tree(tree.find(node.name)!, tree);
  }

  #adjusted(tree: Tree): Tree {
    return tree.adjust(this.#context);
  }

  /** Finds the tests of all sections; returns the directory to upload. */
  async #find(
    tree: Tree,
    sections: readonly Section[],
    store: TreeStore,
    resources: AsyncDisposableStack,
  ): Promise<string> {
    const copying: CopyOptions = {
      signal: this.#options.signal,
      warn: (message, file) => this.#warnings.push({ message, file }),
    };
    const workspace = new Workspace(tree.root!, resources, copying);
    const [{ name, url, path }] = sections;
    if (name === undefined && url === undefined && path === undefined) {
      await this.#section(
        tree,
        sections[0],
        store,
        copying,
        () => workspace.writable(),
      );
      return workspace.path;
    }
    const root = await workspace.empty();
    for (const section of sections) {
      const source = await this.#treeOf(section, tree, store);
      const directory = section.name === undefined
        ? root
        : `${root}/${section.name}`;
      await copyTree(source.root!, directory, copying);
      await this.#section(
        source,
        section,
        store,
        copying,
        () => Promise.resolve(directory),
      );
    }
    return root;
  }

  /** The tree that a section takes its tests from, adjusted. */
  async #treeOf(
    { url, ref, path, place }: Section,
    tree: Tree,
    store: TreeStore,
  ): Promise<Tree> {
    if (url === undefined && path === undefined) return tree;
    try {
      const found = await store.open({
        ...(url !== undefined && { url }),
        ...(ref !== undefined && { ref }),
        ...(path !== undefined && { path }),
      });
      this.#warnings.push(...found.warnings);
      return this.#adjusted(found.copy());
    } catch (error) {
      if (!(error instanceof FmfError)) throw error;
      if (url === undefined && ["file", "root"].includes(error.kind)) {
        throw new FmfError(
          "discover",
          `without "url", the path must be a directory in a tree: ${error.message}`,
          { ...place("path"), cause: error },
        );
      }
      // It is about a file there, or about this key here.
      throw error.file === undefined && error.node === undefined
        ? error.at(place(url === undefined ? "path" : "url"))
        : error;
    }
  }

  /** Finds the tests of one section. */
  async #section(
    tree: Tree,
    section: Section,
    store: TreeStore,
    copying: CopyOptions,
    destination: () => Promise<string>,
  ): Promise<void> {
    const { libraries = true, signal } = this.#options;
    let resolver: LibraryResolver | undefined;
    const resolverOf = async (libraries: LibraryOptions) => {
      // many suites have no libraries
      const { LibraryResolver } = await import("./libraries.ts");
      return new LibraryResolver({
        ...libraries,
        ...copying,
        tree,
        store,
        adjust: (other) => this.#adjusted(other),
        destination: async () => {
          signal?.throwIfAborted();
          return await destination();
        },
      });
    };
    for (const node of this.#selected(tree, section)) {
      if (!isTest(node)) continue;
      const data = node.toObject() as TestData;
      if (libraries !== false) {
        if (!requiresOnlyPackages(node)) {
          resolver ??= await resolverOf(libraries === true ? {} : libraries);
          Object.assign(data, plainLists(await resolver.resolve(node)));
        }
        const { require, recommend } = data;
        data.require = listOf(require);
        data.recommend = listOf(recommend);
      }
      this.#add(node, data, section.name);
    }
  }

  #add(node: FmfNode, data: TestData, section: string | undefined): void {
    const source = sourceOf(node);
    if (isElsewhere(data.path, source)) this.#elsewhere.push(node.name);
    if (section === undefined) {
      this.#data.set(node.name, data);
      this.#sources.set(node.name, source);
      return;
    }
    const name = `/${section}${node.name}`;
    this.#data.set(name, data);
    this.#sources.set(name, source === "." ? section : `${section}/${source}`);
  }

  #warnAboutPaths(): void {
    const [first, ...more] = this.#elsewhere;
    if (first === undefined) return;
    const others = more.length > 0 ? ` and ${more.length} more` : "";
    this.#warnings.push({
      message:
        `ignored the key "path" of ${first}${others}: a test runs in the directory of its file`,
      node: first,
      key: "path",
    });
  }

  /** The nodes that meet the criteria of the section and of the call. */
  *#selected(tree: Tree, section: Section): Generator<FmfNode> {
    const { place } = section;
    const here = {
      names: patterns(section.names, () => place("test")),
      excludes: patterns(section.excludes, () => place("exclude"), "discover"),
    };
    for (const filter of section.filters) {
      locating(place("filter"), () => prune(tree.top, { filters: [filter] }));
    }
    const excluded = [
      ...patterns(this.#excludes, () => ({}), "discover"),
      ...here.excludes,
    ];
    const nodes = prune(tree.top, {
      names: [...section.names, ...this.#names],
      filters: [...section.filters, ...this.#filters],
      ...(this.#options.conditions && { conditions: this.#options.conditions }),
    });
    for (const node of nodes) {
      if (!excluded.some((matches) => matches(node))) yield node;
    }
  }
}

const DUMMY_PLAN: FmfValue = new Map<string, FmfValue>([
  ["discover", new Map([["how", "fmf"]])],
  ["execute", new Map([["how", "tmt"]])],
]);

/** One test per pattern, so that an error says where the pattern stands. */
function patterns(
  texts: readonly string[],
  place: () => ReturnType<Section["place"]>,
  kind?: "discover",
): Test[] {
  return texts.map((text) => locating(place(), () => anyName([text]), kind));
}

function plainLists(
  { require, recommend }: { require: FmfValue[]; recommend: FmfValue[] },
): { require: unknown; recommend: unknown } {
  return { require: toPlain(require), recommend: toPlain(recommend) };
}
