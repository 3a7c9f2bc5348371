/**
 * Finding trees and nodes elsewhere.
 */
import { FmfError, quote } from "./errors.ts";
import { shownUrl } from "./address.ts";
import type { Checkout, FetchOptions } from "./fetch.ts";
import { openTree } from "./loader.ts";
import type { FmfNode } from "./node.ts";
import { isInside, pathOf } from "./paths.ts";
import { Tree } from "./tree.ts";

/** Says where a tree is, and which node of it is meant. */
export interface FmfIdentifier {
  /**
   * Repository: anything that `git clone` takes.
   *
   * @default none, the tree is a local directory
   */
  url?: string | undefined;
  /**
   * Branch, tag, or full or short commit id.
   *
   * @default the default branch
   */
  ref?: string | undefined;
  /**
   * Directory of the tree: in a repository relative to its top, otherwise an
   * absolute path.
   *
   * @default {"."}
   */
  path?: string | undefined;
  /**
   * Full name of the node.
   *
   * @default {"/"}
   */
  name?: string | undefined;
}

/** What {@linkcode resolveIdentifier} found. Its files last until it is disposed of. */
export interface ResolvedIdentifier extends AsyncDisposable {
  /** The node that is meant and all below it. */
  readonly tree: Tree;
  /** The node that is meant. */
  readonly node: FmfNode;
}

/**
 * Opens the tree that an identifier leads to, if need be from a repository.
 *
 * Needs permission to read the tree; for repositories, to run `git`, to write
 * the directory of clones and temporary files, and to read the environment.
 *
 * @throws {FmfError} of kind `reference`, `fetch`, or what
 * {@linkcode openTree} throws
 *
 * @example
 * ```ts no-run
 * import { resolveIdentifier } from "jsr:@atex/atex/fmf";
 *
 * await using library = await resolveIdentifier({
 *   url: "https://example.com/libraries.git",
 *   ref: "v1",
 *   name: "/network",
 * });
 * console.log(library.node.toObject());
 * ```
 */
export async function resolveIdentifier(
  identifier: FmfIdentifier,
  options: FetchOptions = {},
): Promise<ResolvedIdentifier> {
  await using trees = new TreeStore(options);
  const tree = await trees.find(identifier);
  const kept = trees.move();
  return {
    tree,
    node: tree.top,
    [Symbol.asyncDispose]: () => kept[Symbol.asyncDispose](),
  };
}

/** Trees from elsewhere, each of which is fetched and read once. */
export class TreeStore implements AsyncDisposable {
  readonly #options: FetchOptions;
  readonly #checkouts = new Map<string, Promise<Checkout>>();
  readonly #trees = new Map<string, Promise<Tree>>();
  #resources = new AsyncDisposableStack();

  constructor(options: FetchOptions = {}) {
    this.#options = options;
  }

  /** Takes everything over into a new store; this one is empty then. */
  move(): TreeStore {
    const store = new TreeStore(this.#options);
    store.#resources = this.#resources;
    this.#resources = new AsyncDisposableStack();
    return store;
  }

  /** Opens the tree of an identifier, and in it the part that its name says. */
  async find(identifier: FmfIdentifier): Promise<Tree> {
    const tree = await this.open(identifier);
    const { name = "/" } = identifier;
    const node = tree.find(name);
    if (!node) {
      throw new FmfError(
        "reference",
        `there is no node ${quote(name)} in ${describe(identifier)}`,
        { node: name },
      );
    }
    return node === tree.top ? tree : new Tree(node, tree);
  }

  /** Opens the whole tree of an identifier. */
  async open(identifier: FmfIdentifier): Promise<Tree> {
    checkTexts(identifier);
    const { url, ref, path } = identifier;
    const key = JSON.stringify([url, ref, path]);
    let tree = this.#trees.get(key);
    if (!tree) {
      tree = url === undefined
        ? openLocal(path)
        : this.#openRemote(url, ref, path);
      this.#trees.set(key, tree);
    }
    return await tree;
  }

  async #openRemote(
    url: string,
    ref: string | undefined,
    path = ".",
  ): Promise<Tree> {
    const where = describe({ url, ...(ref !== undefined && { ref }) });
    const inside = path.replace(/^\/+/, "");
    if (inside.split("/").includes("..")) {
      throw new FmfError(
        "reference",
        `the path ${quote(path)} leads out of ${where}`,
        { text: path },
      );
    }
    const { path: top, commit } = await this.#checkOut(url, ref);
    const directory = pathOf(`${top}/${inside}`);
    try {
      if (!isInside(await Deno.realPath(directory), await Deno.realPath(top))) {
        throw new FmfError(
          "reference",
          `the path ${quote(path)} leads out of ${where}`,
          { text: path },
        );
      }
    } catch (error) {
      if (error instanceof FmfError) throw error;
      throw new FmfError(
        "file",
        `there is no directory ${quote(path)} in ${where}`,
        { text: path, cause: error },
      );
    }
    try {
      const { top: node, warnings } = openTree(directory, { within: top });
      return new Tree(node, { warnings, commit });
    } catch (error) {
      if (!(error instanceof FmfError)) throw error;
      // The temporary directory means nothing to anybody.
      const { file, ...place } = error.place;
      const known = file === undefined || isInside(file, top) ? {} : { file };
      throw new FmfError(error.kind, `${error.reason}, in ${where}`, {
        ...place,
        ...known,
      });
    }
  }

  #checkOut(url: string, ref: string | undefined): Promise<Checkout> {
    const key = JSON.stringify([url, ref]);
    let checkout = this.#checkouts.get(key);
    if (!checkout) {
      checkout = this.#fetch(url, ref);
      this.#checkouts.set(key, checkout);
    }
    return checkout;
  }

  async #fetch(url: string, ref: string | undefined): Promise<Checkout> {
    // few scripts need it
    const { checkOut } = await import("./fetch.ts");
    return this.#resources.use(await checkOut(url, ref, this.#options));
  }

  /** Removes the files of all trees. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#checkouts.values());
    await this.#resources.disposeAsync();
  }
}

// deno-lint-ignore require-await -- its errors are those of a promise
async function openLocal(path = "."): Promise<Tree> {
  if (path !== "." && !path.startsWith("/")) {
    throw new FmfError(
      "reference",
      `without a url, the path must be absolute, not ${quote(path)}`,
      { text: path },
    );
  }
  return openTree(path);
}

function checkTexts(identifier: FmfIdentifier): void {
  for (const key of ["url", "ref", "path", "name"] as const) {
    const value: unknown = identifier[key];
    if (value === undefined || typeof value === "string") continue;
    throw new FmfError(
      "reference",
      `"${key}" of an identifier must be text, not ${
        value === null ? "null" : typeof value
      }`,
      { key },
    );
  }
}

/** An identifier in words. */
export function describe({ url, ref, path }: FmfIdentifier): string {
  if (url === undefined) return `the tree at ${path ?? "."}`;
  return [
    shownUrl(url),
    ...(ref === undefined ? [] : [`at ${quote(ref)}`]),
    ...(path === undefined || path === "." ? [] : [`in ${quote(path)}`]),
  ].join(" ");
}
