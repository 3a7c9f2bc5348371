/**
 * A tree of metadata.
 */
import { adjust, type AdjustOptions } from "./adjust.ts";
import type { Context, ContextValues } from "./context.ts";
import { DraftNode } from "./_draft.ts";
import { FmfError } from "./errors.ts";
import type { ClimbOptions, FmfNode } from "./node.ts";
import { prune, type PruneOptions } from "./select.ts";
import { type FmfMap, fromPlain, isMap, typeName } from "./value.ts";

/** Something that looks wrong, but does not keep a tree from being used. */
export interface FmfWarning {
  /** What looks wrong. */
  readonly message: string;
  /** The file it is about, relative to the tree. */
  readonly file?: string | undefined;
  /** The node it is about. */
  readonly node?: string | undefined;
  /** The data key it is about. */
  readonly key?: string | undefined;
}

/** Options of the constructor of {@linkcode Tree}. */
export interface TreeOptions {
  /**
   * What looked wrong while the tree was read.
   *
   * @default {[]}
   */
  warnings?: readonly FmfWarning[] | undefined;
  /**
   * Commit that was checked out, where the tree comes from a repository.
   *
   * @default unknown
   */
  commit?: string | undefined;
}

/**
 * A tree of metadata, or a part of one. Made by {@linkcode openTree},
 * {@linkcode resolveIdentifier} and {@linkcode Tree.fromData}.
 */
export class Tree {
  /** The topmost node. */
  readonly top: FmfNode;
  /** What looked wrong while the tree was read. */
  readonly warnings: readonly FmfWarning[];
  /** Commit that was checked out, where the tree comes from a repository. */
  readonly commit: string | undefined;

  /** Makes a tree of a node and all below it. */
  constructor(top: FmfNode, options: TreeOptions = {}) {
    this.top = top;
    this.warnings = options.warnings ?? [];
    this.commit = options.commit;
  }

  /**
   * Makes a tree without files.
   *
   * @param data what the file of the root would hold: keys that start with a
   * slash are children, suffixes of keys are merge operators
   * @throws {FmfError} of kind `format` or `merge`
   *
   * @example
   * ```ts
   * import { Tree } from "jsr:@atex/atex/fmf";
   *
   * const tree = Tree.fromData({ tag: ["a"], "/one": { "tag+": ["b"] } });
   * console.log(tree.find("/one")?.toObject().tag); // [ "a", "b" ]
   * ```
   */
  static fromData(data: Readonly<Record<string, unknown>> | FmfMap): Tree {
    let value;
    try {
      value = fromPlain(data);
    } catch (error) {
      throw new FmfError(
        "format",
        `cannot make a tree of this data: ${
          error instanceof RangeError
            ? "it contains itself, or is nested too deeply"
            : error instanceof Error
            ? error.message
            : error
        }`,
        { cause: error },
      );
    }
    if (!isMap(value)) {
      throw new FmfError(
        "format",
        `a tree is made of a mapping, not of ${typeName(value)}`,
      );
    }
    const draft = new DraftNode();
    draft.update(value, undefined, {});
    return new Tree(draft.build(undefined));
  }

  /** Directory of the whole tree; absent in a tree without files. */
  get root(): string | undefined {
    return this.top.root;
  }

  /** The node with exactly this full name. */
  find(name: string): FmfNode | undefined {
    return this.top.find(name);
  }

  /** Goes through the nodes, a node before its children. */
  climb(options?: ClimbOptions): Generator<FmfNode, void, undefined> {
    return this.top.climb(options);
  }

  /**
   * Goes through the nodes that meet all criteria.
   *
   * @throws {FmfError} of kind `filter` or `usage`
   */
  prune(options?: PruneOptions): Generator<FmfNode, void, undefined> {
    return prune(this.top, options);
  }

  /** A copy that can be adjusted without changing this tree. */
  copy(): Tree {
    return new Tree(this.top.copy(), {
      warnings: this.warnings,
      commit: this.commit,
    });
  }

  /**
   * Applies the `adjust` rules of every node that hold in `context`, in place.
   * Doing it twice applies everything twice.
   *
   * @throws {FmfError} of kind `format`, `rule`, `merge`, `usage` or `cannot-decide`
   */
  adjust(context: Context | ContextValues, options?: AdjustOptions): this {
    adjust(this.top, context, options);
    return this;
  }
}
