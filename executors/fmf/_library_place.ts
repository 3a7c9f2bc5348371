/**
 * Laying libraries beside the tests: `libs/NICK/NAME`.
 */
import { type CopyOptions, copyTree, makeDirectory } from "./_copy.ts";
import { FmfError, quote } from "./metadata/errors.ts";
import type { FmfNode } from "./metadata/node.ts";
import { isInside, reasonOf } from "./metadata/paths.ts";
import type { Tree } from "./metadata/tree.ts";

const DIRECTORY = "libs";

/** The libraries beside the tests of one section. */
export class LibraryPlace {
  readonly #destination: () => Promise<string>;
  readonly #options: CopyOptions;
  /** What lies where, by directory below `libs`. */
  readonly #placed = new Map<string, string>();

  /** @param destination gives a directory that may be written to, with the tests in it */
  constructor(destination: () => Promise<string>, options: CopyOptions) {
    this.#destination = destination;
    this.#options = options;
  }

  /** Notes that something is laid at `target`; tells whether it was there already. */
  #note(target: string, source: string): boolean {
    const before = this.#placed.get(target);
    if (before === source) return true;
    if (before !== undefined) {
      throw wrong(
        `two different libraries would lie in ${DIRECTORY}/${target}: check their url, ref and path, or give one another "nick"`,
      );
    }
    this.#placed.set(target, source);
    return false;
  }

  /** Makes a link to a library in the tree of the tests. */
  async link(target: string, node: FmfNode): Promise<void> {
    if (this.#note(target, ` ${node.name}`)) return;
    const { directory, depth } = await this.#makeParents(target);
    const path = `${directory}/${target.slice(target.lastIndexOf("/") + 1)}`;
    const up = Array(depth).fill("..").join("/");
    try {
      Deno.symlinkSync(node.name === "/" ? up : up + node.name, path);
    } catch (error) {
      // What the tests bring along themselves stays.
      if (error instanceof Deno.errors.AlreadyExists) return;
      throw wrong(`cannot make the link ${path}: ${reasonOf(error)}`);
    }
  }

  /** Copies the directory of a library from another tree. */
  async copy(
    target: string,
    tree: Tree,
    node: FmfNode,
    treeId: string,
  ): Promise<void> {
    if (this.#note(target, `${treeId} ${node.name}`)) return;
    const { directory } = await this.#makeParents(target);
    const from = node.name === "/" ? tree.root! : tree.root! + node.name;
    await copyTree(
      from,
      `${directory}/${target.slice(target.lastIndexOf("/") + 1)}`,
      this.#options,
    );
  }

  /** Makes the directories above a target; none of them is reached through a link. */
  async #makeParents(
    target: string,
  ): Promise<{ directory: string; depth: number }> {
    const parts = [DIRECTORY, ...target.split("/").slice(0, -1)];
    let directory = await this.#destination();
    for (const part of parts) {
      directory += `/${part}`;
      makeDirectory(directory);
    }
    return { directory, depth: parts.length };
  }
}

/** The nick of a library for which none is given. */
export function nickOf(place: string): string {
  const path = place.replace(/\/+$/, "").replace(/\.git$/, "");
  return path.slice(path.lastIndexOf("/") + 1);
}

/** The parts of a value that becomes a path. */
export function checkParts(key: string, text: string): string[] {
  const parts = text.split("/").filter((part) => part !== "");
  if (parts.some((part) => part === "." || part === "..")) {
    throw wrong(
      `"${key}" must not have a part "." or "..", as in ${quote(text)}`,
    );
  }
  if (parts.some((part) => part === ".git" || part.includes("\0"))) {
    throw wrong(`"${key}" cannot be used, it is ${quote(text)}`);
  }
  return parts;
}

/** Directory of a library below `libs`. */
export function targetOf(nick: string, path: string, name: string): string {
  const [first, ...more] = checkParts("nick", nick);
  if (first === undefined || nick.startsWith("/")) {
    throw wrong(`"nick" must be a relative path, it is ${quote(nick)}`);
  }
  const inner = path === "." ? [] : checkParts("path", path);
  return [first, ...more, ...inner, ...checkParts("name", name)].join("/");
}

/** A library is a directory. A node that is nothing but a key of a file has none. */
export function checkHasDirectory(tree: Tree, node: FmfNode): void {
  const { root } = tree;
  if (root === undefined || node.name === "/") return;
  try {
    const path = Deno.realPathSync(root + node.name);
    if (Deno.statSync(path).isDirectory) {
      if (isInside(path, Deno.realPathSync(root))) return;
      throw wrong(`the directory of ${node.name} lies outside of its tree`);
    }
  } catch (error) {
    if (error instanceof FmfError) throw error;
  }
  throw wrong(
    `the node ${node.name} has no directory of its own, so it cannot be a library`,
  );
}

function wrong(reason: string): FmfError {
  return new FmfError("discover", reason, { key: "require" });
}
