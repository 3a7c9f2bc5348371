import { basename } from "@std/path/posix/basename";
import { join } from "@std/path/posix/join";
import {
  KEPT,
  parseOwner,
  parseTemporaryName,
  startTimeOf,
} from "../connections/ownership.ts";
import { ageOf, type Candidate, type Leftover } from "./_leftover.ts";
import type { Run } from "./_run.ts";
import { factsOf, isAbandoned, livesHere, probeLock } from "./_verdict.ts";

/** A younger directory may be just being made. */
const HOUR = 3_600_000;

type DirectoryKind = "ssh" | "directory" | "work";
type Verdict = Leftover["verdict"];

export interface DirectoryOptions {
  readonly kinds: ReadonlySet<string>;
  readonly directories: readonly string[];
  readonly me: Run;
  readonly signal: AbortSignal;
}

/** Where scripts make their directories. */
export function temporaryDirectories(): string[] {
  const temporary = Deno.env.get("TMPDIR");
  return [...new Set(["/tmp", ...(temporary ? [temporary] : [])])];
}

/** Of this user: directories of ssh connections, of scripts, and of tests. */
export async function findDirectories(
  { kinds, directories, me, signal }: DirectoryOptions,
): Promise<Candidate[]> {
  const found: Candidate[] = [];
  let processes: Promise<string> | undefined; // read once, if at all
  for (const directory of directories) {
    for (const name of await namesIn(directory)) {
      signal.throwIfAborted();
      const path = join(directory, name);
      const info = await Deno.lstat(path).catch(() => undefined);
      if (!info?.isDirectory || info.uid !== Deno.uid()) continue;
      const kind = kindOf(name);
      if (kind === undefined || !kinds.has(kind)) continue;
      const age = ageOf(info.mtime?.getTime());
      const { verdict: guess, ...known } = await judge(kind, path, age, me);
      const isUsed = guess !== "alive" &&
        (await (processes ??= readProcesses())).includes(path);
      const verdict = isUsed ? "alive" : guess;
      found.push({
        kind,
        name: path,
        ...known,
        age,
        verdict,
        remove: () => remove(path),
      });
    }
  }
  return found;
}

function kindOf(name: string): DirectoryKind | undefined {
  if (/^atex-ssh-[A-Za-z0-9]+$/.test(name)) return "ssh";
  if (parseTemporaryName(name)) return "directory";
  return isWorkDirectory(name) ? "work" : undefined;
}

/** Whether a name or path is as those of directories of tests. */
export function isWorkDirectory(path: string): boolean {
  return /(^|\/)atex-[A-Za-z0-9]{10}$/.test(path);
}

async function judge(
  kind: DirectoryKind,
  path: string,
  age: number,
  me: Run,
): Promise<{ verdict: Verdict; owner?: string; kept?: true }> {
  if (kind === "ssh") return { verdict: await judgeSsh(path, age) };
  if (kind === "work") {
    const owner = await Deno.readTextFile(join(path, "owner"))
      .then((text) => text.trim(), () => "");
    return {
      ...(parseOwner(owner) && { owner }),
      verdict: await judgeWork(owner, me),
    };
  }
  const verdict = await judgeProcess(basename(path), me);
  const isKept = await Deno.lstat(join(path, KEPT)).then(
    () => true,
    () => false,
  );
  return isKept
    ? { verdict: verdict === "dead" ? "unknown" : verdict, kept: true }
    : { verdict };
}

async function remove(path: string): Promise<void> {
  try {
    await Deno.remove(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(directory)))
      .map(({ name }) => name).filter((name) => name.startsWith("atex-"))
      .sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/**
 * What is to be thought of a directory of a test. The script that it runs for has
 * said who it is, unless it was not allowed to find out.
 */
export async function judgeWork(owner: string, me: Run): Promise<Verdict> {
  const known = parseOwner(owner);
  if (!known) return "unknown";
  // Scripts of other machines come by ssh: what became of them is not to be seen.
  const claim = { run: "", owner };
  const facts = factsOf(me.directory);
  if (await livesHere(claim, me, facts)) return "alive";
  const isDead = known.machine === me.owner.machine &&
    await isAbandoned(claim, me.owner, facts);
  return isDead ? "dead" : "unknown";
}

/** The name of the directory tells the process that made it. */
async function judgeProcess(name: string, me: Run): Promise<Verdict> {
  const { boot, pid, startTime, pidNamespace } = parseTemporaryName(name)!;
  // That of another machine, which has the directory as well, or of one that was restarted.
  if (!me.owner.bootId.startsWith(boot)) return "unknown";
  // That of another container, or nobody's any more.
  if (pidNamespace !== me.owner.pidNamespace) return "unknown";
  if (await startTimeOf(pid) === startTime) return "alive";
  // Where processes are hidden from us, a living one looks dead.
  return await startTimeOf("1") === undefined ? "unknown" : "dead";
}

/** Its owner has a lock in it, and whoever shares a connection a master that answers. */
async function judgeSsh(path: string, age: number): Promise<Verdict> {
  try {
    const owner = await probeLock(join(path, "owner"));
    const master = await callMaster(join(path, "s"));
    if (owner === "locked" || master === "answers") return "alive";
    const isDead = owner === "free" || master === "dead" ||
      age > HOUR && await isJustMade(path);
    return isDead && await isOfSsh(path) ? "dead" : "unknown";
  } catch {
    return "unknown"; // gone meanwhile, or not to be looked into
  }
}

/** Its script died before it could say whose it is: there is nothing in it. */
async function isJustMade(path: string): Promise<boolean> {
  if (!/-[0-9a-f]{10,16}$/.test(path)) return false;
  const entries = await Array.fromAsync(Deno.readDir(path));
  return entries.every(({ name }) => name === ".owner");
}

/** Users may call a directory like that, too: only what ours have may be in it. */
async function isOfSsh(path: string): Promise<boolean> {
  for (const { name } of await Array.fromAsync(Deno.readDir(path))) {
    const isProgram = name === "askpass" || name === "shell";
    if (!isProgram && !/^(\.?owner|s(\.\w+)?)$/.test(name)) return false;
    const { isDirectory, size } = await Deno.lstat(join(path, name));
    if (isDirectory || size > 0 && !isProgram) return false;
  }
  return true;
}

async function callMaster(
  socket: string,
): Promise<"answers" | "dead" | "unknown"> {
  try {
    if (!(await Deno.lstat(socket)).isSocket) return "unknown";
    const connection = await Deno.connect({ transport: "unix", path: socket });
    connection.close();
    return "answers";
  } catch (error) {
    return error instanceof Deno.errors.ConnectionRefused ? "dead" : "unknown";
  }
}

/** Command lines and environments of all processes that we may look at. */
async function readProcesses(): Promise<string> {
  const texts: string[] = [];
  const entries = await Array.fromAsync(Deno.readDir("/proc")).catch(() => []);
  for (const { name } of entries) {
    if (!/^\d+$/.test(name)) continue;
    for (const file of ["cmdline", "environ"]) {
      texts.push(
        await Deno.readTextFile(`/proc/${name}/${file}`)
          .catch(() => ""),
      );
    }
  }
  return texts.join("\n");
}
