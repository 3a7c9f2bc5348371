/**
 * Measures what a test costs beside itself, one test after the other on one system:
 *
 *     bench/executor.ts [--connection local|ssh|ssh-fresh|podman] [--tests N] [--against COMMAND] [--pairs N]
 *
 * Without options: 100 tests on this system. Systems are an sshd on loopback, a
 * container of an image of `dev/setup.sh`. Processes are counted where strace is installed.
 */
import { atMost, type Goal, limited } from "./_goals.ts";
import { writeHundred } from "./_hundred.ts";
import { measureOnce } from "./_once.ts";
import { processesOfEach, straceMissing } from "./_processes.ts";
import { benchmark } from "./_program.ts";
import { startSystem, type Way, WAYS } from "./_systems.ts";
import type { Unit } from "./_units.ts";

/** What a test may cost, by the way to its system. */
const GOALS: Record<Way, (test: Unit, S: Unit, C: Unit) => Goal[]> = {
  local: (test, S) => [
    atMost(25, {
      what: "CPU of a test",
      value: test.cpu_ms,
      unit: "ms",
      floor: S.cpu_ms,
      floor_is: "S",
    }),
    atMost(18, {
      what: "wall of a test (a fifth of 90 S)",
      value: test.wall_ms,
      unit: "ms",
      floor: S.wall_ms,
      floor_is: "S",
    }),
  ],
  ssh: (test, _, R) => [wall(3, test, R, "R")],
  "ssh-fresh": (test, _, fresh) => [wall(1.5, test, fresh, "new connection")],
  podman: (test, _, X) => [wall(1.5, test, X, "X")],
};

function wall(limit: number, test: Unit, floor: Unit, floor_is: string): Goal {
  return atMost(limit, {
    what: "wall of a test",
    value: test.wall_ms,
    unit: "ms",
    floor: floor.wall_ms,
    floor_is,
  });
}

await benchmark({
  name: "executor",
  defaults: { connection: "local", tests: 100 },
  choices: { connection: WAYS },
  async prepare({ connection, tests }, { directory, resources }) {
    const way = connection as Way;
    const system = await startSystem(way, resources);
    const tree = `${directory}/tree`;
    writeHundred(tree);
    const module = "./_executor_once.ts";
    const args = (tests: number, units: number) =>
      [way, system, tree, directory, tests, units].map(String);
    return {
      theirs: ["--tree", tree, "--system", system],
      warm: false, // the start warms what there is
      ours: async () => ({
        n: tests,
        ...await measureOnce(module, args(tests, 50)),
      }),
      async goals({ units, test }) {
        const { S, C } = units as Record<"S" | "C", Unit>;
        const goals = GOALS[way](test as Unit, S, C);
        if (straceMissing()) return { goals };
        const counts = await processesOfEach(module, (n) => args(n, 0));
        const count = (what: string, limit: number, value: number) =>
          limited(limit, { what, value, unit: "" });
        return {
          processes: counts,
          goals: [
            ...goals,
            ...way === "local"
              ? [count("programs of a test", 6, counts.execs)]
              : [],
            count("children of a test", 1, counts.children),
          ],
        };
      },
    };
  },
});
