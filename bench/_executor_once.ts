/**
 * Runs tests one after the other on a system, in a process of its own:
 *
 *     _executor_once.ts WAY SYSTEM TREE DIRECTORY TESTS UNITS
 *
 * prints what that cost, and what so many (UNITS) of the cheapest commands on the
 * same system and of the least that would do for a test cost, done in between.
 */
import { FmfExecutor } from "../executors/fmf/executor.ts";
import { discover } from "../executors/fmf/discover.ts";
import { measure } from "./_once.ts";
import { openConnection, type Way } from "./_systems.ts";
import { median, spawnOnly } from "./_units.ts";

const [way, system, tree, directory] = Deno.args as [Way, ...string[]];
const [count, units] = Deno.args.slice(4).map(Number);

await using tests = await discover(tree);
const names = [...tests.data.keys()];

const timed = async <T>(work: () => Promise<T>): Promise<[number, T]> => {
  const start = performance.now();
  const value = await work();
  return [performance.now() - start, value];
};

const [connect_ms, connection] = await timed(() => openConnection(way, system));
await using _connection = connection;
const [start_ms, executor] = await timed(() =>
  new FmfExecutor(connection, { tests }).start()
);
await using _executor = executor;

/** Adds up what one kind of work cost, and keeps how long each took. */
class Sum {
  readonly walls: number[] = [];
  wall_ms = 0;
  cpu_ms = 0;
  children_cpu_ms = 0;

  async add(count: number, work: (n: number) => Promise<unknown>) {
    const cost = measure();
    for (let n = 0; n < count; n++) {
      const [wall] = await timed(() => work(n));
      this.walls.push(wall);
    }
    const { wall_ms, cpu_ms, children_cpu_ms } = cost();
    this.wall_ms += wall_ms;
    this.cpu_ms += cpu_ms;
    this.children_cpu_ms += children_cpu_ms;
  }

  /** What one of them costs. */
  get unit() {
    const { length } = this.walls;
    if (length === 0) return undefined;
    return {
      wall_ms: median(this.walls),
      cpu_ms: (this.cpu_ms + this.children_cpu_ms) / length,
    };
  }
}

/**
 * The least that would do for a test: one command, whose shell makes the
 * directory anew, writes the test and runs it. Nobody reads what the test
 * reports, ends it, or kills what it leaves.
 */
const LEAST = `\
rm -rf -- "$1"
mkdir -- "$1"
printf '%s\\n' '#!/bin/bash' true >"$1/test.sh"
printf '' >"$1/environment"
chmod 0755 -- "$1/test.sh"
bash "$1/test.sh"`;

const [all, spawns, commands, leasts] = [1, 2, 3, 4].map(() => new Sum());
const { argv } = connection.local(["true"]);
const place = `/var/tmp/atex-bench-${crypto.randomUUID()}`;
const least = connection.local(["bash", "-c", LEAST, "bash", place]).argv;
const rounds = Math.min(10, count);
let done = 0;
let passed = 0;
let results = 0;
for (let round = 1; round <= rounds; round++) {
  const end = Math.round(count * round / rounds);
  await all.add(end - done, async () => {
    const name = names[done++ % names.length];
    const artifacts = `${directory}/${done}`;
    Deno.mkdirSync(artifacts);
    if (await executor.runTest(name, artifacts) === 0) passed++;
    const stored = Deno.readTextFileSync(`${artifacts}/results`);
    results += stored.split("\n").length - 1;
    Deno.removeSync(artifacts, { recursive: true });
  });
  await spawns.add(5 * units / rounds, () => spawnOnly(["/bin/true"]));
  await commands.add(units / rounds, () => spawnOnly(argv));
  await leasts.add(units / rounds, () => spawnOnly(least));
}
await spawnOnly(connection.local(["rm", "-rf", "--", place]).argv);
const { peak_mib } = measure()();
const [stop_ms] = await timed(() => executor.stop());
const { walls: _, unit: test, wall_ms, cpu_ms, children_cpu_ms } = {
  ...all,
  unit: all.unit,
};
console.log(JSON.stringify({
  wall_ms,
  cpu_ms,
  children_cpu_ms,
  peak_mib,
  connect_ms,
  start_ms,
  stop_ms,
  test,
  units: { S: spawns.unit, C: commands.unit, least: leasts.unit },
  check: `${passed} passed, ${results} results`,
}));
