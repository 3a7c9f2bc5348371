/** Feeding a target, in a worker that is ended if an input keeps it busy. */
import { cpuUsage } from "node:process";
import fc from "fast-check";
import { inMemory } from "../_memory.ts";
import { targetOf, TARGETS } from "./targets.ts";

/** What to do with a target. */
export interface Task {
  target: string;
  /** The numbers of the batches that follow are those that follow this one. */
  seed: number;
  /** How many inputs; without it, as many as there is time for. */
  runs?: number;
  /** Milliseconds. */
  time?: number;
  /** An input to try, instead of made ones. */
  input?: { value: unknown };
}

/** An input for which the oracle of a target does not hold. */
export interface Failure {
  target: string;
  oracle: string;
  /** The seed of the batch that it was in. */
  seed: number;
  /** The smallest that was found. */
  input: unknown;
  /** What went wrong. */
  error: string;
}

/** What came of a task. */
export interface Report {
  target: string;
  /** Inputs that were tried. */
  runs: number;
  failure?: Failure;
}

/** Inputs of one seed: so many have to be made again to find one that hangs. */
export const BATCH = 100;
/** Milliseconds of processors that this process may take while an input is tried: none takes a tenth of it. */
const LONGEST = 20_000;

/** Where a worker tells how far it is. */
export const PROGRESS = { runs: 0, seed: 1, inBatch: 2, tried: 3 } as const;

/** A worker, and another one if that had to be ended. */
export class Lane implements Disposable {
  readonly #longest: number;
  #worker: Worker | undefined;

  /** `longest` are the milliseconds of processors after which an input is said to hang. */
  constructor({ longest = LONGEST }: { longest?: number } = {}) {
    this.#longest = longest;
  }

  /** Carries out a task. */
  async carryOut(task: Task): Promise<Report> {
    const { target, oracle } = describe(task.target);
    const progress = new Int32Array(new SharedArrayBuffer(16));
    const directory = await Deno.makeTempDir({
      prefix: "atex-fuzz-",
      ...inMemory,
    });
    let timer: ReturnType<typeof setInterval> | undefined;
    try {
      const worker = this.#worker ??= await startWorker();
      const done = new Promise<Report>((resolve, reject) => {
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = (event) => {
          event.preventDefault();
          reject(new Error(`the worker of ${target} died: ${event.message}`));
        };
      });
      worker.postMessage({ task, directory, progress });
      const hung = new Promise<Report>((resolve) => {
        const patience = new Patience(this.#longest);
        timer = setInterval(() => {
          if (patience.lasts(progress[PROGRESS.tried]!)) return;
          this[Symbol.dispose]();
          const failure = { ...hanging(task, progress), target, oracle };
          resolve({ target, runs: progress[PROGRESS.runs]!, failure });
        }, this.#longest / 10);
      });
      return await Promise.race([done, hung]);
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    } finally {
      clearInterval(timer);
      await Deno.remove(directory, { recursive: true });
    }
  }

  /** Ends the worker. */
  [Symbol.dispose](): void {
    this.#worker?.terminate();
    this.#worker = undefined;
  }
}

/** A worker that listens: its first message tells. */
async function startWorker(): Promise<Worker> {
  const worker = new Worker(new URL("./worker.ts", import.meta.url), {
    type: "module",
  });
  await new Promise((resolve, reject) => {
    worker.onmessage = resolve;
    worker.onerror = reject;
  });
  return worker;
}

/** Carries out a single task. */
export async function carryOut(
  task: Task,
  options: { longest?: number } = {},
): Promise<Report> {
  using lane = new Lane(options);
  return await lane.carryOut(task);
}

/**
 * How long a worker may be without progress. On a busy machine time passes and
 * nothing is done: what counts is the time of processors, unless it waits.
 */
class Patience {
  readonly #longest: number;
  #before = -1;
  #cpu = 0;
  #wall = 0;

  constructor(longest: number) {
    this.#longest = longest;
  }

  /** Whether it lasts at this place of the work. */
  lasts(place: number): boolean {
    const { user, system } = cpuUsage();
    const cpu = (user + system) / 1000;
    const wall = performance.now();
    if (place !== this.#before) {
      [this.#before, this.#cpu, this.#wall] = [place, cpu, wall];
    }
    return cpu - this.#cpu < this.#longest &&
      wall - this.#wall < 10 * this.#longest;
  }
}

/** The input that keeps a worker busy, made again; it is as it was made, not smaller. */
function hanging(
  { target, input }: Task,
  progress: Int32Array,
): Pick<Failure, "seed" | "input" | "error"> {
  const seed = progress[PROGRESS.seed]!;
  /** More than there are, while a smaller input is looked for. */
  const number = progress[PROGRESS.inBatch]!;
  const { inputs } = targetOf(target)!;
  return {
    seed,
    input: input ? input.value : fc.sample(inputs, {
      seed,
      numRuns: Math.min(number + 1, BATCH),
    }).at(-1),
    error: number < BATCH
      ? "it does not end"
      : "making the input smaller does not end; this is not the one that failed",
  };
}

function describe(name: string): { target: string; oracle: string } {
  const found = targetOf(name);
  if (found) return { target: name, oracle: found.oracle };
  throw new TypeError(
    `there is no target "${name}": there are ${[...TARGETS.keys()].join(", ")}`,
  );
}
