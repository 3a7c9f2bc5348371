/**
 * Runs many short tests on systems with faults: reservations and setups fail, systems vanish, tests are aborted or
 * fail, results cannot be stored. Tells what the process holds while it does so:
 *
 *     bench/soak.ts [--tests N] [--simulated N] [--podman N] [--ms N] [--faults PERCENT] [--seed N] [--table]
 *
 * Without options: 10 000 tests, of a second on 50 systems that only pretend and as short as they can be in 20
 * containers. `early` and `late` are medians of the first and of the last quarter of what was seen, `most` is the most.
 */
import type { Measured } from "./_compare.ts";
import { measureOnce } from "./_once.ts";
import { benchmark } from "./_program.ts";
import type { Sample } from "./_soak_samples.ts";

await benchmark({
  name: "soak",
  defaults: {
    tests: 10_000,
    simulated: 50,
    podman: 20,
    ms: 1000,
    faults: 5,
    seed: 1,
  },
  prepare(options, { directory }) {
    const { tests, simulated, podman, ms, faults, seed } = options;
    return {
      warm: false,
      async ours() {
        const places = ["temporary", "out"].map((name) =>
          `${directory}/${name}`
        );
        for (const place of places) Deno.mkdirSync(place);
        const [TMPDIR, out] = places;
        const { samples, ...found } = await measureOnce("./_soak_once.ts", [
          ...[tests, simulated, podman, ms, faults, seed],
          out!,
        ], { env: { TMPDIR: TMPDIR!, DENO_V8_FLAGS: "--expose-gc" } });
        for (const place of places) Deno.removeSync(place, { recursive: true });
        const table = tableOf(samples as unknown as Sample[]);
        return { n: tests, ...found, table } as Measured;
      },
    };
  },
});

function tableOf(samples: readonly Sample[]): string[][] {
  return [
    ["tests", "heap MiB", "RSS MiB", "descriptors", "processes", "files"],
    ...samples.map((one) => [
      `${one.tests}`,
      one.heap_mib.toFixed(1),
      one.rss_mib.toFixed(0),
      `${one.descriptors}`,
      `${one.processes}`,
      `${one.files}`,
    ]),
  ];
}
