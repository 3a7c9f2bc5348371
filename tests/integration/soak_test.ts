/** What a run holds while it goes on, in a small form of `bench/soak.ts`. */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import type { Fault } from "../../bench/_soak_faults.ts";
import type { Sample } from "../../bench/_soak_samples.ts";
import { inMemory } from "../_memory.ts";
import { cannotRun, podmanMissing } from "../_podman.ts";

interface Soak {
  passed: number;
  failed: number;
  lent: number;
  released: number;
  faults: Record<Fault, number>;
  before: Sample;
  after: Sample & { containers: number };
  samples: Sample[];
}

const TESTS = 500;
const SIMULATED = 20;
const PODMAN = 3;
/** Faults in percent, and a seed with which each of them happens. */
const FAULTS = 10;
const SEED = 4;

Deno.test({
  name:
    "a run holds no more at its end than at its beginning, whatever goes wrong",
  ignore: cannotRun("soak", podmanMissing()),
  async fn() {
    const directory = await Deno.makeTempDir({
      prefix: "atex-test-",
      ...inMemory,
    });
    try {
      const [TMPDIR, out] = ["temporary", "out"].map((name) =>
        `${directory}/${name}`
      );
      for (const place of [TMPDIR!, out!]) await Deno.mkdir(place);
      const { success, stdout } = await new Deno.Command(Deno.execPath(), {
        args: [
          ...["run", "-qA", "--no-check", "--v8-flags=--expose-gc"],
          new URL("../../bench/_soak_once.ts", import.meta.url).href,
          ...[TESTS, SIMULATED, PODMAN, 100, FAULTS, SEED].map(String),
          out!,
        ],
        env: { TMPDIR: TMPDIR! },
        stdin: "null",
        stderr: "inherit",
        signal: AbortSignal.timeout(300_000),
      }).output();
      ok(success);
      const soak: Soak = JSON.parse(new TextDecoder().decode(stdout));
      checkFlat(soak);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});

function checkFlat({ faults, before, after, samples, ...soak }: Soak): void {
  const happened = Object.keys(faults).filter((fault) =>
    faults[fault as Fault] > 0
  );
  deepStrictEqual(happened.toSorted(), [
    "aborted",
    "failed",
    "ingest",
    "lost",
    "reservation",
    "setup",
  ]);
  strictEqual(soak.released, soak.lent);
  strictEqual(soak.passed + soak.failed, TESTS);
  const { containers, files, processes, descriptors } = after;
  deepStrictEqual({ containers, processes }, { containers: 0, processes: 0 });
  // the directory of the run, which held what was kept, and the file that says so
  strictEqual(files, 2);
  // those that Deno itself keeps, for signals and timers
  ok(descriptors <= before.descriptors + 15, `${descriptors} descriptors`);
  const half = samples.slice(0, samples.length / 2);
  const rest = samples.slice(samples.length / 2);
  const most = (list: Sample[], key: keyof Sample) =>
    Math.max(...list.map((one) => one[key]));
  const systems = SIMULATED + PODMAN;
  // a system has a directory and a process at most for each of its moments, a test a few files
  ok(most(rest, "processes") <= most(half, "processes") + PODMAN + 5);
  ok(most(rest, "descriptors") <= most(half, "descriptors") + 3 * PODMAN);
  ok(most(samples, "files") <= 10 * systems + 10 * faults.ingest);
  // each test that is over is in the summary, with a few numbers and names
  const growth = rest.at(-1)!.heap_mib - half.at(-1)!.heap_mib;
  const perTest = growth * 2 ** 20 / (TESTS / 2);
  ok(perTest < 10_000, `${perTest} bytes of heap for each test`);
}
