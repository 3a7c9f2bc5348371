/**
 * Measures the orchestrator with systems that only pretend:
 *
 *     bench/scheduler.ts [--tests N] [--remotes N] [--ms N] [--against COMMAND] [--pairs N]
 *
 * Without options: 1 000 tests of 130 ms on 100 systems. `gap_…` is the time from
 * the end of a test to the start of the next one on the same system;
 * `efficiency` is 1 if nothing but tests takes time.
 */
import { atMost, type Goal, limited, reached } from "./_goals.ts";
import { measureOnce } from "./_once.ts";
import { benchmark } from "./_program.ts";
import { spawnUnit } from "./_units.ts";

await benchmark({
  name: "scheduler",
  defaults: { tests: 1000, remotes: 100, ms: 130 },
  prepare({ tests, remotes, ms }) {
    return {
      ours: async () => ({
        n: tests,
        ...await measureOnce("./_scheduler_once.ts", [
          tests,
          remotes,
          ms,
          "none",
        ]),
      }),
      async goals(measured) {
        const { gap_p95_ms, efficiency, cpu_ms } = measured as Record<
          string,
          number
        >;
        const S = await spawnUnit();
        const goals: Goal[] = [];
        if (ms > 0) {
          goals.push(
            limited(remotes > 100 ? 5 : 2, {
              what: "gap, 95 of 100 are shorter",
              value: gap_p95_ms,
              unit: "ms",
            }),
            reached(remotes > 100 ? 0.8 : remotes > 10 ? 0.9 : 0.95, {
              what: "efficiency",
              value: efficiency,
              unit: "",
            }),
          );
        } else {
          goals.push(atMost(0.25, {
            what: "CPU of a test",
            value: cpu_ms / tests,
            unit: "ms",
            floor: S.cpu_ms,
            floor_is: "S",
          }));
        }
        return { units: { S }, goals };
      },
    };
  },
});
