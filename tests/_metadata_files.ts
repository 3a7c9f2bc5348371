/**
 * Files and repositories that cases describe.
 */
import { dirname } from "@std/path/posix/dirname";
import { join } from "@std/path/posix/join";

/** Path → what is there. */
export type Files = Record<
  string,
  string | { symlink: string } | { base64: string } | { dir: true }
>;

/** A git repository to make: files of each branch, the first being the default one. */
export interface RepositoryCase {
  branches: Record<string, Files>;
  tags?: Record<string, string>;
  bare?: boolean;
}

/** Writes files below a directory, and the marker of a tree unless it is not wanted. */
export async function writeFiles(
  directory: string,
  files: Files,
  bare = false,
): Promise<void> {
  const marked = bare || ".fmf" in files || ".fmf/version" in files;
  const all: Files = marked ? files : { ".fmf/version": "1\n", ...files };
  await Deno.mkdir(directory, { recursive: true });
  for (const [name, content] of Object.entries(all)) {
    const path = join(directory, name);
    await Deno.mkdir(dirname(path), { recursive: true });
    if (typeof content === "string") await Deno.writeTextFile(path, content);
    else if ("symlink" in content) await Deno.symlink(content.symlink, path);
    else if ("base64" in content) {
      await Deno.writeFile(path, Uint8Array.fromBase64(content.base64));
    } else await Deno.mkdir(path, { recursive: true });
  }
}

/** Runs git, with nothing of the user's configuration. */
export async function git(
  cwd: string,
  ...args: string[]
): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("git", {
    args,
    cwd,
    stdin: "null",
    env: {
      GIT_CONFIG_GLOBAL: "/dev/null",
      GIT_CONFIG_SYSTEM: "/dev/null",
      GIT_AUTHOR_NAME: "Author",
      GIT_AUTHOR_EMAIL: "author@example.com",
      GIT_COMMITTER_NAME: "Author",
      GIT_COMMITTER_EMAIL: "author@example.com",
    },
  }).output();
  const text = new TextDecoder().decode(stdout).trim();
  if (success) return text;
  throw new Error(
    `git ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`,
  );
}

/** Makes a repository with one unrelated commit per branch. */
export async function makeRepository(
  directory: string,
  { branches, tags = {}, bare }: RepositoryCase,
): Promise<void> {
  await Deno.mkdir(directory, { recursive: true });
  const [first, ...others] = Object.keys(branches);
  await git(directory, "init", "-q", "-b", first);
  for (const branch of [first, ...others]) {
    if (branch !== first) {
      await git(directory, "checkout", "-q", "--orphan", branch);
      await git(directory, "rm", "-rfq", "--ignore-unmatch", ".");
    }
    await writeFiles(directory, branches[branch], bare);
    await git(directory, "add", "-A", "-f");
    await git(directory, "commit", "-q", "--allow-empty", "-m", branch);
  }
  for (const [tag, branch] of Object.entries(tags)) {
    await git(directory, "tag", tag, branch);
  }
  if (others.length > 0) await git(directory, "checkout", "-q", first);
}

/** Sorted paths of all files; links as `path -> target`, `.git` as one entry. */
export async function layoutOf(
  directory: string,
  leaveOutGit: boolean,
): Promise<string[]> {
  const result: string[] = [];
  const walk = async (prefix: string) => {
    for await (
      const { name, ...entry } of Deno.readDir(join(directory, prefix))
    ) {
      const path = prefix + name;
      if (name === ".git" && leaveOutGit) continue;
      if (entry.isSymlink) {
        result.push(`${path} -> ${await Deno.readLink(join(directory, path))}`);
      } else if (!entry.isDirectory) result.push(path);
      else if (name === ".git") result.push(`${path}/`);
      else await walk(`${path}/`);
    }
  };
  await walk("");
  return result.sort();
}

/** A temporary directory with these files. */
export async function temporaryTree(
  files: Files,
  bare = false,
): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir({ prefix: "atex-test-" });
  await writeFiles(path, files, bare);
  return {
    path,
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

/** Sets a variable of the environment until it is disposed of. */
export function temporaryVariable(name: string, value: string): Disposable {
  const before = Deno.env.get(name);
  Deno.env.set(name, value);
  return {
    [Symbol.dispose]() {
      if (before === undefined) Deno.env.delete(name);
      else Deno.env.set(name, before);
    },
  };
}
