/** Whose something is: what `owner.ts` offers, and what only blocks of this package need. */

/** What tells one process from all others, as far as it is known. Unknown is "-". */
export interface Owner {
  /** Of the system. */
  readonly hostname: string;
  /** Changes with each boot of the kernel. */
  readonly bootId: string;
  /** Its number. */
  readonly pid: string;
  /** When the process began, in ticks of the kernel since its boot. */
  readonly startTime: string;
  /** Tells the directory of its run file from one of the same name elsewhere. */
  readonly directory: string;
  /** In which processes are numbered this way. */
  readonly pidNamespace: string;
  /** Tells systems of the same host name apart. */
  readonly machine: string;
}

/** Stands for what cannot be found out here. */
export const UNKNOWN = "-";

/** The owner as the text of a label: its fields with slashes between. */
export function formatOwner(owner: Owner): string {
  return [
    owner.hostname,
    owner.bootId,
    owner.pid,
    owner.startTime,
    owner.directory,
    owner.pidNamespace,
    owner.machine,
  ].join("/");
}

/** The owner in the text of a label; `undefined` if {@linkcode formatOwner} did not make that. */
export function parseOwner(text: string): Owner | undefined {
  const fields = text.split("/");
  if (fields.length !== 7 || fields.includes("")) return undefined;
  const [
    hostname,
    bootId,
    pid,
    startTime,
    directory,
    pidNamespace,
    machine,
  ] = fields;
  return {
    hostname,
    bootId,
    pid,
    startTime,
    directory,
    pidNamespace,
    machine,
  };
}

/**
 * When a process began; `undefined` if it is dead or we may not see it.
 *
 * @throws {Error} if that cannot be found out at the moment: too many files are open
 */
export async function startTimeOf(pid: string): Promise<string | undefined> {
  let stat: string;
  try {
    stat = await Deno.readTextFile(`/proc/${pid}/stat`);
  } catch (error) {
    // Whoever takes a living process for dead removes what it needs.
    if (/\(os error (23|24|12)\)/.test((error as Error).message)) throw error;
    return undefined;
  }
  return startTimeIn(stat.trim());
}

function startTimeIn(stat: string): string | undefined {
  // The second field is a name in parentheses, which may hold anything.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return "ZX".includes(fields[0]) ? undefined : fields[22 - 3];
}

async function readLine(path: string): Promise<string | undefined> {
  try {
    return (await Deno.readTextFile(path)).trim();
  } catch {
    return undefined; // no Linux, no such process, or it is hidden from us
  }
}

/** A few letters that stand for a text. */
export async function shortHash(text: string): Promise<string> {
  const bytes = new TextEncoder().encode(text);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return digest.slice(0, 6).toHex();
}

/**
 * This process, as far as can be found out here. It has no `directory` of run
 * files.
 *
 * Needs the permissions to read `/proc` and `/etc/machine-id` and to know the
 * name of the system (`--allow-read`, `--allow-sys=hostname`).
 */
export async function thisProcess(): Promise<Owner> {
  const [bootId, startTime, machine, pidNamespace] = await Promise.all([
    readLine("/proc/sys/kernel/random/boot_id"),
    startTimeOf("self"),
    readLine("/etc/machine-id"),
    Deno.readLink("/proc/self/ns/pid").catch(() => ""),
  ]);
  return {
    hostname: Deno.hostname().replaceAll("/", "_") || UNKNOWN,
    bootId: bootId || UNKNOWN,
    pid: String(Deno.pid),
    startTime: startTime ?? UNKNOWN,
    directory: UNKNOWN,
    pidNamespace: namespaceIn(pidNamespace),
    machine: machine ? await shortHash(machine) : UNKNOWN,
  };
}

/**
 * The same as text, if that takes no permission that this process does not have;
 * the user is never asked for one.
 */
export async function thisOwnerIfAllowed(): Promise<string | undefined> {
  const allowed = mayRead("/proc") && mayRead("/etc/machine-id") &&
    Deno.permissions.querySync({ name: "sys", kind: "hostname" }).state ===
      "granted";
  return allowed ? formatOwner(await thisProcess()) : undefined;
}

/**
 * How the name of a temporary directory of this process begins: with what tells
 * others whether the process still lives, if that can be found out.
 */
export function temporaryPrefix(): string {
  if (!mayRead("/proc")) return "atex-";
  try {
    const boot = bootIn(
      Deno.readTextFileSync("/proc/sys/kernel/random/boot_id"),
    );
    const namespace = namespaceIn(Deno.readLinkSync("/proc/self/ns/pid"));
    const start = startTimeIn(Deno.readTextFileSync("/proc/self/stat"));
    if (namespace !== UNKNOWN && start !== undefined) {
      return `atex-${boot}-${namespace}-${Deno.pid}-${start}-`;
    }
  } catch {
    // It can only not be told whose it is.
  }
  return "atex-";
}

/**
 * What {@linkcode temporaryPrefix} says; `undefined` if the name does not begin like that.
 */
export function parseTemporaryName(
  name: string,
):
  | Pick<Owner, "pid" | "startTime" | "pidNamespace"> & {
    /** How `bootId` begins. */
    readonly boot: string;
  }
  | undefined {
  const [, boot, pidNamespace, pid, startTime] =
    /^atex-([0-9a-f]{8})-(\d+)-(\d+)-(\d+)-[A-Za-z0-9]+$/.exec(name) ?? [];
  return boot && pidNamespace && pid && startTime
    ? { boot, pidNamespace, pid, startTime }
    : undefined;
}

/** Enough of the id to tell the machines apart that share a directory. */
function bootIn(bootId: string): string {
  return bootId.slice(0, 8);
}

/**
 * A file of this name keeps a temporary directory from being removed when the
 * process that made it is dead: somebody was told that something is in it.
 */
export const KEPT = ".kept";

function namespaceIn(link: string): string {
  return /\d+/.exec(link)?.[0] ?? UNKNOWN;
}

function mayRead(path: string): boolean {
  return Deno.permissions.querySync({ name: "read", path }).state === "granted";
}
