import { join } from "@std/path/join";
import type { Leftover } from "./_leftover.ts";
import { runDirectories } from "./_run.ts";
import { probeRunFile } from "./_verdict.ts";

/** Younger directories may be just being made, or looked into by somebody. */
const HOUR = 3_600_000;

export interface DirectoryOptions {
  readonly ssh: boolean;
  readonly temporary: boolean;
  readonly directories: readonly string[];
  readonly dryRun: boolean;
  readonly signal: AbortSignal;
}

/** Of this user: directories of ssh connections and of runs. */
export async function reapDirectories(
  options: DirectoryOptions,
): Promise<Leftover[]> {
  const { ssh, temporary, directories, dryRun, signal } = options;
  const found: Leftover[] = [];
  const users = new Lazy(readProcesses);
  for (const directory of directories) {
    for (const name of await namesIn(directory)) {
      signal.throwIfAborted();
      const path = join(directory, name);
      const run = /^atex-([a-z0-9]{10})-[A-Za-z0-9]+$/.exec(name)?.[1];
      const isSsh = /^atex-ssh-[A-Za-z0-9]+$/.test(name);
      if (isSsh ? !ssh : !run || !temporary) continue;
      const info = await Deno.lstat(path).catch(() => undefined);
      if (!info?.isDirectory || info.uid !== Deno.uid()) continue;
      const age = Math.max(
        0,
        Date.now() - (info.mtime?.getTime() ?? Date.now()),
      );
      const used = (await users.get()).includes(path);
      const verdict = used
        ? "alive"
        : isSsh
        ? await judgeSsh(path, age)
        : await judgeRun(run!, age);
      let error: Error | undefined;
      if (verdict === "dead" && !dryRun) {
        await Deno.remove(path, { recursive: true }).catch((reason) => {
          if (!(reason instanceof Deno.errors.NotFound)) error = reason;
        });
      }
      found.push({
        kind: isSsh ? "ssh" : "directory",
        name: path,
        ...(!isSsh && { run }),
        age,
        verdict,
        removed: verdict === "dead" && !dryRun && !error,
        ...(error && { error }),
      });
    }
  }
  return found;
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

/** Whoever shares a connection needs that its master answers. */
async function judgeSsh(
  path: string,
  age: number,
): Promise<Leftover["verdict"]> {
  const names = (await Array.fromAsync(Deno.readDir(path)).catch(() => []))
    .map(({ name }) => name);
  if (names.includes("s")) {
    try {
      const connection = await Deno.connect({
        transport: "unix",
        path: join(path, "s"),
      });
      connection.close();
      return "alive";
    } catch (error) {
      return error instanceof Deno.errors.ConnectionRefused
        ? "dead"
        : "unknown";
    }
  }
  // Those with a password may be idle: nothing tells whose they are.
  return names.length === 0 && age > HOUR ? "dead" : "unknown";
}

/** A run that lives has its run file locked, wherever that is. */
async function judgeRun(
  run: string,
  age: number,
): Promise<Leftover["verdict"]> {
  for (const directory of runDirectories()) {
    const state = await probeRunFile(join(directory, run));
    if (state === "locked") return "alive";
    if (state === "free") return "dead";
  }
  return age > HOUR ? "dead" : "unknown";
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

/** Found out once, if at all. */
class Lazy<T> {
  readonly #make: () => Promise<T>;
  #value?: Promise<T>;

  constructor(make: () => Promise<T>) {
    this.#make = make;
  }

  get(): Promise<T> {
    return this.#value ??= this.#make();
  }
}
