/**
 * Measures all of it: discovery, systems, tests, results, as a process of its own:
 *
 *     bench/end_to_end.ts [--systems 1|4|16] [--tests N] [--against COMMAND] [--pairs N]
 *
 * Without options: 100 tests that do nothing, on 4 systems (this one, four times).
 */
import { atMost, limited } from "./_goals.ts";
import { writeHundred } from "./_hundred.ts";
import { measureOnce } from "./_once.ts";
import { benchmark } from "./_program.ts";
import { spawnUnit } from "./_units.ts";

await benchmark({
  name: "end_to_end",
  defaults: { systems: 4, tests: 100 },
  prepare({ systems, tests }, { directory }) {
    const tree = `${directory}/tree`;
    writeHundred(tree, "true", tests);
    const temporary = `${directory}/tmp`;
    Deno.mkdirSync(temporary);
    return {
      warm: false,
      theirs: ["--tree", tree],
      async ours() {
        const out = `${directory}/out`;
        Deno.mkdirSync(out);
        const cost = await measureOnce(
          "./_end_to_end_once.ts",
          [tree, out, systems],
          { env: { TMPDIR: temporary } },
        );
        Deno.removeSync(out, { recursive: true });
        return { n: tests, ...cost, left: leftOf(tree, temporary) };
      },
      async goals({ cpu_ms, children_cpu_ms, left }) {
        const S = await spawnUnit(200);
        return {
          units: { S },
          goals: [
            atMost(30, {
              what: "CPU of a test, all included",
              value: (cpu_ms + children_cpu_ms) / tests,
              unit: "ms",
              floor: S.cpu_ms,
              floor_is: "S",
            }),
            limited(0, {
              what: "files left beside the results",
              value: left as number,
              unit: "",
            }),
          ],
        };
      },
    };
  },
});

/** How many temporary files and uploaded copies of the tree are there. */
function leftOf(tree: string, temporary: string): number {
  const original = Deno.readTextFileSync(`${tree}/main.fmf`);
  let left = [...Deno.readDirSync(temporary)].length;
  for (const place of ["/var", "/var/tmp"]) {
    for (const { name } of Deno.readDirSync(place)) {
      if (!name.startsWith("atex-")) continue;
      try {
        const copy = `${place}/${name}/tests/main.fmf`;
        if (Deno.readTextFileSync(copy) === original) left++;
      } catch {
        // of somebody else
      }
    }
  }
  return left;
}
