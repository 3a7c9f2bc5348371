/**
 * Checking out what is in git repositories, by way of clones that are kept.
 */
import { join } from "@std/path/posix/join";
import { resolve } from "@std/path/posix/resolve";
import {
  cloneNames,
  isLocalPath,
  shownText,
  shownUrl,
  whyNotRef,
  whyNotUrl,
} from "./address.ts";
import { git, type GitOptions, type GitOutput } from "./_git.ts";
import { lockFile } from "./_lock.ts";
import { FmfError, quote } from "./errors.ts";
import { isThere, pathOf, reasonOf } from "./paths.ts";

/** How repositories are fetched and kept. */
export interface FetchOptions {
  /**
   * Directory of the clones. The environment variable `FMF_CACHE_DIRECTORY` goes
   * before it.
   *
   * @default `$XDG_CACHE_HOME/fmf`, or `~/.cache/fmf`
   */
  cache?: string | URL | undefined;
  /**
   * For how long a clone counts as up to date, in milliseconds. A ref that is not
   * in it is looked for nevertheless.
   *
   * @default {1_200_000}
   */
  maxAge?: number | undefined;
  /**
   * How long to wait while another process works on the same clone, in
   * milliseconds.
   *
   * @default {300_000}
   */
  lockTimeout?: number | undefined;
  /**
   * Longest time of one command of git, such as a clone, in milliseconds.
   *
   * @default {1_800_000}
   */
  commandTimeout?: number | undefined;
  /**
   * Gives the address to fetch from instead of the one that is asked for, for
   * example that of a mirror.
   *
   * @default the same address
   */
  mirror?: ((url: string) => string) | undefined;
  /**
   * How the names of temporary directories begin, so that others can tell whose
   * they are.
   *
   * @default {"atex-"}
   */
  prefix?: string | undefined;
  /** Ends the call; it then rejects with the reason of the signal. */
  signal?: AbortSignal | undefined;
}

/** The files of one commit, in a directory that lasts until it is disposed of. */
export interface Checkout extends AsyncDisposable {
  /** The top of the files. There is no `.git` in it. */
  readonly path: string;
  /** Full id of the commit. */
  readonly commit: string;
}

const MAX_AGE = 1_200_000;
const LOCK_TIMEOUT = 300_000;
const COMMAND_TIMEOUT = 1_800_000;
const ALL_BRANCHES = "+refs/heads/*:refs/remotes/origin/*";

/**
 * Checks out a commit of a repository into a temporary directory of its own.
 *
 * @param url anything that `git clone` takes
 * @param ref a branch, tag or commit; the default branch if absent
 * @throws {FmfError} of kind `fetch`
 */
export async function checkOut(
  url: string,
  ref: string | undefined,
  options: FetchOptions = {},
): Promise<Checkout> {
  const { prefix = "atex-", signal } = options;
  signal?.throwIfAborted();
  const repository = new Repository(url, ref, options);
  try {
    await using resources = new AsyncDisposableStack();
    const directory = await Deno.makeTempDir({ prefix });
    resources.defer(() => Deno.remove(directory, { recursive: true }));
    const path = join(directory, "tree");
    await Deno.mkdir(path);
    const commit = await repository.writeTo(path, join(directory, "index"));
    const kept = resources.move();
    return {
      path,
      commit,
      [Symbol.asyncDispose]: () => kept.disposeAsync(),
    };
  } catch (error) {
    signal?.throwIfAborted();
    throw error instanceof FmfError
      ? error
      : repository.error(reasonOf(error), error);
  }
}

/** The clone of one repository, for one ref. */
class Repository {
  readonly #url: string;
  readonly #ref: string | undefined;
  readonly #options: FetchOptions;
  readonly #isPath: boolean;
  /** The address as messages show it, and the ref. */
  readonly #shown: string;
  #gitDirectory = "";

  constructor(url: string, ref: string | undefined, options: FetchOptions) {
    const source = options.mirror?.(url) ?? url;
    this.#shown = `${shownUrl(url)}${
      ref === undefined ? "" : ` at ${quote(ref)}`
    }${source === url ? "" : ` (from ${shownUrl(source)})`}`;
    this.#ref = ref;
    this.#options = options;
    const wrong = whyNotUrl(source) ??
      (ref === undefined ? undefined : whyNotRef(ref));
    if (wrong !== undefined) throw this.error(wrong);
    this.#isPath = isLocalPath(source);
    this.#url = this.#isPath ? resolve(source) : source;
  }

  /** An error that says what could not be fetched. */
  error(reason: string, cause?: unknown): FmfError {
    return new FmfError("fetch", `cannot fetch ${this.#shown}: ${reason}`, {
      ...(cause !== undefined && { cause }),
    });
  }

  /** Makes or updates the clone, and writes the files of the commit into an empty directory; returns its id. */
  async writeTo(path: string, index: string): Promise<string> {
    const cache = this.#cacheDirectory();
    try {
      await Deno.mkdir(cache, { recursive: true });
    } catch (error) {
      throw this.error(
        `the directory for clones, ${cache}, cannot be made: ${
          reasonOf(error)
        }`,
        error,
      );
    }
    const { directory, lock } = await this.#lockClone(cache);
    using _lock = lock;
    this.#gitDirectory = join(directory, ".git");
    const fresh = await this.#cloneInto(directory);
    const commit = fresh ? await this.#find(true) : await this.#refresh();
    const output = await this.#run([
      `--git-dir=${this.#gitDirectory}`,
      `--work-tree=${path}`,
      ...["read-tree", "-m", "-u", commit],
    ], { cwd: path, env: { GIT_INDEX_FILE: index } });
    if (!output.success) throw this.#failure(output);
    return commit;
  }

  #cacheDirectory(): string {
    const named = Deno.env.get("FMF_CACHE_DIRECTORY") || this.#options.cache;
    if (named) return pathOf(named);
    const caches = Deno.env.get("XDG_CACHE_HOME");
    if (caches) return join(caches, "fmf");
    const home = Deno.env.get("HOME");
    if (home) return join(home, ".cache", "fmf");
    throw this.error(
      "there is no directory for clones: none of FMF_CACHE_DIRECTORY, XDG_CACHE_HOME and HOME is set",
    );
  }

  /** Locks the directory of the clone, which is not that of another address. */
  async #lockClone(
    cache: string,
  ): Promise<{ directory: string; lock: Disposable }> {
    const [unique, ...others] = (await cloneNames(this.#url)).reverse();
    for (const name of others) {
      const directory = join(cache, name);
      using locks = new DisposableStack();
      locks.use(await this.#lock(directory));
      const origin = await this.#originOf(directory);
      if (origin === undefined || origin === this.#url) {
        return { directory, lock: locks.move() };
      }
    }
    const directory = join(cache, unique);
    return { directory, lock: await this.#lock(directory) };
  }

  async #originOf(directory: string): Promise<string | undefined> {
    const gitDirectory = join(directory, ".git");
    if (!isThere(gitDirectory)) return undefined;
    const { success, stdout } = await this.#run([
      `--git-dir=${gitDirectory}`,
      "config",
      "--local",
      "--get",
      "remote.origin.url",
    ]);
    return success ? stdout.trimEnd() : undefined;
  }

  /** Holds the lock that other programs, which use the same clones, respect too. */
  async #lock(directory: string): Promise<Disposable> {
    const path = `${directory}.fetch.lock`;
    const { signal, lockTimeout = LOCK_TIMEOUT } = this.#options;
    const lock = await lockFile(path, lockTimeout, signal);
    if (lock) return lock;
    throw this.error(
      `another process has held the lock ${path} for ${lockTimeout / 1000} s`,
    );
  }

  #run(
    args: readonly string[],
    options: Pick<GitOptions, "cwd" | "env"> = {},
  ): Promise<GitOutput> {
    const { signal, commandTimeout: timeout = COMMAND_TIMEOUT } = this.#options;
    return git(args, { ...options, signal, timeout });
  }

  /** Runs git in the clone. */
  #inClone(...args: string[]): Promise<GitOutput> {
    return this.#run([`--git-dir=${this.#gitDirectory}`, ...args]);
  }

  #failure(output: GitOutput): FmfError {
    const text = shownText(output.stderr, this.#url);
    return this.error(text.split("\n").slice(-10).join("\n") || "git failed");
  }

  /** Makes the clone unless it is there; tells whether it was made. */
  async #cloneInto(directory: string): Promise<boolean> {
    if (isThere(this.#gitDirectory)) {
      const { success } = await this.#inClone("rev-parse", "--git-dir");
      if (success) return false;
    }
    // Nobody else uses this name while we hold the lock.
    const temporary = `${directory}.new`;
    const discard = async () => {
      if (isThere(temporary)) {
        await Deno.remove(temporary, { recursive: true });
      }
    };
    await discard();
    await using resources = new AsyncDisposableStack();
    resources.defer(discard);
    const clone = (...options: string[]) =>
      this.#run([
        "clone",
        "--quiet",
        "--no-checkout",
        ...options,
        "--",
        this.#url,
        temporary,
      ]);
    // Of a local path only a full clone has all branches, and costs nothing.
    const shallow = this.#ref === undefined && !this.#isPath;
    let output = await clone(...(shallow ? ["--depth=1"] : []));
    if (!output.success && shallow) output = await clone();
    if (!output.success) throw this.#failure(output);
    // It says when the clone was made, so that it need not be fetched at once again.
    await Deno.writeTextFile(join(temporary, ".git", "FETCH_HEAD"), "");
    if (isThere(directory)) await Deno.remove(directory, { recursive: true });
    await Deno.rename(temporary, directory);
    return true;
  }

  /** Fetches if the clone is too old; finds the commit. */
  async #refresh(): Promise<string> {
    const { maxAge = MAX_AGE } = this.#options;
    const age = ageOf(join(this.#gitDirectory, "FETCH_HEAD"));
    const stale = age === undefined || Math.abs(age) >= maxAge;
    if (stale) await this.#fetch();
    return await this.#find(stale);
  }

  get #isShallow(): boolean {
    return isThere(join(this.#gitDirectory, "shallow"));
  }

  async #fetch(): Promise<void> {
    let output = await this.#inClone(
      ...["fetch", "--quiet", "--force", "--prune"],
      ...(this.#isShallow ? ["--depth=1"] : ["--tags"]),
      "origin",
    );
    if (!output.success && this.#isShallow) {
      // The only branch that it knows may have been removed there.
      output = await this.#fetchAll();
    }
    if (!output.success) {
      await this.#forgetFetch();
      throw this.#failure(output);
    }
    // Without success, what was the default branch stays it.
    await this.#inClone("remote", "set-head", "origin", "--auto");
  }

  /** Gets all branches and tags, with all of their history. */
  async #fetchAll(): Promise<GitOutput> {
    await this.#inClone("config", "remote.origin.fetch", ALL_BRANCHES);
    return await this.#inClone(
      ...["fetch", "--quiet", "--force", "--prune", "--tags"],
      ...(this.#isShallow ? ["--unshallow"] : []),
      "origin",
    );
  }

  /** A failed fetch must not count as one. */
  async #forgetFetch(): Promise<void> {
    const file = join(this.#gitDirectory, "FETCH_HEAD");
    if (isThere(file)) await Deno.remove(file);
  }

  /** Finds the commit, if need be after another fetch. */
  async #find(fetched: boolean): Promise<string> {
    let commit = await this.#lookUp();
    if (commit !== undefined) return commit;
    if (this.#isShallow || !fetched) {
      const output = await this.#fetchAll();
      if (!output.success) {
        await this.#forgetFetch();
        throw this.#failure(output);
      }
      if (this.#ref === undefined) {
        await this.#inClone("remote", "set-head", "origin", "--auto");
      }
      commit = await this.#lookUp();
    }
    if (commit !== undefined) return commit;
    throw this.error(
      this.#ref === undefined
        ? "the repository has no default branch, or is empty"
        : "there is no such branch, tag or commit",
    );
  }

  async #lookUp(): Promise<string | undefined> {
    const ref = this.#ref ?? "HEAD";
    const candidates = [
      `refs/remotes/origin/${ref.replace(/^refs\/heads\//, "")}`,
      // a shallow clone has tags from when it was made, which no fetch moves
      ...(this.#isShallow
        ? []
        : [`refs/tags/${ref.replace(/^refs\/tags\//, "")}`]),
      ...(/^[0-9a-f]{4,64}$/i.test(ref) ? [ref] : []),
    ];
    for (const candidate of candidates) {
      const { success, stdout } = await this.#inClone(
        ...["rev-parse", "--verify", "--quiet", "--end-of-options"],
        `${candidate}^{commit}`,
      );
      if (success) return stdout.trim();
    }
  }
}

/** How long ago a file was written, in milliseconds. */
function ageOf(path: string): number | undefined {
  try {
    const written = Deno.statSync(path).mtime;
    return written ? Date.now() - written.getTime() : undefined;
  } catch {
    return undefined;
  }
}
