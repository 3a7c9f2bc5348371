/** Prints how many bytes a queue needs for each test that waits and that no rule tells apart; needs `--v8-flags=--expose-gc`. */
import { TestQueue } from "../../orchestrators/_queue.ts";

const COUNT = 200_000;
const { gc } = globalThis as unknown as { gc: () => void };
const names = Array.from({ length: COUNT }, (_, i) => `/t${i}`);

function heap(): number {
  gc();
  const { heapUsed, external } = Deno.memoryUsage();
  return heapUsed + external;
}

const before = heap();
const queue = new TestQueue(names, []);
const bytes = (heap() - before) / COUNT;
if (queue.size !== names.length) throw new Error(`${queue.size} tests wait`);
console.log(bytes);
