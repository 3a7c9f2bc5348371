/**
 * One discovery in a process of its own, for `discover.ts`: prints what it cost,
 * or with `--check` what it found.
 */
import { createHash } from "node:crypto";
import process from "node:process";
import { discover } from "../executors/fmf/discover.ts";
import { CONTEXT } from "./_trees.ts";

/** JSON with all keys sorted. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const map = value as Record<string, unknown>;
  const items = Object.keys(map).sort()
    .map((key) => `${JSON.stringify(key)}:${canonical(map[key])}`);
  return `{${items.join(",")}}`;
}

const [root, ...flags] = Deno.args;
await using tests = await discover(root, {
  context: CONTEXT,
  libraries: false,
});
if (flags.includes("--check")) {
  const hash = createHash("sha256");
  hash.update(canonical(Object.fromEntries(tests.data)));
  console.log(JSON.stringify({ check: hash.digest("hex") }));
} else {
  const { user, system } = process.cpuUsage();
  const status = Deno.readTextFileSync("/proc/self/status");
  const peak = Number(/VmHWM:\s*(\d+)/.exec(status)?.[1]);
  console.log(JSON.stringify({
    n: tests.data.size,
    cpu_ms: (user + system) / 1000,
    peak_mib: peak / 1024,
  }));
}
