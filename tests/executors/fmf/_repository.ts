/** Repositories and caches of clones for tests. */
import { join } from "@std/path/posix/join";
import {
  type Files,
  git,
  makeRepository,
  temporaryVariable,
  writeFiles,
} from "../../_metadata_files.ts";

/** A directory with room for repositories, which holds the clones too. */
export class Repositories implements AsyncDisposable {
  readonly #variable: Disposable;

  private constructor(readonly path: string) {
    this.#variable = temporaryVariable("FMF_CACHE_DIRECTORY", this.cache);
  }

  static async open(): Promise<Repositories> {
    return new Repositories(
      await Deno.makeTempDir({ prefix: "atex-test-" }),
    );
  }

  /** Directory of the clones. */
  get cache(): string {
    return join(this.path, "cache");
  }

  /** Makes a repository with one commit on `main`; returns its address. */
  async make(name: string, files: Files, bare = true): Promise<string> {
    await makeRepository(join(this.path, name), {
      bare,
      branches: { main: files },
    });
    return `file://${join(this.path, name)}`;
  }

  /** Adds a commit to what is checked out; returns its id. */
  async commit(name: string, files: Files): Promise<string> {
    const directory = join(this.path, name);
    await writeFiles(directory, files, true);
    await git(directory, "add", "-A", "-f");
    await git(directory, "commit", "-q", "-m", "more");
    return await this.git(name, "rev-parse", "HEAD");
  }

  git(name: string, ...args: string[]): Promise<string> {
    return git(join(this.path, name), ...args);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#variable[Symbol.dispose]();
    await Deno.remove(this.path, { recursive: true });
  }
}
