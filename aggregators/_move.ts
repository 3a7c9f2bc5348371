/** Moving the files of a test to their place: all of them, or none. */

/** Is told what will be renamed. */
type Note = (renames: readonly [from: string, to: string][]) => void;

/** Where the files of all tests go. */
export interface Shelf {
  readonly root: string;
  /**
   * Directories below it that were seen to be there: to look again for each test would
   * take longer than to move it. True if nothing in one is an empty directory, which a
   * rename would replace.
   */
  readonly seen: Map<string, boolean>;
}

/** Directories that are remembered. */
const MOST_SEEN = 1000;

/**
 * Moves a directory to a place on a shelf. What is there already stays, and
 * nothing lands on it. Every method is one synchronous step, so that nobody sees
 * half of it.
 */
export class Move {
  readonly #shelf: Shelf;
  readonly #place: string;
  readonly #from: string;
  /** Directories that were made for it, outermost first. */
  readonly #made: string[] = [];
  /** What was renamed, with the new path. */
  readonly #renamed: [from: string, to: string][] = [];
  /** Directories that were emptied, outermost first. */
  readonly #emptied: string[] = [];

  readonly #isEmpty: boolean;
  readonly #note: Note | undefined;

  /**
   * `place` is a normalised path. `isEmpty` tells whether there may be nothing in the
   * directory; `note` is told what will be renamed.
   */
  constructor(
    from: string,
    shelf: Shelf,
    place: string,
    { isEmpty = false, note }: { isEmpty?: boolean; note?: Note | undefined } =
      {},
  ) {
    this.#isEmpty = isEmpty;
    this.#note = note;
    this.#from = from;
    this.#shelf = shelf;
    this.#place = place;
  }

  /** Where the directory goes. */
  get target(): string {
    return `${this.#shelf.root}/${this.#place}`;
  }

  /**
   * Moves; if that fails, all is as it was.
   *
   * @throws {Deno.errors.NotADirectory} if what is to be moved is not a directory
   * @throws {Deno.errors.AlreadyExists} if a file, or a directory, would land on a file
   */
  do(): void {
    const { target } = this;
    const parent = target.slice(0, target.lastIndexOf("/"));
    try {
      this.#makeParents(parent);
      if (this.#renameAtOnce(parent, target)) return;
      if (!Deno.lstatSync(this.#from).isDirectory) {
        throw notADirectory(this.#from);
      }
      if (this.#make(target)) {
        this.#note?.([[this.#from, target]]);
        // onto the empty directory that was just made
        Deno.renameSync(this.#from, target);
        this.#made.pop();
        this.#renamed.push([this.#from, target]);
      } else {
        const renames = this.#plan(this.#from, target);
        this.#note?.(renames);
        // empty directories may come to where there were none
        this.#shelf.seen.clear();
        for (const [from, to] of renames) {
          Deno.renameSync(from, to);
          this.#renamed.push([from, to]);
        }
      }
    } catch (error) {
      this.undo();
      // somebody may have removed what was seen
      if (isGone(parent) && this.#shelf.seen.delete(parent)) return this.do();
      throw error;
    }
  }

  /** Moves back. */
  undo(): void {
    for (const [from, to] of this.#renamed.splice(0).reverse()) {
      Deno.renameSync(to, from);
    }
    for (const path of this.#made.splice(0).reverse()) {
      this.#shelf.seen.delete(path);
      Deno.removeSync(path);
    }
    this.#emptied.length = 0;
  }

  /** Removes the directories that are empty now. */
  finish(): void {
    for (const path of this.#emptied.splice(0).reverse()) {
      try {
        Deno.removeSync(path);
      } catch {
        // somebody else put something into it: it is the caller's
      }
    }
  }

  #makeParents(parent: string): void {
    const { root, seen } = this.#shelf;
    if (seen.has(parent)) return;
    let path = root;
    let isNew = false;
    for (const part of this.#place.split("/").slice(0, -1)) {
      path += `/${part}`;
      const found = lookAt(path);
      isNew = !found && this.#make(path);
      // a link that a test left would lead elsewhere
      if (found && !found.isDirectory) throw occupied(path);
    }
    if (seen.size >= MOST_SEEN) seen.clear();
    seen.set(parent, isNew);
  }

  /** Moves by one step, if that cannot replace anything; returns whether it did. */
  #renameAtOnce(parent: string, target: string): boolean {
    const { seen } = this.#shelf;
    if (this.#isEmpty) seen.set(parent, false);
    if (this.#note || !seen.get(parent)) return false;
    try {
      // with the slash at its end, only a directory is renamed
      Deno.renameSync(`${this.#from}/`, target);
    } catch (error) {
      if (isCrossDevice(error)) throw error;
      return false; // something is there, which may be a directory to move into
    }
    this.#renamed.push([this.#from, target]);
    return true;
  }

  /** Makes a directory; returns whether there was nothing. */
  #make(path: string): boolean {
    try {
      Deno.mkdirSync(path);
    } catch (error) {
      if (error instanceof Deno.errors.AlreadyExists) return false;
      throw error;
    }
    this.#made.push(path);
    return true;
  }

  /** What is to be renamed: whole directories where nothing is in the way. */
  #plan(from: string, to: string): [from: string, to: string][] {
    const found = lookAt(to);
    if (!found) return [[from, to]];
    if (!found.isDirectory || !Deno.lstatSync(from).isDirectory) {
      throw occupied(to);
    }
    this.#emptied.push(from);
    return [...Deno.readDirSync(from)].flatMap(({ name }) =>
      this.#plan(`${from}/${name}`, `${to}/${name}`)
    );
  }
}

/** Whether nothing is at a path, for there is nothing on the way, or a file. */
function isGone(path: string): boolean {
  try {
    return !lookAt(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotADirectory) return true;
    throw error;
  }
}

/** What is at a path; links are not followed. */
export function lookAt(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.lstatSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function occupied(path: string): Deno.errors.AlreadyExists {
  return new Deno.errors.AlreadyExists(
    `Cannot move files to "${path}": something else is there already`,
  );
}

/** The error for files of a test whose path is not a directory. */
export function notADirectory(path: string): Deno.errors.NotADirectory {
  return new Deno.errors.NotADirectory(
    `Cannot ingest the files in "${path}": it is not a directory`,
  );
}

/** Whether a rename failed because the new path is on another file system. */
export function isCrossDevice(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EXDEV";
}

/**
 * Copies a directory with modes, times, symbolic links, and hard links within it. Sockets,
 * devices and named pipes hold nothing: they are linked, or left out where that
 * is impossible, on another file system.
 */
export async function copyTree(
  from: string,
  to: string,
  linked: Map<string, string> = new Map(),
): Promise<void> {
  const info = Deno.lstatSync(from);
  Deno.mkdirSync(to);
  for (const entry of Deno.readDirSync(from)) {
    const source = `${from}/${entry.name}`;
    const target = `${to}/${entry.name}`;
    if (entry.isDirectory) await copyTree(source, target, linked);
    else if (entry.isSymlink) {
      Deno.symlinkSync(Deno.readLinkSync(source), target);
    } else if (entry.isFile) await copyFile(source, target, linked);
    else linkIfPossible(source, target);
  }
  copyAttributes(info, to);
}

/** For what is neither a file nor a directory nor a symbolic link. */
export function linkIfPossible(from: string, to: string): void {
  try {
    Deno.linkSync(from, to);
  } catch {
    // there is nothing in it that could be lost
  }
}

async function copyFile(
  from: string,
  to: string,
  linked: Map<string, string>,
): Promise<void> {
  const info = Deno.lstatSync(from);
  const key = `${info.dev}:${info.ino}`;
  if ((info.nlink ?? 1) > 1) {
    const first = linked.get(key);
    if (first !== undefined) return Deno.linkSync(first, to);
    linked.set(key, to);
  }
  // the only step that may take long
  await Deno.copyFile(from, to);
  copyAttributes(info, to);
}

/** Gives a file or directory mode and times of another. */
export function copyAttributes(info: Deno.FileInfo, path: string): void {
  if (info.mode !== null) Deno.chmodSync(path, info.mode & 0o7777);
  copyTimes(info, path);
}

/** Gives a file or directory the times of another. */
export function copyTimes(
  { atime, mtime }: Deno.FileInfo,
  path: string,
): void {
  if (atime && mtime) Deno.utimeSync(path, atime, mtime);
}
