/**
 * A tree while its files are read, before inheritance.
 */
import { FmfError, type FmfErrorPlace, quote } from "./errors.ts";
import { merge } from "./merge.ts";
import { FmfNode } from "./node.ts";
import { relativeTo } from "./paths.ts";
import {
  type FmfMap,
  type FmfValue,
  isMap,
  shallowCopy,
  textOf,
  typeName,
} from "./value.ts";

/** How deep nodes may be nested. No path of a file system reaches that. */
const MAX_DEPTH = 1_000;
const SLASH = 47;

/** A node while the files that define it are read. */
export class DraftNode {
  readonly name: string;
  readonly #depth: number;
  /** Its own data as read, with suffixes. */
  #own: FmfMap | undefined;
  /** Whether `#own` is a mapping of the parser's and must be copied before a change. */
  #borrowed = false;
  /** Whether any file said something about it, be it nothing but its name. */
  #defined = false;
  #children: Map<string, DraftNode> | undefined;
  #inherit: boolean | undefined;
  #select: boolean | undefined;
  /** Files of its own. */
  readonly #sources: string[] = [];
  /** The file in which it was first mentioned. */
  readonly #definedIn: string | undefined;
  readonly #parent: DraftNode | undefined;
  /** What it has become. */
  #node: FmfNode | undefined;

  constructor(name = "/", depth = 0, definedIn?: string, parent?: DraftNode) {
    this.name = name;
    this.#depth = depth;
    this.#definedIn = definedIn;
    this.#parent = parent;
  }

  /** The child of this name, made if there is none. */
  child(key: string, place: FmfErrorPlace, definedIn?: string): DraftNode {
    let child = this.#children?.get(key);
    if (child) return child;
    const name = this.#childName(key);
    if (key === "." || key === "..") {
      throw new FmfError("format", `a node must not be called ${quote(key)}`, {
        ...place,
        node: name,
      });
    }
    if (this.#depth >= MAX_DEPTH) {
      throw new FmfError(
        "format",
        `nodes are nested more than ${MAX_DEPTH} levels deep`,
        { ...place, node: this.name },
      );
    }
    child = new DraftNode(name, this.#depth + 1, definedIn, this);
    (this.#children ??= new Map()).set(key, child);
    return child;
  }

  #childName(key: string): string {
    return this.name === "/" ? `/${key}` : `${this.name}/${key}`;
  }

  /** Notes that `file` is one of this node's own. */
  addSource(file: string): void {
    this.#sources.push(file);
  }

  /**
   * Adds what a file, or a key in it, says about this node.
   *
   * @param data a mapping, or null for an empty one
   * @param file the file as sources name it
   * @param place what messages say about the file
   */
  update(
    data: FmfMap | null,
    file: string | undefined,
    place: FmfErrorPlace,
  ): void {
    this.#defined = true;
    if (!data) return;
    if (data.has("/")) this.#direct(data.get("/")!, place);
    let plain = true;
    data.forEach((_, key) => {
      if (typeof key !== "string") {
        throw new FmfError(
          "format",
          `keys of a node must be text, ${quote(textOf(key))} is ${
            typeName(key)
          }`,
          { ...place, node: this.name, key: textOf(key) },
        );
      }
      if (key.charCodeAt(0) === SLASH) plain = false;
    });
    if (plain && !this.#own) {
      this.#own = data;
      this.#borrowed = true;
      return;
    }
    if (!this.#own || this.#borrowed) {
      this.#own = this.#own ? shallowCopy(this.#own) : new Map();
      this.#borrowed = false;
    }
    const own = this.#own;
    (data as Map<string, FmfValue>).forEach((item, key) => {
      if (key.charCodeAt(0) !== SLASH) own.set(key, item);
      else if (key !== "/") this.#updateBelow(key, item, file, place);
    });
  }

  /** Carries out a key such as `/one/two`. */
  #updateBelow(
    key: string,
    value: FmfValue,
    file: string | undefined,
    place: FmfErrorPlace,
  ): void {
    if (key.endsWith("/")) {
      throw new FmfError(
        "format",
        "malformed child key: it must not end with a slash",
        { ...place, node: this.name, key },
      );
    }
    // deno-lint-ignore no-this-alias -- walks down from here
    let node: DraftNode = this;
    for (const part of key.split("/")) {
      if (part === "") continue;
      node = node.child(part, { ...place, key }, file);
      node.#defined = true;
    }
    if (value !== null && !isMap(value)) {
      throw new FmfError(
        "format",
        `a child node must be a mapping or empty, not ${typeName(value)}`,
        { ...place, node: node.name, key },
      );
    }
    node.update(value, file, place);
  }

  /** Takes over a block of directives. */
  #direct(block: FmfValue, place: FmfErrorPlace): void {
    const where = { ...place, node: this.name, key: "/" };
    if (!isMap(block)) {
      throw new FmfError(
        "format",
        `directives must be a mapping, not ${typeName(block)}`,
        where,
      );
    }
    for (const [key, value] of block) {
      if (key !== "inherit" && key !== "select") {
        throw new FmfError(
          "format",
          `unknown directive ${
            quote(textOf(key))
          }: there are only "inherit" and "select"`,
          where,
        );
      }
      if (typeof value !== "boolean") {
        const found = typeof value === "string"
          ? `the text ${quote(value)}`
          : typeName(value);
        throw new FmfError(
          "format",
          `the directive "${key}" must be true or false, not ${found}`,
          where,
        );
      }
      if (key === "inherit") this.#inherit = value;
      else this.#select = value;
    }
  }

  /** Whether nothing was ever said about this node or anything below it. */
  get isEmpty(): boolean {
    return !this.#defined && !this.#node && this.#children === undefined;
  }

  /** Forgets the children that are empty. */
  dropEmptyChildren(): void {
    if (!this.#children) return;
    for (const [key, child] of this.#children) {
      if (child.isEmpty) this.#children.delete(key);
    }
    if (this.#children.size === 0) this.#children = undefined;
  }

  /**
   * Makes the final nodes of this one and of those below that nothing more will
   * be said about: what was read about them is not needed any more.
   *
   * @param open names of children that more can be said about
   */
  settle(root: string | undefined, open: ReadonlySet<string>): void {
    if (this.#defined) this.#settled(root);
    this.#children?.forEach((child, key) => {
      if (!open.has(key)) child.build(root);
    });
  }

  /** The final node without what is below, which inherits the data and sources of its parent. */
  #settled(root: string | undefined): FmfNode {
    if (this.#node) return this.#node;
    const parent = this.#parent ? this.#parent.#settled(root) : undefined;
    const inherits = parent !== undefined && this.#inherit !== false;
    const sources = inherits
      ? this.#sources.length === 0
        ? parent.sources
        : [...parent.sources, ...this.#sources]
      : this.#sources.length === 0 && this.#definedIn !== undefined
      ? [this.#definedIn]
      : this.#sources;
    const data: FmfMap = inherits ? shallowCopy(parent.data) : new Map();
    if (this.#own) {
      try {
        merge(data, this.#own);
      } catch (error) {
        if (!(error instanceof FmfError)) throw error;
        throw error.at({
          node: this.name,
          sources: sources.map((file) => relativeTo(root ?? "", file)),
        });
      }
    }
    this.#own = undefined;
    return this.#node = new FmfNode({
      name: this.name,
      parent,
      data,
      sources,
      root,
      select: this.#select,
    });
  }

  /** The final node with all below it. */
  build(root: string | undefined): FmfNode {
    const node = this.#settled(root);
    this.#children?.forEach((child, key) => {
      node.adopt(key, child.build(root));
    });
    this.#children = undefined;
    return node;
  }
}
