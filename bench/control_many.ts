/**
 * Measures many streams through control channels at once, 1 GiB in all:
 *
 *     bench/control_many.ts [--streams N] [--mib N] [--against COMMAND] [--pairs N]
 *
 * Without options: 100 streams, each of one file.
 */
import { atMost, withinOf } from "./_goals.ts";
import { measureOnce } from "./_once.ts";
import { benchmark } from "./_program.ts";

await benchmark({
  name: "control_many",
  defaults: { streams: 100, mib: 1024 },
  prepare({ streams, mib }, { directory }) {
    const run = async (streams: number) => {
      const artifacts = `${directory}/artifacts`;
      Deno.mkdirSync(artifacts);
      const cost = await measureOnce("./_control_many_once.ts", [
        artifacts,
        streams,
        Math.floor(mib * 2 ** 20 / streams),
      ]);
      Deno.removeSync(artifacts, { recursive: true });
      return { n: streams, ...cost };
    };
    return {
      ours: () => run(streams),
      async goals(measured) {
        const one = await run(1);
        const many = streams > 100;
        return {
          goals: [
            atMost(many ? 4 : 1.3, {
              what: "CPU, with the programs that write",
              value: measured.cpu_ms + measured.children_cpu_ms,
              unit: "ms",
              floor: one.cpu_ms + one.children_cpu_ms,
              floor_is: "one stream",
            }),
            withinOf(many ? 100 : 30, {
              what: "memory",
              value: measured.peak_mib,
              unit: "MiB",
              floor: one.peak_mib,
              floor_is: "one stream",
            }),
          ],
        };
      },
    };
  },
});
