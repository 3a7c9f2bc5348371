import { join } from "@std/path/posix/join";
import { findRunDirectories, kindsIn, ownerIn, type Run } from "./_run.ts";
import { factsOf, isAbandoned, probeLock } from "./_verdict.ts";

const HOUR = 3_600_000;

/** Kinds of which nothing would have to be found dead. */
const LEAVES_NOTHING = /^(hosts|reap|image .*)$/;

/** The run file of a script that is dead. */
export interface DeadRun {
  readonly id: string;
  readonly path: string;
  /** Of what the script made: those that still need the file to be found dead. */
  readonly kinds: readonly string[];
  /** Labels of its owner tell as much as the file does. */
  readonly isKnownDead: boolean;
}

/** Run files of dead scripts of this user. */
export async function findDeadRuns(me: Run): Promise<DeadRun[]> {
  const found: DeadRun[] = [];
  for (const [directory, id] of await findRuns()) {
    const run = await readDeadRun(directory, id, me);
    if (run) found.push(run);
  }
  return found;
}

/** The run file of a script that lives. */
export interface LivingRun {
  readonly id: string;
  /** Of what the script made. */
  readonly kinds: readonly string[];
}

/** Run files of living scripts of this user, with that of this script if it has one. */
export async function findLivingRuns(): Promise<LivingRun[]> {
  const found: LivingRun[] = [];
  for (const [directory, id] of await findRuns()) {
    if (id.startsWith(".")) continue;
    const path = join(directory, id);
    if (await probeLock(path) !== "locked") continue;
    const text = await Deno.readTextFile(path).catch(() => undefined);
    if (text === undefined) continue; // it has just ended
    found.push({ id, kinds: kindsIn(text) });
  }
  return found;
}

/** Directory and name of all run files. */
async function findRuns(): Promise<[string, string][]> {
  const found: [string, string][] = [];
  for (const directory of await findRunDirectories()) {
    const names = await Array.fromAsync(Deno.readDir(directory)).catch(
      () => [],
    );
    for (const { name } of names) found.push([directory, name]);
  }
  return found;
}

/**
 * Says of dead runs that nothing of those kinds is left. A run file goes with the
 * last kind: it tells of all else that its owner is dead.
 */
export async function signOff(
  { path, kinds }: DeadRun,
  isClean: (kind: string) => boolean,
): Promise<void> {
  try {
    let left = kinds.filter((kind) => !isClean(kind));
    if (left.length > 0 && left.length < kinds.length) {
      // As others may do at the same time: whoever is last sees it all.
      const signed = kinds.filter(isClean).map((kind) => `-${kind}\n`);
      await Deno.writeTextFile(path, `\n${signed.join("")}`, {
        append: true,
        create: false,
      });
      left = needsIn(await Deno.readTextFile(path));
    }
    if (left.length === 0 && await probeLock(path) === "free") {
      await Deno.remove(path);
    }
  } catch {
    // Somebody else was faster.
  }
}

/** `undefined` if it is not the run file of a dead script, or not ours. */
async function readDeadRun(
  directory: string,
  id: string,
  me: Run,
): Promise<DeadRun | undefined> {
  const path = join(directory, id);
  try {
    if (await probeLock(path) !== "free") return;
    const { mtime } = await Deno.stat(path);
    const isOld = Date.now() - (mtime?.getTime() ?? Date.now()) > HOUR;
    // Nobody takes so long to lock a file.
    if (id.startsWith(".") && !isOld) return;
    const text = await Deno.readTextFile(path);
    const isKnownDead = await isDeadWithoutFile(directory, id, me, text);
    const kinds = needsIn(text).filter((kind) =>
      // Of a container here there may be no more than a name.
      kind === "podman" || !isKnownDead || !isOld
    );
    return { id, path, kinds, isKnownDead };
  } catch {
    return undefined; // gone meanwhile
  }
}

function needsIn(text: string): string[] {
  return kindsIn(text).filter((kind) => !LEAVES_NOTHING.test(kind));
}

async function isDeadWithoutFile(
  directory: string,
  run: string,
  { owner: me }: Run,
  text: string,
): Promise<boolean> {
  const owner = ownerIn(text);
  return owner !== undefined && await isAbandoned({ run, owner }, me, {
    ...factsOf(directory),
    runFile: () => Promise.resolve("missing"),
  });
}
