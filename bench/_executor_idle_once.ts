/**
 * Runs tests that sleep, all at once, each with an executor of its own, in a process of its own:
 *
 *     _executor_idle_once.ts TREE DIRECTORY TESTS SECONDS
 *
 * prints what the process did in so many seconds while all of them slept.
 */
import { Semaphore } from "@std/async/unstable-semaphore";
import { LocalConnection } from "../connections/local.ts";
import { discover } from "../executors/fmf/discover.ts";
import { FmfExecutor } from "../executors/fmf/executor.ts";
import { countSwitches, measure } from "./_once.ts";

const [tree, directory] = Deno.args;
const [count, seconds] = Deno.args.slice(2).map(Number);
const delay = (ms: number) =>
  new Promise<void>((resolve) => setTimeout(resolve, ms));

await using tests = await discover(tree);
const [name] = tests.data.keys();
const starting = new Semaphore(4);
const sleeping = new AbortController();

async function startedExecutor(): Promise<FmfExecutor> {
  using _permit = await starting.acquire();
  return await new FmfExecutor(await LocalConnection.open(), { tests }).start();
}

const executors = await Promise.all(
  Array.from({ length: count }, startedExecutor),
);
const running = executors.map((executor, n) => {
  const artifacts = `${directory}/${n}`;
  Deno.mkdirSync(artifacts);
  return executor.runTest(name, artifacts, { signal: sleeping.signal })
    .then(() => 0, () => 1);
});
await delay(Math.max(5, 0.06 * count) * 1000);

const switchesSince = countSwitches();
const cost = measure();
await delay(seconds * 1000);
const measured = cost();
const wakeups = switchesSince();

sleeping.abort();
let ended = 0;
for (const one of running) ended += await one;
await Promise.all(executors.map((executor) => executor.stop()));
for (let n = 0; n < count; n++) {
  Deno.removeSync(`${directory}/${n}`, { recursive: true });
}
console.log(JSON.stringify({
  ...measured,
  wakeups_per_s: wakeups / seconds,
  cpu_ms_per_s: measured.cpu_ms / seconds,
  check: `${ended} tests slept`,
}));
