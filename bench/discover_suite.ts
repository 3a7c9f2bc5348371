/**
 * Measures discovery of a real suite, or of an imitation:
 *
 *     bench/discover_suite.ts [--root DIRECTORY] [--files few|many] [--against COMMAND] [--pairs N]
 *
 * Without `--root` a suite is made up: 475 tests in 55 files, or with `--files many`
 * 277 tests in 962 files among 2 155.
 */
import { discoveryBenchmark, measureDiscovery } from "./_discover.ts";
import { atMost } from "./_goals.ts";
import { measureOnce } from "./_once.ts";
import { benchmark } from "./_program.ts";
import { writeSuite } from "./_suites.ts";
import { median } from "./_units.ts";

await benchmark({
  name: "discover_suite",
  defaults: { root: "", files: "few" },
  choices: { files: ["few", "many"] },
  async prepare({ root, files }, { directory }) {
    const few = files === "few";
    if (root === "") {
      root = `${directory}/suite`;
      writeSuite(root, few ? "few" : "many");
    }
    return {
      ...await discoveryBenchmark(root),
      theirs: ["--root", root],
      async goals() {
        const [ours, floors]: [number[], number[]] = [[], []];
        for (let pair = 0; pair < 6; pair++) {
          const one = await measureDiscovery(root);
          const parsing = await measureOnce("./_parse_once.ts", [root]);
          if (pair === 0) continue;
          ours.push(one.cpu_ms);
          floors.push(parsing.cpu_ms);
        }
        const P = { wall_ms: NaN, cpu_ms: median(floors) };
        return {
          units: { P },
          goals: [
            atMost(few ? 2 : 1.6, {
              what: "CPU",
              value: median(ours),
              unit: "ms",
              floor: P.cpu_ms,
              floor_is: "P",
            }),
          ],
        };
      },
    };
  },
});
