/**
 * The libraries that tests require: finding them, laying them beside the tests,
 * and taking over what they require themselves.
 */
import { within } from "../../connections/time_limit.ts";
import type { CopyOptions } from "./_copy.ts";
import {
  checkHasDirectory,
  checkParts,
  LibraryPlace,
  nickOf,
  targetOf,
} from "./_library_place.ts";
import { listed } from "./_runnable.ts";
import { FmfError, type FmfErrorPlace, quote } from "./metadata/errors.ts";
import { shownText, shownUrl } from "./metadata/address.ts";
import {
  describe,
  type FmfIdentifier,
  type TreeStore,
} from "./metadata/identifier.ts";
import { type FmfNode, placeOf } from "./metadata/node.ts";
import type { Tree } from "./metadata/tree.ts";
import {
  type FmfKey,
  type FmfMap,
  type FmfValue,
  isMap,
  textOf,
  typeName,
} from "./metadata/value.ts";

/** How libraries in the old form, `library(NICK/NAME)`, are found. */
export interface LibraryOptions {
  /**
   * Address below which each nick is a repository.
   *
   * @default {"https://github.com/beakerlib"}
   */
  base?: string | undefined;
  /**
   * Tells whether there is something at an address below `base`. May throw if
   * that cannot be found out.
   *
   * @default a HEAD request, without following redirects: a status below 400 within
   * `existsTimeout`
   */
  exists?: (
    url: string,
    options: { signal?: AbortSignal | undefined },
  ) => Promise<boolean>;
  /**
   * Longest time in which a server answers whether there is something, in milliseconds.
   *
   * @default {30_000}
   */
  existsTimeout?: number | undefined;
}

/** What a test or a library requires in the end. */
export interface Requirements {
  require: FmfValue[];
  recommend: FmfValue[];
}

/** What {@linkcode LibraryResolver} works with. */
export interface LibraryResolverOptions extends LibraryOptions, CopyOptions {
  /** The tree of the tests, adjusted. */
  tree: Tree;
  /** Trees from elsewhere. */
  store: TreeStore;
  /** Adjusts a tree from elsewhere. */
  adjust: (tree: Tree) => void;
  /** A directory that may be written to, with the tree of the tests in it. */
  destination: () => Promise<string>;
}

const BASE = "https://github.com/beakerlib";
const OLD_FORM = /^library\(([^/]+)\/([^)]+)\)$/;
/** Libraries that require each other twice double the list with each step. */
const MAX_REQUIREMENTS = 10_000;

/** A library that was found, and laid beside the tests. */
interface Library {
  /** The same for the same node of the same tree. */
  id: string;
  tree: Tree;
  treeId: string;
  node: FmfNode;
  /** What stands in the list for it. */
  item: FmfValue;
}

/** Where a library is looked for. */
interface Owner {
  tree: Tree;
  /** Empty for the tree of the tests. */
  treeId: string;
}

/** Resolves the libraries of the tests of one section. */
export class LibraryResolver {
  readonly #options: LibraryResolverOptions;
  readonly #trees = new Map<string, Promise<Tree>>();
  readonly #place: LibraryPlace;
  /** Libraries in the old form, each of which is asked for once; nothing for those that do not exist. */
  readonly #old = new Map<string, Promise<Library | undefined>>();

  constructor(options: LibraryResolverOptions) {
    this.#options = options;
    this.#place = new LibraryPlace(options.destination, options);
  }

  /**
   * What a test requires, libraries and what they require included.
   *
   * @throws {FmfError} of kind `discover`, or `fetch`, with the test and the key
   */
  async resolve(test: FmfNode): Promise<Requirements> {
    const result: Requirements = { require: [], recommend: [] };
    const owner = { tree: this.#options.tree, treeId: "" };
    try {
      await this.#expand(test, owner, new Set(), result);
    } catch (error) {
      if (!(error instanceof FmfError)) throw error;
      throw error.at(placeOf(test));
    }
    return result;
  }

  /** Adds what a node requires; `path` are the libraries that are being expanded. */
  async #expand(
    node: FmfNode,
    owner: Owner,
    path: Set<string>,
    result: Requirements,
  ): Promise<void> {
    for (const item of listed(node, "recommend")) {
      if (typeof item !== "string") {
        throw wrong("recommend", `may only hold text, not ${typeName(item)}`);
      }
      result.recommend.push(item);
    }
    for (const item of listed(node, "require")) {
      const library = await this.#find(item, owner);
      result.require.push(library?.item ?? item);
      if (result.require.length + result.recommend.length > MAX_REQUIREMENTS) {
        throw wrong(
          "require",
          `libraries require each other so often that there are more than ${MAX_REQUIREMENTS} requirements`,
        );
      }
      if (!library || path.has(library.id)) continue;
      path.add(library.id);
      try {
        await this.#expand(library.node, library, path, result);
      } catch (error) {
        throw inLibrary(error, library.item);
      }
      path.delete(library.id);
    }
  }

  /** The library that an item stands for, if it stands for one. */
  async #find(item: FmfValue, owner: Owner): Promise<Library | undefined> {
    if (typeof item === "string") {
      const parts = OLD_FORM.exec(item);
      if (!parts) return undefined;
      try {
        let library = this.#old.get(item);
        if (!library) {
          library = this.#findOld(parts[1], parts[2]);
          this.#old.set(item, library);
        }
        return await library;
      } catch (error) {
        throw inLibrary(error, item);
      }
    }
    if (!isMap(item)) {
      throw wrong(
        "require",
        `may only hold text and mappings, not ${typeName(item)}`,
      );
    }
    if (item.has("type") && item.get("type") !== "library") return undefined;
    try {
      const [url, ref, path, nick, name] = [
        "url",
        "ref",
        "path",
        "nick",
        "name",
      ]
        .map((key) => textIn(item, key));
      if (url === undefined && path === undefined) {
        return await this.#findHere(item, nick, name, owner);
      }
      const identifier = {
        ...(url !== undefined && { url }),
        ...(ref !== undefined && { ref }),
        ...(path !== undefined && { path }),
      };
      return await this.#findElsewhere(item, identifier, nick, name ?? "/");
    } catch (error) {
      throw inLibrary(error, item);
    }
  }

  /** A library in the tree of what requires it, or in that of the tests. */
  async #findHere(
    item: FmfMap,
    nick: string | undefined,
    name: string | undefined,
    owner: Owner,
  ): Promise<Library> {
    for (const [key, value] of Object.entries({ nick, name })) {
      if (value) continue;
      throw wrong(
        "require",
        `a library without "url" and "path" needs a "${key}"`,
      );
    }
    const target = targetOf(nick!, "", name!);
    const tests = { tree: this.#options.tree, treeId: "" };
    for (const { tree, treeId } of [owner, tests]) {
      const node = tree.find(name!);
      if (!node) continue;
      checkHasDirectory(tree, node);
      if (treeId === "") await this.#place.link(target, node);
      else await this.#place.copy(target, tree, node, treeId);
      return { id: `${treeId} ${name}`, tree, treeId, node, item };
    }
    throw wrong("require", `there is no node ${quote(name!)} in the tree`);
  }

  async #findElsewhere(
    item: FmfValue,
    identifier: FmfIdentifier,
    nick: string | undefined,
    name: string,
  ): Promise<Library> {
    const { url, path } = identifier;
    const inside = url === undefined ? "" : path ?? "";
    const target = targetOf(nick ?? nickOf(url ?? path!), inside, name);
    const treeId = treeIdOf(identifier);
    const tree = await this.#open(identifier);
    const node = tree.find(name);
    if (!node) {
      throw wrong(
        "require",
        `there is no node ${quote(name)} in ${describe(identifier)}`,
      );
    }
    checkHasDirectory(tree, node);
    await this.#place.copy(target, tree, node, treeId);
    return { id: `${treeId} ${name}`, tree, treeId, node, item };
  }

  #open(identifier: FmfIdentifier): Promise<Tree> {
    const treeId = treeIdOf(identifier);
    let tree = this.#trees.get(treeId);
    if (!tree) {
      tree = this.#options.store.open(identifier).then((read) => {
        for (const { message, file = "" } of read.warnings) {
          this.#options.warn(message, file);
        }
        const adjusted = read.copy();
        this.#options.adjust(adjusted);
        return adjusted;
      });
      this.#trees.set(treeId, tree);
    }
    return tree;
  }

  /** A library in the old form, unless there is none of that name. */
  async #findOld(
    nick: string,
    path: string,
  ): Promise<Library | undefined> {
    const { base = BASE, existsTimeout = 30_000, signal } = this.#options;
    const { exists = reachableWithin(existsTimeout) } = this.#options;
    const url = `${base.replace(/\/+$/, "")}/${nick}`;
    const name = `/${path}`;
    checkParts("nick", nick);
    checkParts("name", name);
    const page = [nick, "tree", "HEAD", ...path.split("/")]
      .map(encodeURIComponent).join("/");
    const address = `${base.replace(/\/+$/, "")}/${page}`;
    let found;
    try {
      found = await exists(address, { signal });
    } catch (error) {
      signal?.throwIfAborted();
      throw new FmfError(
        "fetch",
        `cannot find out whether ${shownUrl(address)} exists: ${
          shownText(
            String(error instanceof Error ? error.message : error),
            address,
          )
        }`,
        { key: "require", cause: error },
      );
    }
    if (found) {
      const replacement: FmfMap = new Map<FmfKey, FmfValue>([
        ["type", "library"],
        ["url", url],
        ["name", name],
      ]);
      const tree = await this.#open({ url }).catch((error) => {
        if (error instanceof FmfError && error.kind === "root") return;
        throw error;
      });
      if (tree?.find(name)) {
        return await this.#findElsewhere(replacement, { url }, nick, name);
      }
    }
  }
}

/** The same for identifiers of the same tree. */
function treeIdOf({ url, ref, path }: FmfIdentifier): string {
  const plain = url?.replace(/\/+$/, "").replace(/\.git$/, "");
  return JSON.stringify([plain, ref, path]);
}

function wrong(key: string, reason: string): FmfError {
  return new FmfError("discover", reason, { key });
}

const inside = new WeakSet<FmfError>();

/** An error that came up with a library: one of the test that requires it. */
function inLibrary(error: unknown, item: FmfValue): unknown {
  if (!(error instanceof FmfError)) return error;
  const plain = error.place.node === undefined &&
    error.place.file === undefined;
  const reason = inside.has(error) || plain ? error.reason : error.message;
  const shown = typeof item === "string" ? item : shownItem(item);
  const place: FmfErrorPlace = { key: error.key ?? "require", cause: error };
  const result = new FmfError(
    error.kind === "fetch" ? "fetch" : "discover",
    `library ${shown}: ${reason}`,
    inside.has(error) || plain ? place : { ...place, key: "require" },
  );
  inside.add(result);
  return result;
}

/** A library in messages: what says which one it is. */
function shownItem(item: FmfValue): string {
  const parts: string[] = [];
  for (const key of ["url", "ref", "path", "nick", "name"]) {
    const value = isMap(item) ? item.get(key) : undefined;
    if (value === undefined) continue;
    parts.push(`${key}: ${shownUrl(textOf(value)).slice(0, 300)}`);
  }
  return `{ ${parts.join(", ")} }`;
}

function textIn(item: FmfMap, key: string): string | undefined {
  const value = item.get(key);
  if (value === undefined || typeof value === "string") return value;
  throw wrong(
    "require",
    `"${key}" must be text, not ${typeName(value)} (${quote(textOf(value))})`,
  );
}

/** Asks a server, which has so many milliseconds to answer. */
function reachableWithin(ms: number): NonNullable<LibraryOptions["exists"]> {
  const late = () => new Error(`there is no answer within ${ms / 1000} s`);
  return (url, { signal }) =>
    within({ ms, late, signal }, async (signal) => {
      const response = await fetch(url, {
        method: "HEAD",
        redirect: "manual",
        signal,
      });
      await response.body?.cancel();
      return response.status < 400;
    });
}
