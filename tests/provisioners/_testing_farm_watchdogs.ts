import type { FarmServer } from "./_testing_farm_server.ts";

/** A process beside a script that ends its requests. */
export interface RunningWatchdog {
  readonly pid: number;
  /** Its words, each with a NUL after it. */
  readonly argv: string;
}

/** Watchdogs for a service. */
export async function watchdogsOf(
  server: FarmServer,
): Promise<RunningWatchdog[]> {
  const url = encodeURIComponent(server.url);
  const found: RunningWatchdog[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const argv = await Deno.readTextFile(`/proc/${name}/cmdline`)
      .catch(() => "");
    if (argv.includes("data:") && argv.includes(url)) {
      found.push({ pid: Number(name), argv });
    }
  }
  return found;
}
