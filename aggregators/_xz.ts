/** Compressing by the program `xz`. */
import { type Compressor, type Job, slots } from "./_compressor.ts";
import { copyAttributes } from "./_move.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
/** Bytes of the dictionary of each level. */
const LARGEST = [1 / 4, 1, 2, 4, 4, 8, 8, 16, 32, 64].map((size) => size * MIB);
/** A smaller dictionary costs as much. */
const SMALLEST = 64 * KIB;
/** What users set for themselves is not for us. */
const env = { XZ_DEFAULTS: "", XZ_OPT: "" };

/**
 * Makes a compressor of a level.
 *
 * @throws {Deno.errors.NotFound} if there is no such program
 */
export async function openXz(level: number): Promise<Compressor> {
  await checkProgram();
  return {
    async compress(jobs, scratch) {
      Deno.mkdirSync(scratch);
      try {
        const outcomes = await Promise.allSettled(
          [...bySize(jobs, LARGEST[level]!)].map(([dictionary, group]) =>
            compressGroup(
              group,
              `preset=${level},dict=${dictionary}`,
              `${scratch}/${dictionary}`,
            )
          ),
        );
        const failed = outcomes.find(({ status }) => status === "rejected");
        if (failed) throw (failed as PromiseRejectedResult).reason;
      } finally {
        Deno.removeSync(scratch, { recursive: true });
      }
    },
  };
}

async function checkProgram(): Promise<void> {
  try {
    await new Deno.Command("xz", {
      args: ["--version"],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).output();
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new Deno.errors.NotFound(
      'Cannot compress by xz: the program "xz" is not installed',
      { cause },
    );
  }
}

/**
 * Files that go together, by the dictionary that is large enough for each: to
 * allocate one costs far more than to compress a small file.
 */
function bySize(jobs: readonly Job[], largest: number): Map<number, Job[]> {
  return Map.groupBy(jobs, ({ info: { size } }) => {
    const enough = 2 ** Math.ceil(Math.log2(Math.max(size, SMALLEST)));
    return Math.min(enough, largest);
  });
}

/** Compresses files in one process: it takes names, and writes beside what they name. */
async function compressGroup(
  jobs: readonly Job[],
  filter: string,
  scratch: string,
): Promise<void> {
  using _slot = await slots.acquire();
  Deno.mkdirSync(scratch);
  const names = jobs.map(({ from }, index) => {
    Deno.symlinkSync(Deno.realPathSync(from), `${scratch}/${index}`);
    return `${index}\0`;
  });
  await run(
    ["--force", "--no-warn", "--threads=1", `--lzma2=${filter}`, "--files0"],
    scratch,
    names.join(""),
  );
  jobs.forEach(({ info, to }, index) => {
    Deno.renameSync(`${scratch}/${index}.xz`, to);
    copyAttributes(info, to);
  });
}

async function run(
  args: string[],
  cwd: string,
  input: string,
): Promise<void> {
  const child = new Deno.Command("xz", {
    args,
    cwd,
    env,
    stdin: "piped",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const [{ success, code, stderr }] = await Promise.all([
    child.output(),
    // it may end before it has read all; its status tells why
    new Blob([input]).stream().pipeTo(child.stdin).catch(() => {}),
  ]);
  if (success) return;
  const said = new TextDecoder().decode(stderr).trim().split("\n")[0];
  throw new Error(
    `Cannot compress by xz: it ended with exit code ${code}${
      said && `, ${said}`
    }`,
  );
}
