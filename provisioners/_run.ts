import { join } from "@std/path/posix/join";
import {
  formatOwner,
  type Owner,
  parseOwner,
  shortHash,
  thisProcess,
} from "../connections/ownership.ts";
import { ProvisionError } from "./provisioner.ts";

/** Above the directories in which scripts of this user may keep their run files. */
function places(): string[] {
  const uid = Deno.uid();
  const runtime = Deno.env.get("XDG_RUNTIME_DIR");
  const all = [`/run/user/${uid}/atex`, `/tmp/atex-${uid}`];
  if (runtime?.startsWith("/")) all.unshift(join(runtime, "atex"));
  return [...new Set(all)];
}

/**
 * All directories in which scripts of this user keep their run files. What
 * another user has put in such a place is left out: it may be a trap.
 */
export async function findRunDirectories(): Promise<string[]> {
  const found: string[] = [];
  for (const place of places()) {
    const directory = join(place, "runs");
    if (await isOurs(place) && await isOurs(directory)) found.push(directory);
  }
  return found;
}

async function isOurs(directory: string): Promise<boolean> {
  const info = await Deno.lstat(directory).catch(() => undefined);
  return info?.isDirectory === true && info.uid === Deno.uid();
}

/** The directory in which this user's scripts keep their run files. */
export async function openRunDirectory(): Promise<string> {
  const uid = Deno.uid();
  const runtime = Deno.env.get("XDG_RUNTIME_DIR");
  const candidates = runtime?.startsWith("/") ? [join(runtime, "atex")] : [];
  candidates.push(`/tmp/atex-${uid}`);
  const faults: string[] = [];
  for (const place of candidates) {
    const directory = join(place, "runs");
    const fault = await makePrivate(place, uid) ??
      await makePrivate(directory, uid);
    if (fault === undefined) return directory;
    faults.push(fault);
  }
  throw new ProvisionError(
    `Cannot make a directory for run files: ${faults.join("; ")}`,
    { fatal: true },
  );
}

/**
 * The directories above those of run files, as far as they are there, ours and
 * allowed to this process. The order is the same for all scripts.
 */
export async function openLockDirectories(): Promise<string[]> {
  const own = join(await openRunDirectory(), "..");
  const found: string[] = [];
  for (const directory of places()) {
    const permission = { name: "write", path: directory } as const;
    const { state } = await Deno.permissions.query(permission);
    if (directory !== own && state !== "granted") continue;
    if (await isOurs(directory)) found.push(directory);
  }
  return found.sort();
}

/** Makes a directory that is ours alone; tells what is in the way. */
async function makePrivate(
  path: string,
  uid: number | null,
): Promise<string | undefined> {
  try {
    await Deno.mkdir(path, { mode: 0o700 });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) {
      return `"${path}" cannot be made (${(error as Error).message})`;
    }
  }
  const info = await Deno.lstat(path);
  if (!info.isDirectory) return `"${path}" is not a directory`;
  if (info.uid !== uid) return `"${path}" belongs to user ${info.uid}`;
  if ((info.mode ?? 0) & 0o077) await Deno.chmod(path, 0o700);
}

/** Who we are, for owner labels. */
export async function describeOwner(directory: string): Promise<Owner> {
  const { dev, ino } = await Deno.stat(directory);
  return {
    ...await thisProcess(),
    // The device and number of the directory tell it from that of a container.
    directory: await shortHash(`${directory}:${dev}:${ino}`),
  };
}

/** What this process is known by, as long as somebody holds it. */
export interface Run extends AsyncDisposable {
  /** Ten characters of `a-z0-9`, the same for the life of the process. */
  readonly id: string;
  readonly owner: Owner;
  /** Of the run files of this user's scripts. */
  readonly directory: string;
  /** The run file. */
  readonly file: string;
  /** Says for good that nothing of that kind is left. */
  strike(kind: string): Promise<void>;
}

let runId: string | undefined;
let current: { holders: number; file: Promise<RunFile> } | undefined;
let lastClosed: Promise<void> = Promise.resolve();
let counter = 0;

/** The name of this process in labels and names of what it makes. */
export function getRunId(): string {
  if (runId === undefined) {
    const random = crypto.getRandomValues(new Uint32Array(10));
    const letters = "abcdefghijklmnopqrstuvwxyz0123456789";
    runId = Array.from(random, (n) => letters[n % letters.length]).join("");
  }
  return runId;
}

/** 1, 2, 3 …: no number twice in this process. */
export function nextNumber(): number {
  return ++counter;
}

/** How the names of containers or domains begin, before a number: what is made between start and stop. */
export function newPrefix({ id }: Pick<Run, "id">): string {
  return `atex-${id}-${nextNumber()}-`;
}

/** The id of the run that made what has this name; `undefined` if it is none of ours. */
export function runInName(name: string): string | undefined {
  return /^atex-([a-z0-9]{10})-\d+-\d+$/.exec(name)?.[1];
}

/**
 * Keeps a run file: a file that this process has locked tells others that what
 * carries our run id still has an owner. The kernel unlocks it however we end.
 * All holders share one file; the last one removes it.
 *
 * The file names the kinds of what was made, see {@linkcode kindsIn}.
 */
export async function holdRun(kind: string): Promise<Run> {
  const mine = current ??= {
    holders: 0,
    // Not before the former file of the same name is removed.
    file: lastClosed.then(() => RunFile.open(getRunId())),
  };
  mine.holders++;
  const release = async () => {
    if (--mine.holders > 0) return;
    current = undefined;
    await (lastClosed = mine.file.then((file) => file.close(), () => {}));
  };
  try {
    const file = await mine.file;
    await file.note(kind);
    const { id, owner, directory } = file;
    const stack = new AsyncDisposableStack(); // disposing twice is harmless
    stack.defer(release);
    return {
      id,
      owner,
      directory,
      file: join(directory, id),
      strike: (kind) => file.strike(kind),
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  } catch (error) {
    await release();
    throw error;
  }
}

/**
 * Kinds of what the owner of a run file made, from the text of the file, without
 * those of which somebody has found that nothing is left: there is a line with "-".
 */
export function kindsIn(text: string): string[] {
  const lines = text.split("\n").slice(1).filter((line) => line !== "");
  return lines.filter((line) =>
    !line.startsWith("-") && !lines.includes(`-${line}`)
  );
}

/** The owner of a run file as the text of a label, from the text of the file. */
export function ownerIn(text: string): string | undefined {
  try {
    const owner = formatOwner(JSON.parse(text.split("\n")[0]));
    return parseOwner(owner) && owner;
  } catch {
    return undefined; // its script died while it wrote it
  }
}

class RunFile {
  readonly #kinds = new Set<string>();

  private constructor(
    readonly id: string,
    readonly owner: Owner,
    readonly directory: string,
    private readonly file: Deno.FsFile,
  ) {}

  static async open(id: string): Promise<RunFile> {
    const directory = await openRunDirectory();
    const owner = await describeOwner(directory);
    // Locked before it gets its name: nobody ever finds it unlocked.
    const hidden = join(directory, `.${id}.${crypto.randomUUID()}`);
    using stack = new DisposableStack();
    let file: Deno.FsFile;
    try {
      file = await Deno.open(hidden, {
        createNew: true,
        write: true,
        mode: 0o600,
      });
      stack.use(file);
      if (!await file.tryLock(true)) throw new Error("it is locked already");
      const content = JSON.stringify({
        run: id,
        ...owner,
        user: Deno.uid(),
        script: Deno.mainModule,
        since: new Date().toISOString(),
      });
      await writeLine(file, content);
      await Deno.rename(hidden, join(directory, id));
    } catch (error) {
      await Deno.remove(hidden).catch(() => {});
      throw lockError(directory, error);
    }
    stack.move();
    return new RunFile(id, owner, directory, file);
  }

  /** Says that something of that kind will be made. */
  async note(kind: string): Promise<void> {
    if (this.#kinds.has(kind)) return;
    await this.#write(kind);
    this.#kinds.add(kind);
  }

  strike(kind: string): Promise<void> {
    return this.#write(`-${kind}`);
  }

  async #write(line: string): Promise<void> {
    try {
      await writeLine(this.file, line);
    } catch (error) {
      throw lockError(this.directory, error);
    }
  }

  async close(): Promise<void> {
    // Removed while it is locked: afterwards it might be somebody else's.
    await Deno.remove(join(this.directory, this.id)).catch(() => {});
    this.file.close();
  }
}

async function writeLine(file: Deno.FsFile, line: string): Promise<void> {
  const bytes = new TextEncoder().encode(`${line}\n`);
  for (let done = 0; done < bytes.length;) {
    done += await file.write(bytes.subarray(done));
  }
}

function lockError(directory: string, cause: unknown): ProvisionError {
  return new ProvisionError(
    `Cannot lock a run file in "${directory}": ${(cause as Error).message}`,
    { cause, fatal: true },
  );
}
