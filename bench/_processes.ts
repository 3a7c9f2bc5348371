/** Counting processes, with strace. */
import { missingPrograms } from "../tests/_parts.ts";

/** Why processes cannot be counted here, if so. */
export const straceMissing = (): string | undefined =>
  missingPrograms("strace");

/** What happened while a command ran. */
export interface Processes {
  /** Programs that were started. */
  execs: number;
  /** Processes that were made, of whatever parent. */
  forks: number;
  /** Those that the command itself made. */
  children: number;
  /** How often each program was started, by its name. */
  programs: Record<string, number>;
}

/** Runs Deno on a module under strace and counts. */
export async function countProcesses(
  module: string,
  args: readonly string[],
): Promise<Processes> {
  const log = await Deno.makeTempFile({ prefix: "atex-bench-" });
  try {
    const { success } = await new Deno.Command("strace", {
      args: [
        "-f",
        "--seccomp-bpf",
        "-qq",
        "-s0",
        "-e",
        "trace=execve,clone,clone3,fork,vfork",
        "-e",
        "signal=none",
        "-o",
        log,
        Deno.execPath(),
        "run",
        "-qA",
        "--no-check",
        import.meta.resolve(module),
        ...args,
      ],
      stdin: "null",
      stdout: "null",
      stderr: "inherit",
    }).spawn().status;
    if (!success) throw new Error(`${module} failed under strace`);
    return countIn(await Deno.readTextFile(log));
  } finally {
    await Deno.remove(log);
  }
}

function countIn(log: string): Processes {
  const counts: Processes = { execs: 0, forks: 0, children: 0, programs: {} };
  const threads = new Set<string>();
  for (const [pid, call] of callsIn(log)) {
    if (threads.size === 0) threads.add(pid);
    const program = /^execve\("([^"]*)"/.exec(call)?.[1];
    if (program !== undefined) {
      if (!/= 0$/.test(call)) continue; // searched along the PATH
      const name = program.split("/").at(-1)!;
      counts.execs++;
      counts.programs[name] = (counts.programs[name] ?? 0) + 1;
      continue;
    }
    const made = /^(?:clone3?|v?fork)\b.* = (\d+)/.exec(call)?.[1];
    if (made === undefined) continue;
    if (call.includes("CLONE_THREAD")) {
      if (threads.has(pid)) threads.add(made);
      continue;
    }
    counts.forks++;
    if (threads.has(pid)) counts.children++;
  }
  return counts;
}

/** The system calls, each as one line even if another one came in between. */
function* callsIn(log: string): Generator<[pid: string, call: string]> {
  const begun = new Map<string, string>();
  for (const line of log.split("\n")) {
    const [, pid, text] = /^(\d+) +(.*)$/.exec(line) ?? [];
    if (pid === undefined) continue;
    const start = /^(.*) <unfinished \.\.\.>$/.exec(text)?.[1];
    if (start !== undefined) {
      begun.set(pid, start);
      continue;
    }
    const rest = /^<\.\.\. \w+ resumed>(.*)$/.exec(text)?.[1];
    yield [pid, rest === undefined ? text : `${begun.get(pid) ?? ""}${rest}`];
  }
}

/** What ten more of something cost, for each. */
export async function processesOfEach(
  module: string,
  argsFor: (count: number) => readonly string[],
  from = 5,
): Promise<Processes> {
  const few = await countProcesses(module, argsFor(from));
  const more = await countProcesses(module, argsFor(from + 10));
  const each = (of: (one: Processes) => number) => (of(more) - of(few)) / 10;
  return {
    execs: each(({ execs }) => execs),
    forks: each(({ forks }) => forks),
    children: each(({ children }) => children),
    programs: Object.fromEntries(
      Object.keys(more.programs)
        .map((name) =>
          [name, each(({ programs }) => programs[name] ?? 0)] as const
        )
        .filter(([, count]) => count > 0),
    ),
  };
}
