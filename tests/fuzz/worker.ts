/// <reference lib="deno.worker" />
/** A worker of `engine.ts`. */
import fc from "fast-check";
import { BATCH, PROGRESS, type Report, type Task } from "./engine.ts";
import type { Target } from "./target.ts";
import { targetOf } from "./targets.ts";

interface Order {
  task: Task;
  directory: string;
  progress: Int32Array;
}

/** What inputs must not change: all objects have it. */
const SHARED = [Object, Array, Function, String, Number, Map, Promise];

const fingerprint = () =>
  SHARED.flatMap((one) => [one, one.prototype])
    .map((one) => Reflect.ownKeys(one).length).join();

const before = fingerprint();

async function check(
  target: Target,
  input: unknown,
  directory: string,
): Promise<void> {
  await target.check(input, directory);
  if (fingerprint() !== before) {
    throw new Error("objects of the platform were changed");
  }
}

/** Tries inputs until one fails, or enough were tried. */
async function fuzz({ task, directory, progress }: Order): Promise<Report> {
  const target = targetOf(task.target)!;
  const { runs = Infinity, time = Infinity } = task;
  const end = performance.now() + time;
  let done = 0;
  const property = fc.asyncProperty(target.inputs, async (input) => {
    progress[PROGRESS.inBatch] = done++;
    progress[PROGRESS.tried]!++;
    await check(target, input, directory);
    progress[PROGRESS.runs]!++;
  });
  for (let seed = task.seed; progress[PROGRESS.runs]! < runs; seed++) {
    progress[PROGRESS.seed] = seed;
    done = 0;
    const left = runs - progress[PROGRESS.runs]!;
    const details = await fc.check(property, {
      seed,
      numRuns: Math.min(BATCH, left),
      ...(time !== Infinity && {
        interruptAfterTimeLimit: Math.max(1, end - performance.now()),
      }),
    });
    if (details.failed && details.counterexample) {
      const { counterexample: [input], errorInstance } = details;
      return {
        target: target.name,
        runs: progress[PROGRESS.runs]!,
        failure: {
          target: target.name,
          oracle: target.oracle,
          seed,
          input,
          error: textOf(errorInstance),
        },
      };
    }
    if (performance.now() > end) break;
  }
  return { target: target.name, runs: progress[PROGRESS.runs]! };
}

/** Tries one input. */
async function repeat({ task, directory }: Order): Promise<Report> {
  const target = targetOf(task.target)!;
  const { name, oracle } = target;
  const { value } = task.input!;
  try {
    await check(target, value, directory);
  } catch (error) {
    const { seed } = task;
    const failure = { target: name, oracle, seed, input: value };
    return {
      target: name,
      runs: 1,
      failure: { ...failure, error: textOf(error) },
    };
  }
  return { target: name, runs: 1 };
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.stack ?? error.message : String(error);
}

self.addEventListener("message", async (event: MessageEvent<Order>) => {
  const order = event.data;
  const { input } = order.task;
  self.postMessage(await (input ? repeat(order) : fuzz(order)));
});
self.postMessage(undefined);
