/** What the costs of benchmarks are compared with, measured in the same run. */
import { measure } from "./_once.ts";

/** What something costs that is as cheap as can be. */
export interface Unit {
  wall_ms: number;
  /** Of this process and of its children. */
  cpu_ms: number;
  peak_mib?: number;
}

/** Units by their letter. */
export type Units = Record<string, Unit>;

/** The one in the middle. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

/** What one of `count` calls costs, one after the other, after some that do not count. */
export async function each(
  count: number,
  call: () => unknown,
  unmeasured = Math.ceil(count / 10),
): Promise<Unit> {
  for (let i = 0; i < unmeasured; i++) await call();
  const walls: number[] = [];
  const cost = measure();
  for (let i = 0; i < count; i++) {
    const start = performance.now();
    await call();
    walls.push(performance.now() - start);
  }
  const { cpu_ms, children_cpu_ms } = cost();
  return {
    wall_ms: median(walls),
    cpu_ms: (cpu_ms + children_cpu_ms) / count,
  };
}

/** Starts a program with no streams and waits for its end. */
export async function spawnOnly([file, ...args]: readonly string[]) {
  const { success } = await new Deno.Command(file, {
    args,
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn().status;
  if (!success) throw new Error(`${file} failed`);
}

/** S: one child that does nothing. */
export const spawnUnit = (count = 500): Promise<Unit> =>
  each(count, () => spawnOnly(["/bin/true"]), 20);

/** G: so many bytes through a pipe into a file, by two small programs. */
export async function copyUnit(
  directory: string,
  bytes: number,
  count = 3,
): Promise<Unit> {
  const file = `${directory}/copied`;
  const script = 'head -c "$1" /dev/zero | cat >"$2"';
  const argv = ["/bin/sh", "-c", script, "sh", String(bytes), file];
  const unit = await each(count, () => spawnOnly(argv), 1);
  Deno.removeSync(file);
  return unit;
}

/** What several things cost, done in turn, so that whatever else the machine does disturbs all of them alike. */
export async function alternately(
  count: number,
  calls: readonly (() => unknown)[],
): Promise<Unit[]> {
  const walls: number[][] = calls.map(() => []);
  const cpu = calls.map(() => 0);
  for (let round = 0; round <= count; round++) {
    for (const [i, call] of calls.entries()) {
      const cost = measure();
      await call();
      if (round === 0) continue; // warms the caches
      const { wall_ms, cpu_ms, children_cpu_ms } = cost();
      walls[i].push(wall_ms);
      cpu[i] += cpu_ms + children_cpu_ms;
    }
  }
  return walls.map((walls, i) => ({
    wall_ms: median(walls),
    cpu_ms: cpu[i] / count,
  }));
}
