/** What the benchmarks of discovery share. */
import type { Measured } from "./_compare.ts";
import { measureOnce, runProcess } from "./_once.ts";
import type { Benchmark } from "./_program.ts";

const MODULE = "./_discover_once.ts";

/** Discovers what is below a directory, in a process of its own. */
export async function measureDiscovery(root: string): Promise<Measured> {
  const start = performance.now();
  const cost = await measureOnce(MODULE, [root]);
  return { n: cost.n as number, ...cost, wall_ms: performance.now() - start };
}

/** Measures that process; its check is a digest of all that it found. */
export async function discoveryBenchmark(root: string): Promise<Benchmark> {
  const url = import.meta.resolve(MODULE);
  const { check } = JSON.parse(await runProcess(url, [root, "--check"]));
  return { ours: async () => ({ ...await measureDiscovery(root), check }) };
}
