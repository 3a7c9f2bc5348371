/** What is measured, in a process of its own. */
import process from "node:process";
import type { Measurement } from "./_compare.ts";

/** What the process finds out about itself. */
export type Cost = Pick<
  Measurement,
  "wall_ms" | "cpu_ms" | "children_cpu_ms" | "peak_mib" | "check"
>;

/** Runs a module of this folder as a process; it prints a {@linkcode Cost}. */
export async function measureOnce(
  module: string,
  args: readonly string[],
): Promise<Cost> {
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-qA", "--no-check", import.meta.resolve(module), ...args],
    stdin: "null",
    stderr: "inherit",
  }).output();
  if (!success) throw new Error("the measured process failed");
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** Starts to measure this process; the result tells what it cost until it is called. */
export function measure(): () => Omit<Cost, "check"> {
  const start = performance.now();
  const before = process.cpuUsage();
  return () => {
    const wall_ms = performance.now() - start;
    const { user, system } = process.cpuUsage(before);
    const status = Deno.readTextFileSync("/proc/self/status");
    const times = Deno.readTextFileSync("/proc/self/stat").split(") ")[1]!
      .split(" ");
    return {
      wall_ms,
      cpu_ms: (user + system) / 1000,
      // in ticks of 1/100 s
      children_cpu_ms: (Number(times[13]) + Number(times[14])) * 10,
      peak_mib: Number(/VmHWM:\s*(\d+)/.exec(status)?.[1]) / 1024,
    };
  };
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
