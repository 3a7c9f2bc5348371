/**
 * One discovery in a process of its own, for `_discover.ts`: prints what it cost,
 * or with `--check` what it found.
 */
import { discover } from "../executors/fmf/discover.ts";
import { canonical } from "./_canonical.ts";
import { total } from "./_once.ts";
import { CONTEXT } from "./_trees.ts";

const [root, ...flags] = Deno.args;
await using tests = await discover(root, {
  context: CONTEXT,
  libraries: false,
});
if (flags.includes("--check")) {
  const { createHash } = await import("node:crypto");
  const hash = createHash("sha256");
  hash.update(canonical(Object.fromEntries(tests.data)));
  console.log(JSON.stringify({ check: hash.digest("hex") }));
} else {
  console.log(JSON.stringify({ n: tests.data.size, ...total(), check: "" }));
}
