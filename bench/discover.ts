/**
 * Measures discovery, as a process of its own:
 *
 *     bench/discover.ts [--shape flat|wide|adjust|deep] [--tests N] [--against COMMAND] [--pairs N]
 *
 * Without options: the shape `wide`, 1 000 tests. The check is a digest of all that was found.
 */
import { discoveryBenchmark, measureDiscovery } from "./_discover.ts";
import { atMost, limited } from "./_goals.ts";
import { benchmark } from "./_program.ts";
import { type Shape, SHAPES, writeTree } from "./_trees.ts";

await benchmark({
  name: "discover",
  defaults: { shape: "wide", tests: 1000 },
  choices: { shape: SHAPES },
  async prepare(options, { directory }) {
    const { tests } = options;
    const shape = options.shape as Shape;
    const tree = (tests: number) => {
      const root = `${directory}/${tests}`;
      writeTree(root, shape, tests); // again, if it is there
      return root;
    };
    const root = tree(tests);
    return {
      ...await discoveryBenchmark(root),
      theirs: ["--root", root],
      async goals() {
        const costs = [];
        for (const times of [1, 4, 10, 50]) {
          costs.push(await measureDiscovery(tree(times * tests)));
        }
        const [one, four, ten, fifty] = costs;
        const growth = { unit: "ms", floor: one.cpu_ms, floor_is: "CPU" };
        return {
          goals: [
            atMost(6, {
              what: "CPU with 4 times the tests",
              value: four.cpu_ms,
              ...growth,
            }),
            atMost(12, {
              what: "CPU with 10 times the tests",
              value: ten.cpu_ms,
              ...growth,
            }),
            limited(5, {
              what: "memory of a test, from 10 to 50 times as many",
              value: (fifty.peak_mib - ten.peak_mib) * 1024 / (40 * tests),
              unit: "KiB",
            }),
          ],
        };
      },
    };
  },
});
