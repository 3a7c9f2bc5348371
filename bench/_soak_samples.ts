/** What a process holds, at some moments. */
import { statusOf } from "./_once.ts";

/** What there is at one moment. */
export interface Sample {
  /** Tests that have ended. */
  tests: number;
  heap_mib: number;
  rss_mib: number;
  descriptors: number;
  /** Processes below this one. */
  processes: number;
  /** Files and directories below the directory for temporary files. */
  files: number;
}

const MIB = 2 ** 20;

/** Looks, after what is garbage was collected. */
export function sample(tests: number, temporary: string): Sample {
  (globalThis as { gc?: () => void }).gc?.();
  return {
    tests,
    heap_mib: Deno.memoryUsage().heapUsed / MIB,
    rss_mib: statusOf("self", "VmRSS") / 1024,
    // without the one that is open to look
    descriptors: [...Deno.readDirSync("/proc/self/fd")].length - 1,
    processes: descendants(),
    files: entries(temporary),
  };
}

function descendants(): number {
  const parents = new Map<number, number>();
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = Deno.readTextFileSync(`/proc/${name}/stat`);
      const [, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      parents.set(+name, +parent!);
    } catch {
      // it has just ended
    }
  }
  const isBelow = (pid: number): boolean => {
    const parent = parents.get(pid);
    return parent === Deno.pid || parent !== undefined && isBelow(parent);
  };
  return [...parents.keys()].filter(isBelow).length;
}

function entries(directory: string): number {
  let count = 0;
  try {
    for (const { name, isDirectory } of Deno.readDirSync(directory)) {
      count += 1 + (isDirectory ? entries(`${directory}/${name}`) : 0);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return count;
}

/** How something went on from the first quarter of the samples (or what there was after a start) to the last. */
export function course(
  samples: readonly Sample[],
  key: keyof Sample,
): { early: number; late: number; most: number } {
  const values = samples.map((one) => one[key]);
  const quarter = Math.max(1, Math.floor(values.length / 4));
  const median = (list: number[]) =>
    list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)]!;
  return {
    early: median(values.slice(0, quarter)),
    late: median(values.slice(-quarter)),
    most: Math.max(...values),
  };
}
