/** How benchmarks count wake-ups. */
import { ok } from "node:assert/strict";
import { countSwitches } from "../../bench/_once.ts";

Deno.test("a thread that ends meanwhile takes no wake-ups off the others", async () => {
  const code = `onmessage = ({ data }) => {
    Atomics.wait(new Int32Array(data), 0, 0, 1);
    for (let i = 0; i < 500; i++) Atomics.wait(new Int32Array(data), 1, 0, 1);
    postMessage("waited");
  };`;
  const url = `data:text/javascript,${encodeURIComponent(code)}`;
  const worker = new Worker(url, { type: "module" });
  const waited = new Promise((resolve) => worker.onmessage = resolve);
  worker.postMessage(new SharedArrayBuffer(8));
  await waited; // it has given up the processor 500 times

  const threads = () => [...Deno.readDirSync("/proc/self/task")].length;
  const before = threads();
  const switchesSince = countSwitches();
  worker.terminate();
  for (let i = 0; i < 200 && threads() === before; i++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  ok(threads() < before, "the thread has not ended");
  ok(switchesSince() >= 0);
});
