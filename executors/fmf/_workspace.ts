/**
 * The directory that discovered tests are uploaded from.
 */
import { temporaryPrefix } from "../../connections/ownership.ts";
import { type CopyOptions, copyTree, removeTree } from "./_copy.ts";
import { FmfError } from "./metadata/errors.ts";
import { reasonOf } from "./metadata/paths.ts";

/** Gives the tree itself for as long as nothing has to be laid over it, then a copy. */
export class Workspace {
  readonly #tree: string;
  readonly #resources: AsyncDisposableStack;
  readonly #options: CopyOptions;
  #copy: Promise<string> | undefined;
  #path: string;

  /** @param resources gets what removes the copy */
  constructor(
    tree: string,
    resources: AsyncDisposableStack,
    options: CopyOptions,
  ) {
    this.#tree = tree;
    this.#path = tree;
    this.#resources = resources;
    this.#options = options;
  }

  /** The directory as it is now. */
  get path(): string {
    return this.#path;
  }

  /** A directory that may be written to, with the tree in it. */
  writable(): Promise<string> {
    this.#copy ??= this.empty()
      .then(async (path) => {
        await copyTree(this.#tree, path, this.#options);
        return path;
      });
    return this.#copy;
  }

  /** A directory that may be written to, with nothing in it. */
  async empty(): Promise<string> {
    let path: string;
    try {
      path = await Deno.makeTempDir({ prefix: temporaryPrefix() });
    } catch (error) {
      throw new FmfError(
        "discover",
        `cannot make a temporary directory: ${reasonOf(error)}`,
        { cause: error },
      );
    }
    this.#resources.defer(() => removeTree(path).catch(() => {}));
    this.#path = path;
    return path;
  }
}
