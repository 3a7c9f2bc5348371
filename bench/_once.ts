/** What is measured, in a process of its own. */
import type { Cost, ProcessCost } from "./_compare.ts";

/** Runs a module with Deno, as users do, and returns what it printed. */
export async function runProcess(
  url: string,
  args: readonly string[] = [],
  options: Deno.CommandOptions = {},
): Promise<string> {
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-qA", "--no-check", url, ...args],
    stdin: "null",
    stderr: "inherit",
    ...options,
  }).output();
  if (!success) throw new Error("the measured process failed");
  return new TextDecoder().decode(stdout);
}

/** Runs a module of this folder as a process; it prints a {@linkcode Cost}. */
export async function measureOnce(
  module: string,
  args: readonly (string | number)[],
  options: Deno.CommandOptions = {},
): Promise<Cost> {
  const url = import.meta.resolve(module);
  return JSON.parse(await runProcess(url, args.map(String), options));
}

/** Starts to measure this process and its children; the result tells what they cost until it is called. */
export function measure(): () => ProcessCost {
  const start = performance.now();
  const before = [cpuOf(SELF), cpuOf(CHILDREN)];
  return () => {
    const wall_ms = performance.now() - start;
    return {
      wall_ms,
      cpu_ms: cpuOf(SELF) - before[0],
      children_cpu_ms: cpuOf(CHILDREN) - before[1],
      peak_mib: statusOf("self", "VmHWM") / 1024,
    };
  };
}

/** What this process cost since it began. */
export function total(): ProcessCost {
  return {
    wall_ms: performance.now(),
    cpu_ms: cpuOf(SELF),
    children_cpu_ms: cpuOf(CHILDREN),
    peak_mib: statusOf("self", "VmHWM") / 1024,
  };
}

/** A number of `/proc/PID/status`. */
export function statusOf(pid: string, field: string): number {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  return Number(new RegExp(`^${field}:\\s*(\\d+)`, "m").exec(status)?.[1]);
}

/**
 * Calls and bytes of reads and writes of this process from now on; `/proc/self/io`
 * would count those of its children, too. What a thread did that has ended by then
 * does not count.
 */
export function countIo(): () => Record<string, number> {
  const before = ioOfThreads();
  return () => {
    const sum: Record<string, number> = {};
    for (const [thread, counts] of ioOfThreads()) {
      for (const [field, count] of Object.entries(counts)) {
        const since = before.get(thread)?.[field] ?? 0;
        sum[field] = (sum[field] ?? 0) + count - since;
      }
    }
    return sum;
  };
}

function ioOfThreads(): Map<string, Record<string, number>> {
  const threads = new Map<string, Record<string, number>>();
  for (const { name } of Deno.readDirSync("/proc/self/task")) {
    let text: string;
    try {
      text = Deno.readTextFileSync(`/proc/self/task/${name}/io`);
    } catch {
      continue; // it has ended
    }
    const counts = [...text.matchAll(/^(\w+): (\d+)$/gm)]
      .map(([, field, count]) => [field, Number(count)]);
    threads.set(name, Object.fromEntries(counts));
  }
  return threads;
}

/**
 * How often threads of this process give up the processor from now on, to wait for
 * something. Threads that have ended by then do not count.
 */
export function countSwitches(): () => number {
  const before = switchesOfThreads();
  return () => {
    let sum = 0;
    for (const [thread, count] of switchesOfThreads()) {
      sum += count - (before.get(thread) ?? 0);
    }
    return sum;
  };
}

function switchesOfThreads(): Map<string, number> {
  const threads = new Map<string, number>();
  for (const { name } of Deno.readDirSync("/proc/self/task")) {
    try {
      const path = `self/task/${name}`;
      threads.set(name, statusOf(path, "voluntary_ctxt_switches"));
    } catch {
      // it has ended
    }
  }
  return threads;
}

const SELF = 0;
const CHILDREN = -1;

const libc = Deno.dlopen("libc.so.6", {
  getrusage: { parameters: ["i32", "buffer"], result: "i32" },
});

/** CPU time in milliseconds, of this process or of children that have ended; `/proc` has only ticks of 10 ms. */
function cpuOf(who: number): number {
  const usage = new BigInt64Array(18);
  libc.symbols.getrusage(who, usage);
  const [seconds, us, moreSeconds, moreUs] = [...usage].map(Number);
  return (seconds + moreSeconds) * 1000 + (us + moreUs) / 1000;
}

/** How many regular files there are below a directory, and how many bytes in them. */
export function sizeOf(directory: string): { files: number; bytes: number } {
  const size = { files: 0, bytes: 0 };
  for (const { name, isDirectory } of Deno.readDirSync(directory)) {
    const path = `${directory}/${name}`;
    const { files, bytes } = isDirectory
      ? sizeOf(path)
      : { files: 1, bytes: Deno.statSync(path).size };
    size.files += files;
    size.bytes += bytes;
  }
  return size;
}

/** A directory on a memory file system, where there is one. */
export function temporaryDirectory(): string {
  const prefix = "atex-bench-";
  try {
    return Deno.makeTempDirSync({ prefix, dir: "/dev/shm" });
  } catch {
    return Deno.makeTempDirSync({ prefix });
  }
}
