/** Fuzzing several targets, and what is kept of failures. */
import { carryOut, type Failure, Lane, type Report } from "./engine.ts";
import { targetOf } from "./targets.ts";

/** What to do. */
export interface Campaign {
  /** Names of targets. */
  targets: readonly string[];
  seed: number;
  /** Inputs for each target; those that are costly get fewer. */
  runs?: number;
  /** Milliseconds for all together. */
  time?: number;
  /** How many targets at a time. */
  workers: number;
  /** Told of each target when it is done. */
  onReport?: (report: Report) => void;
}

/** The fewest inputs of a target, where their number is given. */
const FEWEST = 5;

/** Feeds the targets. */
export async function fuzz(campaign: Campaign): Promise<Report[]> {
  const { targets, seed, runs, time, workers, onReport } = campaign;
  const left = [...targets];
  const lanes = Math.min(workers, targets.length);
  const reports: Report[] = [];
  async function work() {
    using lane = new Lane();
    for (let name = left.shift(); name !== undefined; name = left.shift()) {
      const { cost = 1 } = targetOf(name) ?? {};
      const report = await lane.carryOut({
        target: name,
        seed,
        ...(runs !== undefined &&
          { runs: Math.max(FEWEST, Math.round(runs / cost)) }),
        ...(time !== undefined && { time: time * lanes / targets.length }),
      });
      reports.push(report);
      onReport?.(report);
    }
  }
  await Promise.all(Array.from({ length: lanes }, work));
  return reports;
}

/** Keeps a failure in a file; returns its path. */
export async function saveFailure(
  failure: Failure,
  directory: string,
): Promise<string> {
  await Deno.mkdir(directory, { recursive: true });
  const path = `${directory}/${failure.target}-${failure.seed}.json`;
  await Deno.writeTextFile(path, `${JSON.stringify(failure, null, 2)}\n`);
  return path;
}

/** Tries the input of a failure again. */
export async function replay(path: string): Promise<Report> {
  const { target, seed, input }: Failure = JSON.parse(
    await Deno.readTextFile(path),
  );
  return await carryOut({ target, seed, input: { value: input } });
}
