/** How many processes a test takes, and what sleeping tests do. */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { writeHundred } from "../../bench/_hundred.ts";
import { measureOnce } from "../../bench/_once.ts";
import { processesOfEach, straceMissing } from "../../bench/_processes.ts";
import { startSystem, type Way } from "../../bench/_systems.ts";
import { cannotRun, podmanMissing } from "../_podman.ts";
import { sshdMissing } from "../_sshd.ts";
import { temporaryDirectory } from "./_directory.ts";

const MISSING: Record<Way, string | undefined> = {
  local: undefined,
  ssh: sshdMissing(),
  "ssh-fresh": sshdMissing(),
  podman: podmanMissing(),
};

for (const way of Object.keys(MISSING) as Way[]) {
  Deno.test({
    name: `a test takes one process of this program, way "${way}"`,
    ignore: cannotRun("performance", straceMissing(), MISSING[way]),
    async fn() {
      await using resources = new AsyncDisposableStack();
      const { path } = resources.use(await temporaryDirectory());
      const system = await startSystem(way, resources);
      writeHundred(`${path}/tree`);
      const { children, execs, forks, programs } = await processesOfEach(
        "./_executor_once.ts",
        (count) => [way, system, `${path}/tree`, path, String(count), "0"],
        2,
      );
      strictEqual(children, 1, JSON.stringify(programs));
      if (way === "local") {
        ok(execs <= 6, JSON.stringify(programs));
        ok(forks <= 6, `${forks} forks`);
      } else if (way.startsWith("ssh")) {
        deepStrictEqual(programs.ssh, 1);
      }
    },
  });
}

Deno.test("tests that sleep wake nobody", async () => {
  await using directory = await temporaryDirectory();
  const tree = `${directory.path}/tree`;
  writeHundred(tree, "sleep 600", 1);
  const run = (tests: number) =>
    measureOnce("./_executor_idle_once.ts", [tree, directory.path, tests, 4]);
  const [none, many] = [await run(0), await run(20)];
  strictEqual(many.check, "20 tests slept");
  const more = Number(many.wakeups_per_s) - Number(none.wakeups_per_s);
  ok(more <= 2, `${more} wake-ups a second more`);
});
