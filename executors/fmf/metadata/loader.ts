/**
 * Reading a tree from a directory.
 */
import { DraftNode } from "./_draft.ts";
import { checkVersion, findRoot, includedNames, MARKER } from "./_root.ts";
import { FmfError, type FmfErrorPlace } from "./errors.ts";
import {
  inside,
  isDirectory,
  isInside,
  isThere,
  pathOf,
  reasonOf,
  relativeTo,
} from "./paths.ts";
import { type FmfWarning, Tree } from "./tree.ts";
import {
  compareText,
  type FmfMap,
  type FmfValue,
  isMap,
  typeName,
} from "./value.ts";
import { decodeFile, parseYaml } from "./yaml.ts";

/** Options of {@linkcode openTree}. */
export interface OpenTreeOptions {
  /**
   * Do not leave this directory: neither upwards, when the root of the tree is
   * looked for, nor along symbolic links, when metadata is read. Meant for trees
   * that come from elsewhere.
   *
   * @default no limit
   */
  within?: string | URL | undefined;
}

const SUFFIX = ".fmf";
const MAIN = "main.fmf";
/** File systems of the kernel, in which nobody keeps metadata. */
const UNWALKED: readonly string[] = ["/dev", "/proc", "/sys"];
/** How many links may be entered from inside of other links: loops of many links multiply. */
const MAX_NESTED_LINKS = 5_000;

/**
 * Reads the tree that a directory belongs to: that of the first directory with a
 * `.fmf` directory in it, from the given one upwards. All of the tree is read,
 * at once and without waiting.
 *
 * Needs permission to read the tree.
 *
 * @param path a directory
 * @throws {FmfError} of kind `root` if there is no tree, otherwise of kind
 * `file`, `format` or `merge`, with file, node and key
 *
 * @example The names of all tests
 * ```ts
 * import { openTree } from "jsr:@atex/atex/fmf";
 *
 * for (const node of openTree("./suite").prune({ keys: ["test"] })) {
 *   console.log(node.name, node.sources.at(-1));
 * }
 * ```
 */
export function openTree(
  path: string | URL,
  options: OpenTreeOptions = {},
): Tree {
  const start = pathOf(path);
  const within = options.within === undefined
    ? undefined
    : pathOf(options.within);
  checkDirectory(start);
  const root = findRoot(start, within);
  checkVersion(root);
  try {
    return new Loader(root, within, true).load();
  } catch (error) {
    if (!(error instanceof FmfError)) throw error;
    // what cannot be read is told before what cannot be inherited
    return new Loader(root, within, false).load();
  }
}

function checkDirectory(path: string): void {
  let reason = "it is no directory";
  try {
    if (Deno.statSync(path).isDirectory) {
      Deno.readDirSync(path)[Symbol.iterator]().next();
      return;
    }
  } catch (error) {
    reason = reasonOf(error);
  }
  throw new FmfError("file", `cannot open a tree here: ${reason}`, {
    file: path,
  });
}

/** A directory on the way: the links that led to it. */
interface Chain {
  /** Resolved target of the last link. */
  target: string;
  /** The links before it. */
  before: Chain | undefined;
}

class Loader {
  readonly #root: string;
  readonly #within: string | undefined;
  readonly #atOnce: boolean;
  readonly #warnings: FmfWarning[] = [];
  #include: ReadonlySet<string> = new Set();
  #nestedLinks = 0;

  /** @param atOnce whether nodes inherit as soon as their files are read, which need not be kept then */
  constructor(root: string, within: string | undefined, atOnce: boolean) {
    this.#root = root;
    this.#atOnce = atOnce;
    this.#within = within === undefined ? undefined : Deno.realPathSync(within);
  }

  load(): Tree {
    this.#include = this.#readConfig();
    const draft = new DraftNode();
    this.#walk(this.#root, listing(this.#root)!, draft, undefined);
    const top = draft.build(this.#root);
    return new Tree(top, { warnings: this.#warnings });
  }

  #relative(path: string): string {
    return relativeTo(this.#root, path);
  }

  #readConfig(): ReadonlySet<string> {
    const file = `${MARKER}/config`;
    const path = inside(this.#root, file);
    return isThere(path) ? includedNames(this.#parse(path), file) : new Set();
  }

  /** Reads what is in a directory into its node, and all that is below. */
  #walk(
    directory: string,
    entries: readonly Deno.DirEntry[],
    node: DraftNode,
    chain: Chain | undefined,
  ): void {
    const files: Deno.DirEntry[] = [];
    const directories: Deno.DirEntry[] = [];
    for (const entry of entries) {
      const { name } = entry;
      if (name.startsWith(".") && !this.#include.has(name)) continue;
      if (entry.isDirectory) directories.push(entry);
      else if (entry.isSymlink && isDirectory(inside(directory, name))) {
        directories.push(entry);
      } else if (name.endsWith(SUFFIX)) files.push(entry);
    }
    files.sort(({ name: a }, { name: b }) =>
      a === MAIN ? -1 : b === MAIN ? 1 : compareText(a, b)
    );
    for (const entry of files) this.#readInto(node, directory, entry);
    directories.sort((a, b) => compareText(a.name, b.name));
    if (this.#atOnce) {
      const open = new Set(directories.map(({ name }) => name));
      node.settle(this.#root, open);
    }
    for (const entry of directories) {
      this.#enter(directory, entry, node, chain);
    }
    node.dropEmptyChildren();
    if (this.#atOnce && !node.isEmpty) node.build(this.#root);
  }

  #enter(
    directory: string,
    entry: Deno.DirEntry,
    node: DraftNode,
    chain: Chain | undefined,
  ): void {
    const path = inside(directory, entry.name);
    if (UNWALKED.includes(path)) return;
    if (entry.isSymlink) {
      const target = this.#resolve(path);
      if (this.#isOutside(target)) {
        this.#warnings.push({
          message:
            `did not look for metadata behind a symbolic link that leads out of the repository, to ${target}`,
          file: this.#relative(path),
        });
        return;
      }
      for (let link = chain; link; link = link.before) {
        if (link.target === target) return;
      }
      if (chain && ++this.#nestedLinks > MAX_NESTED_LINKS) {
        throw new FmfError(
          "file",
          `symbolic links to directories lead into each other more than ${MAX_NESTED_LINKS} times`,
          { file: this.#relative(path) },
        );
      }
      chain = { target, before: chain };
    }
    const entries = listing(path, this.#warnings, () => this.#relative(path));
    if (!entries || isOtherRoot(path, entries)) return;
    this.#walk(
      path,
      entries,
      node.child(entry.name, { file: this.#relative(path) }),
      chain,
    );
  }

  #resolve(path: string): string {
    try {
      return Deno.realPathSync(path);
    } catch (error) {
      throw new FmfError(
        "file",
        `cannot follow the symbolic link: ${reasonOf(error)}`,
        { file: this.#relative(path), cause: error },
      );
    }
  }

  #isOutside(target: string): boolean {
    return this.#within !== undefined && !isInside(target, this.#within);
  }

  #readInto(
    node: DraftNode,
    directory: string,
    { name, isFile }: Deno.DirEntry,
  ): void {
    const path = inside(directory, name);
    const place: FmfErrorPlace = { file: this.#relative(path) };
    const target = name === MAIN
      ? node
      : node.child(name.slice(0, -SUFFIX.length), place, path);
    const data = this.#parse(path, isFile);
    if (data !== null && !isMap(data)) {
      throw new FmfError(
        "format",
        `the file must hold a mapping, not ${typeName(data)}`,
        { ...place, node: target.name },
      );
    }
    target.addSource(path);
    target.update(data as FmfMap | null, path, place);
  }

  /** @param isFile whether its directory says that it is a regular file */
  #parse(path: string, isFile = false): FmfValue {
    const file = this.#relative(path);
    let text;
    try {
      if (!isFile) checkFile(path, file);
      if (this.#within !== undefined && this.#isOutside(this.#resolve(path))) {
        throw new FmfError(
          "file",
          "cannot read metadata: it lies outside of the repository, behind a symbolic link",
          { file },
        );
      }
      text = Deno.readTextFileSync(path);
      // unless it is no UTF-8, or begins with a mark
      if (text.includes("\ufffd") || text.startsWith("\ufeff")) {
        text = decodeFile(Deno.readFileSync(path), { file });
      }
    } catch (error) {
      if (error instanceof FmfError) throw error;
      throw new FmfError(
        "file",
        `cannot read metadata: ${reasonOf(error, path)}`,
        { file, cause: error },
      );
    }
    return parseYaml(text, { file });
  }
}

/** Refuses what cannot be read to its end: opening a FIFO would wait for ever, and other devices do worse. */
function checkFile(path: string, file: string): void {
  const { isFile, isDirectory } = Deno.statSync(path);
  if (isFile) return;
  throw new FmfError(
    "file",
    `cannot read metadata: it is ${
      isDirectory ? "a directory" : "a special file"
    }`,
    { file },
  );
}

/** What is in a directory; nothing, and a warning, if it cannot be listed. */
function listing(
  path: string,
  warnings?: FmfWarning[],
  name: () => string = () => path,
): readonly Deno.DirEntry[] | undefined {
  try {
    return [...Deno.readDirSync(path)];
  } catch (error) {
    const reason = reasonOf(error, path);
    if (!warnings) {
      throw new FmfError("file", `cannot list the directory: ${reason}`, {
        file: path,
        cause: error,
      });
    }
    warnings.push({
      message: `skipped a directory that cannot be listed: ${reason}`,
      file: name(),
    });
  }
}

/** Whether a directory is the root of a tree of its own. */
function isOtherRoot(path: string, entries: readonly Deno.DirEntry[]): boolean {
  const marker = entries.find((entry) => entry.name === MARKER);
  return marker !== undefined &&
    (marker.isDirectory ||
      (marker.isSymlink && isDirectory(inside(path, MARKER))));
}
