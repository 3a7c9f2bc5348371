/**
 * Measures the memory of a controller at rest: tests ended, and one runs on each system.
 *
 *     bench/controller.ts [--remotes N] [--tests N] [--against COMMAND] [--pairs N]
 *
 * Without options: 1 000 pretended systems, 100 000 ended tests. What real systems
 * take is in `executor_idle`.
 */
import { limited, withinOf } from "./_goals.ts";
import { measureOnce, runProcess } from "./_once.ts";
import { benchmark } from "./_program.ts";

await benchmark({
  name: "controller",
  defaults: { remotes: 1000, tests: 100_000 },
  prepare({ remotes, tests }) {
    const run = async (tests: number, remotes: number) => {
      const flags = ["--no-check", "--v8-flags=--expose-gc"];
      const module = import.meta.resolve("./_controller_once.ts");
      const args = ["run", "-qA", ...flags, module, tests, remotes].map(String);
      const cost = JSON.parse(await runProcess("", [], { args }));
      return { n: tests, ...cost };
    };
    return {
      warm: false,
      ours: () => run(tests, remotes),
      async goals(measured) {
        const { peak_mib: E } = await measureOnce("./_idle_once.ts", []);
        const one = await run(1, 1);
        const few = await run(1, remotes);
        const [heap, fewer, least] = [measured, few, one].map((cost) =>
          cost.heap_mib as number
        );
        return {
          units: { E: { wall_ms: NaN, cpu_ms: NaN, peak_mib: E } },
          goals: [
            withinOf(30, {
              what: "one system, one test",
              value: one.rss_mib,
              unit: "MiB",
              floor: E,
              floor_is: "E",
            }),
            limited(0.2, {
              what: "heap of a system, pretended",
              value: (fewer - least) / (remotes - 1),
              unit: "MiB",
            }),
            limited(0, {
              what: "heap of an ended test",
              value: (heap - fewer) * 2 ** 20 / tests,
              unit: "bytes",
            }),
            withinOf(30 + 0.2 * remotes, {
              what: "all of the process",
              value: measured.rss_mib as number,
              unit: "MiB",
              floor: E,
              floor_is: "E",
            }),
          ],
        };
      },
    };
  },
});
