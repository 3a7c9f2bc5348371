/**
 * Measures what a test writes, on its way into artifacts:
 *
 *     bench/control_….ts [--count N] [--connection local|ssh] [--against COMMAND] [--pairs N]
 *
 * COMMAND gets the options, `--tree DIRECTORY` with the test, `--system JSON` (how to
 * reach the system), and with `--stream FILE` what the test writes to its control
 * channel; it prints the same line of JSON.
 */
import type { Measured } from "./_compare.ts";
import {
  checkOf,
  countOf,
  type Stream,
  writeStream,
} from "./_control_streams.ts";
import { atMost, type Goal, limited, withinOf } from "./_goals.ts";
import { measureOnce } from "./_once.ts";
import { benchmark } from "./_program.ts";
import { startSystem, type Way } from "./_systems.ts";
import { copyUnit, type Units } from "./_units.ts";

/** Units and goals of one kind of stream. */
type Goals = (
  measured: Measured,
  context: {
    /** How many bytes the test writes. */
    size: number;
    directory: string;
    /** Measures the same with so many messages. */
    again(count: number): Promise<Measured>;
  },
) => Promise<{ units?: Units; goals: Goal[] }>;

const GOALS: Record<Stream, Goals> = {
  results: (measured, { size }) =>
    Promise.resolve({
      goals: [
        limited(1, {
          what: "reads of the controller for 16 KiB",
          value: (measured.reads as number) / (size / 16384),
          unit: "",
        }),
        limited(1, {
          what: "writes for a result",
          value: (measured.writes as number) / measured.n,
          unit: "",
        }),
      ],
    }),
  files: (measured) =>
    Promise.resolve({
      goals: [
        limited(2, {
          what: "writes for a result with a file",
          value: (measured.writes as number) / measured.n,
          unit: "",
        }),
      ],
    }),
  async partial(measured, { again }) {
    const few = await again(measured.n / 10);
    return {
      goals: [
        withinOf(8, {
          what: "memory with 10 times the results",
          value: measured.peak_mib,
          unit: "MiB",
          floor: few.peak_mib,
          floor_is: "memory",
        }),
      ],
    };
  },
  async upload(measured, { size, directory, again }) {
    const G = await copyUnit(directory, size);
    const few = await again(16);
    return {
      units: { G },
      goals: [
        atMost(1.3, {
          what: "CPU of the controller",
          value: measured.cpu_ms,
          unit: "ms",
          floor: G.cpu_ms,
          floor_is: "G",
        }),
        withinOf(16, {
          what: "memory, against 1 MiB",
          value: measured.peak_mib,
          unit: "MiB",
          floor: few.peak_mib,
          floor_is: "memory",
        }),
      ],
    };
  },
  async output(measured, { size, directory, again }) {
    const G = await copyUnit(directory, size);
    const few = await again(16);
    return {
      units: { G },
      goals: [
        atMost(0.02, {
          what: "CPU of the controller, beyond 1 MiB",
          value: Math.max(0, measured.cpu_ms - few.cpu_ms),
          unit: "ms",
          floor: G.cpu_ms,
          floor_is: "G",
        }),
        limited(1, {
          what: "of it through the controller",
          value: (measured.read_bytes as number) / 2 ** 20,
          unit: "MiB",
        }),
      ],
    };
  },
};

/** Runs the benchmark of one kind of stream. */
export async function controlBenchmark(stream: Stream): Promise<void> {
  await benchmark({
    name: `control_${stream}`,
    defaults: { count: countOf(stream), connection: "local" },
    choices: { connection: ["local", "ssh"] },
    async prepare({ count, connection }, { directory, resources }) {
      const way = connection as Way;
      const system = await startSystem(way, resources);
      const run = async (count: number): Promise<Measured> => {
        const { tree } = makeTree(`${directory}/${count}`, stream, count);
        const artifacts = `${directory}/artifacts`;
        Deno.mkdirSync(artifacts);
        const args = [way, system, tree, artifacts];
        const cost = await measureOnce("./_control_once.ts", args);
        Deno.removeSync(artifacts, { recursive: true });
        const expected = checkOf(stream, count);
        if (cost.check !== expected) {
          throw new Error(`there are ${cost.check}, not ${expected}`);
        }
        return { n: count, ...cost };
      };
      const { tree, path, size } = makeTree(
        `${directory}/${count}`,
        stream,
        count,
      );
      return {
        ours: () => run(count),
        theirs: [
          ...["--tree", tree, "--system", system],
          ...path === undefined ? [] : ["--stream", path],
        ],
        goals: (measured) =>
          GOALS[stream](measured, { size, directory, again: run }),
      };
    },
  });
}

/** Makes a tree of the one test that writes the stream, if it is not there yet. */
function makeTree(
  tree: string,
  stream: Stream,
  count: number,
): { tree: string; path?: string; size: number } {
  const blocks = stream === "upload" || stream === "output";
  const path = stream === "output" ? undefined : `${tree}.stream`;
  const size = blocks ? count * 65536 : 0;
  const test = path === undefined
    ? `head -c ${size} /dev/zero`
    : `cat ${path} >&$ATEX_TEST_CONTROL`;
  try {
    Deno.mkdirSync(`${tree}/.fmf`, { recursive: true });
    Deno.writeTextFileSync(`${tree}/.fmf/version`, "1\n", { createNew: true });
    Deno.writeTextFileSync(`${tree}/main.fmf`, `test: ${test}\n`);
    if (path !== undefined) writeStream(path, stream, count);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
  return {
    tree,
    ...(path !== undefined && { path }),
    size: path === undefined ? size : Deno.statSync(path).size,
  };
}
