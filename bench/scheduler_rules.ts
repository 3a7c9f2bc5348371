/**
 * Measures what a rule for the next test costs:
 *
 *     bench/scheduler_rules.ts [--rule priority|duration|none] [--tests N] [--remotes N]
 *                              [--against COMMAND] [--pairs N]
 *
 * Without options: longest first, 10 000 tests that end at once, on 100 systems.
 * The check is the order on one system.
 */
import { atMost } from "./_goals.ts";
import { measureOnce } from "./_once.ts";
import { benchmark } from "./_program.ts";
import { median } from "./_units.ts";

await benchmark({
  name: "scheduler_rules",
  defaults: { rule: "duration", tests: 10_000, remotes: 100 },
  choices: { rule: ["priority", "duration", "none"] },
  prepare({ rule, tests, remotes }) {
    const run = async (rule: string) => ({
      n: tests,
      ...await measureOnce("./_scheduler_once.ts", [tests, remotes, 0, rule]),
    });
    return {
      ours: () => run(rule),
      async goals() {
        const pairs: [number, number][] = [];
        for (let pair = 0; pair < 5; pair++) {
          const { cpu_ms } = await run("none");
          pairs.push([(await run(rule)).cpu_ms, cpu_ms]);
        }
        return {
          goals: [
            atMost(1.3, {
              what: `CPU with the rule "${rule}"`,
              value: median(pairs.map(([value]) => value)),
              unit: "ms",
              floor: median(pairs.map(([, floor]) => floor)),
              floor_is: "CPU without a rule",
            }),
          ],
        };
      },
    };
  },
});
