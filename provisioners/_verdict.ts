import { join } from "@std/path/posix/join";
import {
  type Owner,
  parseOwner,
  startTimeOf,
  UNKNOWN,
} from "../connections/ownership.ts";
import type { Leftover } from "./_leftover.ts";
import type { Run } from "./_run.ts";

/** What an object that outlives processes says about its owner. */
export interface Claim {
  readonly run: string;
  /** An owner, as text. */
  readonly owner: string;
  /** Seconds since 1970 at which the object ends by itself. */
  readonly until?: number;
}

/** What can be found out about processes; replaced in tests. */
export interface Facts {
  /** Seconds since 1970. */
  now(): number;
  runFile(run: string): Promise<"locked" | "free" | "missing">;
  /** `undefined` if we cannot tell. */
  startTimeOf(pid: string): Promise<string | undefined>;
  /** False if the processes of other users may be hidden from us. */
  seesAll(): Promise<boolean>;
}

/** Clocks of different machines differ. */
const CLOCK_SLACK = 600;

/** The facts of this machine, with the run files of that directory. */
export function factsOf(directory: string): Facts {
  return {
    now: () => Date.now() / 1000,
    runFile: (run) => probeLock(join(directory, run)),
    startTimeOf,
    seesAll: async () => await startTimeOf("1") !== undefined,
  };
}

/**
 * Whoever can lock a file that its owner locks for life knows that the owner is dead.
 * What is not a plain file of this user counts as missing: opening a pipe would wait.
 */
export async function probeLock(
  path: string,
): Promise<"locked" | "free" | "missing"> {
  let file: Deno.FsFile;
  try {
    const { isFile, uid } = await Deno.lstat(path);
    if (!isFile || uid !== Deno.uid()) return "missing";
    file = await Deno.open(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "missing";
    throw error;
  }
  using _ = file;
  // Shared: two who look at the same time do not take each other for the owner.
  return await file.tryLock(false) ? "free" : "locked";
}

/**
 * True if the owner of an object is certainly dead, or if the object is overdue.
 * In doubt, its owner lives.
 */
export async function isAbandoned(
  claim: Claim,
  me: Owner,
  facts: Facts,
): Promise<boolean> {
  const overdue = claim.until !== undefined &&
    facts.now() > claim.until + CLOCK_SLACK;
  const owner = parseOwner(claim.owner);
  const sameHost = owner?.hostname === me.hostname &&
    owner.machine === me.machine;
  if (!owner || !sameHost) return overdue;

  const ours = owner.directory === me.directory;
  const file = ours ? await facts.runFile(claim.run) : "missing";
  if (file !== "missing") return file === "free";
  // Somebody cleaned up, or the run files of its user are elsewhere.
  if (owner.bootId !== me.bootId) {
    // Systems without an id may only have the same name.
    return me.machine === UNKNOWN ? overdue : true;
  }
  if (
    owner.pidNamespace !== me.pidNamespace || owner.startTime === UNKNOWN
  ) return overdue;
  if (!ours && !await facts.seesAll()) return overdue;
  return await facts.startTimeOf(owner.pid) !== owner.startTime;
}

/**
 * Whether an owner that seems to be of this machine was there since its last boot.
 * If not, it may as well live on a clone of this machine, with its name and id.
 */
export function isOfThisBoot(owner: string, me: Owner): boolean {
  return parseOwner(owner)?.bootId === me.bootId;
}

/** What is to be thought of an object, by what can be seen from this machine. */
export async function judge(
  claim: Claim,
  me: Run,
  facts: Facts,
): Promise<Leftover["verdict"]> {
  if (claim.run === me.id) return "alive";
  if (await isAbandoned(claim, me.owner, facts)) return "dead";
  return await livesHere(claim, me, facts) ? "alive" : "unknown";
}

/**
 * Whether the owner of an object is a living script of this user on this machine,
 * but not this one.
 */
export function isMine({ run, owner }: Claim, me: Run): boolean {
  const { bootId, directory, hostname, machine } = me.owner;
  const of = parseOwner(owner);
  return run !== me.id && of?.directory === directory &&
    of.bootId === bootId && of.hostname === hostname && of.machine === machine;
}

/** Whether the owner of an object certainly lives, on this machine. */
export async function livesHere(
  { run, owner }: Claim,
  me: Run,
  facts: Facts,
): Promise<boolean> {
  const of = parseOwner(owner);
  if (of?.hostname !== me.owner.hostname || of.bootId !== me.owner.bootId) {
    return false;
  }
  if (
    of.directory === me.owner.directory &&
    await facts.runFile(run) === "locked"
  ) return true;
  return of.pidNamespace === me.owner.pidNamespace &&
    of.startTime !== UNKNOWN &&
    await facts.startTimeOf(of.pid) === of.startTime;
}
