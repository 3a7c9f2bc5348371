/**
 * The nodes of a tree.
 */
import type { FmfErrorPlace } from "./errors.ts";
import { relativeTo } from "./paths.ts";
import {
  compareText,
  type FmfKey,
  type FmfMap,
  type FmfValue,
  toPlain,
} from "./value.ts";

/** Options of {@linkcode FmfNode.climb}. */
export interface ClimbOptions {
  /**
   * Offer branches too, not only leaves and what selects itself.
   *
   * @default {false}
   */
  whole?: boolean | undefined;
  /**
   * Visit children in the order of their names instead of that of the files.
   *
   * @default {true}
   */
  sort?: boolean | undefined;
}

/** What a node is made of. */
export interface FmfNodeFields {
  /** Full name, `/` for the root. */
  name: string;
  /** Data after inheritance. */
  data: ReadonlyMap<FmfKey, FmfValue>;
  /** The node above. */
  parent?: FmfNode | undefined;
  /** Absolute paths of the files that the data comes from, outermost first. */
  sources?: readonly string[] | undefined;
  /** Directory of the tree. */
  root?: string | undefined;
  /** What the node's `select` directive says. */
  select?: boolean | undefined;
}

const NO_CHILDREN: ReadonlyMap<string, FmfNode> = new Map();

/**
 * One entry of a tree, with its data and everything below it.
 *
 * @example
 * ```ts
 * import { openTree } from "jsr:@atex/atex/fmf";
 *
 * const node = openTree("./suite").find("/boot/kernel");
 * console.log(node?.parent?.name, node?.data.get("test")); // /boot uname -r
 * ```
 */
export class FmfNode {
  /** Full name: the names of all nodes on the way, each after a slash; `/` for the root. */
  readonly name: string;
  /** The node above; absent in the root. */
  readonly parent: FmfNode | undefined;
  /**
   * Data after inheritance, in order. The values in it may be shared between
   * nodes: {@linkcode FmfNode.toObject} gives a copy of your own.
   */
  data: ReadonlyMap<FmfKey, FmfValue>;
  /** Absolute paths of the files that the data comes from, outermost first. */
  readonly sources: readonly string[];
  /** Directory of the tree; absent in a tree without files. */
  readonly root: string | undefined;
  /** What the node's `select` directive says; absent without one. */
  readonly select: boolean | undefined;
  #children: Map<string, FmfNode> | undefined;

  /** Makes a node without children and, if it has a parent, adds it there. */
  constructor(fields: FmfNodeFields) {
    this.name = fields.name;
    this.parent = fields.parent;
    this.data = fields.data;
    this.sources = fields.sources ?? [];
    this.root = fields.root;
    this.select = fields.select;
  }

  /** The nodes right below, by the last part of their names, in the order of the files. */
  get children(): ReadonlyMap<string, FmfNode> {
    return this.#children ?? NO_CHILDREN;
  }

  /** Whether the node is offered when nodes are selected: leaves are, unless the `select` directive says otherwise. */
  get selectable(): boolean {
    return this.select ?? this.#children === undefined;
  }

  /** Puts `child` below this node. Trees are built with it; it checks nothing. */
  adopt(key: string, child: FmfNode): void {
    (this.#children ??= new Map()).set(key, child);
  }

  /** The node with exactly this full name, here or below. */
  find(name: string): FmfNode | undefined {
    if (name === this.name) return this;
    const prefix = this.name === "/" ? "/" : `${this.name}/`;
    if (!name.startsWith(prefix)) return undefined;
    // deno-lint-ignore no-this-alias -- walks down from here
    let node: FmfNode | undefined = this;
    for (const key of name.slice(prefix.length).split("/")) {
      node = node.#children?.get(key);
      if (!node) return undefined;
    }
    return node;
  }

  /** Goes through this node and what is below it, a node before its children. */
  *climb(options: ClimbOptions = {}): Generator<FmfNode, void, undefined> {
    const { whole = false, sort = true } = options;
    const stack: FmfNode[] = [this];
    for (let node; (node = stack.pop());) {
      if (whole || node.selectable) yield node;
      if (!node.#children) continue;
      let below = [...node.#children.values()];
      if (sort) {
        below = [...node.#children.keys()].sort(compareText)
          .map((key) => node.#children!.get(key)!);
      }
      for (let i = below.length - 1; i >= 0; i--) stack.push(below[i]);
    }
  }

  /**
   * A copy of this node and all below it, which can be adjusted without changing
   * the original. The copy's parent is that of the original.
   */
  copy(parent: FmfNode | undefined = this.parent): FmfNode {
    const result = new FmfNode({
      name: this.name,
      parent,
      data: this.data,
      sources: this.sources,
      root: this.root,
      select: this.select,
    });
    if (this.#children) {
      for (const [key, child] of this.#children) {
        result.adopt(key, child.copy(result));
      }
    }
    return result;
  }

  /** The data as an object without prototype, in which nothing is shared with anything else. */
  toObject(): Record<string, unknown> {
    return toPlain(this.data as FmfMap) as Record<string, unknown>;
  }
}

/** What messages say about a node. */
export function placeOf(node: FmfNode): FmfErrorPlace {
  const { name, sources, root } = node;
  return {
    node: name,
    sources: root === undefined
      ? sources
      : sources.map((source) => relativeTo(root, source)),
  };
}
