/**
 * Metadata of tests as it is kept beside them, in files of the Flexible Metadata
 * Format: reading a tree of such files, with inheritance and merging, adjusting
 * it to a context, and selecting nodes from it.
 *
 * Nothing here knows about running tests; `executors/fmf` does. To read a tree takes
 * the permission to read its files (`--allow-read`).
 *
 * Files hold YAML 1.2 with extensions, one document each:
 *
 * - `yes`, `no`, `on` and `off` are text; booleans are `true` and `false` (also `True`,
 *   `TRUE` and so on).
 * - `012` is 12, as is `0o14`; `1_000` is 1000; `1:30` is text. `1.0` is a {@linkcode Float},
 *   and an integer that is not safe as a number is a `bigint`.
 * - `2025-01-31` is a {@linkcode PlainDate}, with a time of day a {@linkcode Timestamp};
 *   `2025-02-30` is an error.
 * - A key that is twice in a mapping is an error, by its value: `10` and `010` are the
 *   same. So are a tab that indents, an unknown tag, and an alias without its anchor.
 * - `<<: *base` takes over the entries of a mapping, or of a list of mappings, of which
 *   the first with a key counts. The mapping's own entries win, wherever they stand.
 *   What an alias stands for is a copy.
 *
 * Needs permission to read the tree; to fetch one, also to write temporary files,
 * to run `git` and to read the environment.
 *
 * @example What a tree holds
 * ```ts
 * import { openTree } from "jsr:@atex/atex/fmf";
 *
 * const tree = openTree("./suite").adjust({ distro: "fedora-42" });
 * for (const node of tree.prune({ keys: ["test"], filters: ["tag: fast"] })) {
 *   console.log(node.name, node.toObject());
 * }
 * ```
 *
 * @example Errors say where
 * ```ts
 * import { FmfError, openTree } from "jsr:@atex/atex/fmf";
 *
 * try {
 *   openTree("./suite");
 * } catch (error) {
 *   if (!(error instanceof FmfError)) throw error;
 *   console.error(error.message); // net/ping.fmf:3:9: …
 *   console.error(error.kind, error.file, error.line, error.node, error.key);
 * }
 * ```
 *
 * @example A tree made in the script
 * ```ts
 * import { Tree } from "jsr:@atex/atex/fmf";
 *
 * const tree = Tree.fromData({
 *   test: "./run.sh",
 *   tag: ["base"],
 *   "/fast": { "tag+": ["fast"] },
 *   "/slow": { adjust: { when: "arch == s390x", enabled: false } },
 * });
 * const names = Array.from(
 *   tree.adjust({ arch: "s390x" }).prune({
 *     conditions: [(data) => data.enabled !== false],
 *   }),
 *   (node) => node.name,
 * );
 * console.log(names); // [ "/fast" ]
 * ```
 *
 * @module
 */
export { type AdjustOptions } from "./adjust.ts";
export * from "./context.ts";
export { FmfError, type FmfErrorKind, type FmfErrorPlace } from "./errors.ts";
export type { FetchOptions } from "./fetch.ts";
export {
  type FilterOptions,
  matchFilter,
  type MatchOptions,
} from "./filter.ts";
export {
  type FmfIdentifier,
  type ResolvedIdentifier,
  resolveIdentifier,
} from "./identifier.ts";
export { openTree, type OpenTreeOptions } from "./loader.ts";
export { type ClimbOptions, FmfNode, type FmfNodeFields } from "./node.ts";
export type { Condition, ConditionText, PruneOptions } from "./select.ts";
export { type FmfWarning, Tree, type TreeOptions } from "./tree.ts";
export {
  Float,
  type FmfKey,
  type FmfMap,
  type FmfScalar,
  type FmfValue,
  PlainDate,
  textOf,
  Timestamp,
} from "./value.ts";
