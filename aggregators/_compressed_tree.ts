/** The files of a test, compressed. */
import { normalisePath, placeOf, type Result } from "../executors/results.ts";
import type { Compression } from "./_compression.ts";
import type { Compressor, Job } from "./_compressor.ts";
import { copyAttributes, linkIfPossible, lookAt } from "./_move.ts";

/** The longest name that file systems take, in bytes. */
const LONGEST_NAME = 255;

/** Something that is not a directory; paths are relative. */
interface Entry {
  from: string;
  to: string;
  info: Deno.FileInfo;
  compress: boolean;
}

/**
 * What a directory of files becomes when it is compressed. Made without changing
 * anything, so that results can be written with the new names first.
 */
export class CompressedTree {
  readonly #root: string;
  readonly #suffix: string;
  readonly #exclude: ReadonlySet<string>;
  readonly #entries: Entry[] = [];
  /** Directories, outermost first. */
  readonly #directories: { path: string; info: Deno.FileInfo }[] = [];
  /** Paths of files that get another name. */
  readonly #renamed = new Set<string>();

  /** `info` is about the directory `root`. */
  constructor(
    root: string,
    info: Deno.FileInfo,
    { suffix, exclude }: Pick<Required<Compression>, "suffix" | "exclude">,
  ) {
    this.#root = root;
    this.#suffix = suffix;
    this.#exclude = new Set(exclude);
    this.#read("", info);
  }

  /** How much there is but directories. */
  get size(): number {
    return this.#entries.length;
  }

  /** Whether there is nothing but directories. */
  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  /** Whether a file will have this path, or be below it. */
  has(path: string): boolean {
    return this.#entries.some(({ to }) =>
      to === path || to.startsWith(`${path}/`)
    );
  }

  /** The files of a result, with the names that they will have. */
  listed(result: Result): string[] {
    const place = placeOf(result);
    return (result.files ?? []).map((file) => {
      const path = normalisePath(file);
      if (!this.#renamed.has(join(place, path))) return file;
      const [longer, found] = [file + this.#suffix, path + this.#suffix];
      // behind a slash it would be a name of its own
      return normalisePath(longer) === found ? longer : found;
    });
  }

  /** Makes the directory `to`, and in it what is compressed; `scratch` as for {@linkcode Compressor}. */
  async make(
    to: string,
    compressor: Compressor,
    scratch: string,
  ): Promise<void> {
    const jobs: Job[] = [];
    const again: Job[] = [];
    const linked = new Map<string, string>();
    const made = new Set<string>();
    for (const entry of this.#entries) {
      const { info } = entry;
      const job = {
        from: `${this.#root}/${entry.from}`,
        to: `${to}/${entry.to}`,
        info,
      };
      const directory = job.to.slice(0, job.to.lastIndexOf("/"));
      if (!made.has(directory)) Deno.mkdirSync(directory, { recursive: true });
      made.add(directory);
      if (!entry.compress) {
        await this.#keep(entry, job);
        continue;
      }
      const key = `${info.dev}:${info.ino}`;
      const first = linked.get(key);
      if (first === undefined) {
        jobs.push(job);
        if ((info.nlink ?? 1) > 1) linked.set(key, job.to);
      } else again.push({ ...job, from: first });
    }
    await compressor.compress(jobs, scratch);
    for (const { from, to } of again) Deno.linkSync(from, to);
    for (const { path, info } of this.#directories.toReversed()) {
      try {
        copyAttributes(info, join(to, path));
      } catch (error) {
        // there was nothing in it
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
  }

  /** Reads a directory: `""`, or a path that ends with a slash. */
  #read(below: string, info: Deno.FileInfo): void {
    const directory = `${this.#root}/${below}`;
    this.#directories.push({ path: below, info });
    const names = [...Deno.readDirSync(directory)].map(({ name }) => name)
      // whether a longer name is taken must be known first
      .sort((a, b) => b.length - a.length);
    const kept = new Set<string>();
    for (const name of names) {
      const from = below + name;
      const info = lookAt(directory + name);
      if (!info) throw unreachable(directory + name);
      const compress = info.isFile && !this.#exclude.has(name) &&
        this.#canRename(name, kept);
      if (!compress) kept.add(name);
      if (info.isDirectory) {
        this.#read(`${from}/`, info);
        continue;
      }
      const renamed = compress && this.#suffix !== "";
      if (renamed) this.#renamed.add(from);
      this.#entries.push({
        from,
        to: renamed ? from + this.#suffix : from,
        info,
        compress,
      });
    }
  }

  #canRename(name: string, kept: ReadonlySet<string>): boolean {
    if (this.#suffix === "") return true;
    const longer = name + this.#suffix;
    return !kept.has(longer) &&
      (longer.length <= LONGEST_NAME / 3 ||
        new TextEncoder().encode(longer).length <= LONGEST_NAME);
  }

  /** Puts something to its place that is not compressed. */
  async #keep(entry: Entry, { from, to, info }: Job): Promise<void> {
    if (info.isSymlink) {
      return Deno.symlinkSync(this.#aimOf(entry.from), to);
    }
    if (!info.isFile) return linkIfPossible(from, to);
    try {
      Deno.linkSync(from, to);
    } catch {
      // on another file system, or on one without links
      await Deno.copyFile(from, to);
      copyAttributes(info, to);
    }
  }

  /** Where a link is to lead: a file of the same test may have got another name. */
  #aimOf(link: string): string {
    const aim = Deno.readLinkSync(`${this.#root}/${link}`);
    if (aim.startsWith("/")) return aim;
    const [way, name] = cut(aim);
    let directory: string;
    let root: string;
    try {
      root = Deno.realPathSync(this.#root);
      directory = Deno.realPathSync(`${this.#root}/${cut(link)[0]}${way}`);
    } catch {
      // it leads nowhere, or in a circle
      return aim;
    }
    if (!`${directory}/`.startsWith(`${root}/`)) return aim;
    const target = join(directory.slice(root.length + 1), name);
    return this.#renamed.has(target) ? aim + this.#suffix : aim;
  }
}

/** The error for something that was there a moment ago, under a name as far as we can read it. */
function unreachable(path: string): Deno.errors.NotFound {
  return new Deno.errors.NotFound(
    `Cannot compress ${
      JSON.stringify(path)
    }: it is gone, or its name is not UTF-8`,
  );
}

/** A path as what leads to its last part, and that part. */
function cut(path: string): [way: string, name: string] {
  const end = path.lastIndexOf("/") + 1;
  return [path.slice(0, end), path.slice(end)];
}

function join(directory: string, name: string): string {
  return directory === "" || directory.endsWith("/")
    ? directory + name
    : `${directory}/${name}`;
}
