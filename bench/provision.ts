/**
 * Measures how soon tests run on systems that have to be made:
 *
 *     bench/provision.ts [--pool podman|pretended] [--systems N] [--against COMMAND] [--pairs N]
 *
 * Without options: 10 containers of an image of `dev/setup.sh`. A pretended system
 * takes 150 ms, four at a time.
 */
import { atMost } from "./_goals.ts";
import { measureOnce } from "./_once.ts";
import { benchmark } from "./_program.ts";
import { median } from "./_units.ts";

await benchmark({
  name: "provision",
  defaults: { pool: "podman", systems: 10 },
  choices: { pool: ["podman", "pretended"] },
  prepare({ pool, systems }) {
    const run = (systems: number) =>
      measureOnce("./_provision_once.ts", [pool, systems]);
    return {
      ours: async () => ({ n: systems, ...await run(systems) }),
      async goals() {
        const pairs = [];
        for (let pair = 0; pair < 3; pair++) {
          pairs.push({ one: await run(1), all: await run(systems) });
        }
        const one = median(pairs.map(({ one }) => one.first_test_ms as number));
        const floor = { floor: one, floor_is: "one start", unit: "ms" };
        return {
          goals: [
            atMost(1.5, {
              what: "until the first test",
              value: median(
                pairs.map(({ all }) => all.first_test_ms as number),
              ),
              ...floor,
            }),
            atMost(7, {
              what: "until all systems have tests",
              value: median(
                pairs.map(({ all }) => all.last_first_test_ms as number),
              ),
              ...floor,
            }),
          ],
        };
      },
    };
  },
});
