/**
 * Runs that are killed at random moments and started again until they are done.
 * `ATEX_KILLS` says how often (30), `ATEX_KILL_TESTS` how many tests each run has
 * (40), `ATEX_KILL_CONTAINERS` how many containers there are beside local systems (2).
 * The full matrix: `ATEX_KILLS=200 ATEX_KILL_TESTS=60 ATEX_KILL_CONTAINERS=4`.
 */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { cannotRun, imageName, podman, podmanMissing } from "../_podman.ts";
import { until } from "../_wait.ts";

const SCRIPT = new URL("_resumed_run.ts", import.meta.url).pathname;
const KILLS = Number(Deno.env.get("ATEX_KILLS") ?? 30);
const TESTS = Number(Deno.env.get("ATEX_KILL_TESTS") ?? 40);
const SYSTEMS = 8;
const CONTAINERS = Number(Deno.env.get("ATEX_KILL_CONTAINERS") ?? 2);
const IN_FULL = CONTAINERS > 2;
/** A run that was killed so often is left alone: on a busy machine it gets on slowly. */
const MOST_OF_ONE_RUN = 25;
const RERUNS = 1;

const noPodman = cannotRun("killed runs on containers", podmanMissing());

type Noted = { test: string; attempt: number } | {
  stored: string;
  attempt: number;
};

/** Starts the script; kills it so long after it began, if it still runs. Tells whether it was. */
async function startAndKill(
  args: readonly string[],
  killAfter?: number,
): Promise<{ killed: boolean; pid: number; ms: number }> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-qA", "--no-check", SCRIPT, ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    env: { TMPDIR: `${args[0]}/tmp` },
  }).spawn();
  const errors = new Response(child.stderr).text();
  let printed = "";
  let begun = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const kill = () => {
    try {
      child.kill("SIGKILL");
    } catch {
      // it has ended
    }
  };
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    if (printed === "") {
      begun = performance.now();
      if (killAfter !== undefined) timer = setTimeout(kill, killAfter);
    }
    printed += text;
  }
  const { code, signal } = await child.status;
  clearTimeout(timer);
  const said = await errors;
  const how = { pid: child.pid, ms: performance.now() - begun };
  if (signal === "SIGKILL") return { ...how, killed: true };
  strictEqual(code, 0, printed + said);
  const line = printed.split("\n").at(-2)!;
  const { notRun, ingested } = JSON.parse(line);
  deepStrictEqual([notRun, ingested], [[], Number(args[1])]);
  return { ...how, killed: false };
}

/** What a test looks like in results: the number of lines, and the attempt. */
async function testsIn(
  path: string,
): Promise<Map<string, { lines: number; attempt: number }>> {
  const tests = new Map<string, { lines: number; attempt: number }>();
  let last: string | undefined;
  const { readable } = await Deno.open(path);
  const text = await new Response(
    path.endsWith(".gz")
      ? readable.pipeThrough(new DecompressionStream("gzip"))
      : readable,
  ).text();
  for (const line of text === "" ? [] : text.trimEnd().split("\n")) {
    const [, , test, , , , { attempt }] = JSON.parse(line);
    if (test === last) {
      tests.get(test)!.lines++;
    } else {
      ok(!tests.has(test), `${test} is there twice in ${path}`);
      tests.set(test, { lines: 1, attempt });
    }
    last = test;
  }
  return tests;
}

/** Checks everything that a run, killed so many times, must have left, and nothing else. */
async function check(
  out: string,
  kills: number,
  { tests, args, form }: Runs,
): Promise<void> {
  const results = await testsIn(`${out}/results.${form}`);
  strictEqual(results.size, tests);
  const noted: Noted[] = Deno.readTextFileSync(`${out}/runs.log`).trimEnd()
    .split("\n").map((line) => JSON.parse(line));
  const last = new Map<string, number>();
  const stored = new Set<string>();
  for (const one of noted) {
    if ("stored" in one) {
      ok(!stored.has(one.stored), `${one.stored} was stored twice`);
      stored.add(one.stored);
      continue;
    }
    const { test, attempt } = one;
    ok(!stored.has(test), `${test} ran after it was stored`);
    ok(attempt > (last.get(test) ?? 0), `attempt ${attempt} of ${test} twice`);
    ok(attempt <= 1 + RERUNS + kills, `${test} ran ${attempt} times`);
    last.set(test, attempt);
  }
  const [systems, , containers = 0] = args;
  const most = tests * (1 + RERUNS) +
    kills * (Number(systems) + Number(containers));
  const attempts = noted.filter((one) => !("stored" in one)).length;
  ok(attempts <= most, `${attempts} attempts after ${kills} kills`);
  for (const [test, { lines, attempt }] of results) {
    const index = Number(/t(\d+)/.exec(test)![1]) +
      (/below/.test(test) ? 1 : 0);
    strictEqual(lines, 1 + [0, 1, 12, 300][index % 4], test);
    strictEqual(attempt, last.get(test), `the last attempt of ${test} counts`);
    const own = `${out}/files/here${test}/own.txt`;
    if (form === "jsonl.gz") ok(Deno.statSync(`${own}.gz`).isFile);
    else strictEqual(Deno.readTextFileSync(own), `${test} ${attempt}\n`);
  }
  await testsIn(`${out}/earlier.jsonl`);
  const names = (path: string) =>
    [...Deno.readDirSync(path)].map(({ name }) => name).sort();
  deepStrictEqual(names(out), [
    "earlier",
    "earlier.jsonl",
    "files",
    `results.${form}`,
    "run.journal",
    "runs.log",
    "tmp",
  ]);
  // who watches over a killed script may be at work
  await until(() => names(`${out}/tmp`).length === 0);
  deepStrictEqual(names(`${out}/files`), ["here"]);
  ok(names(`${out}/earlier`).every((name) => name === "here"));
}

/** Containers of these processes, in any state. */
async function containersOf(pids: ReadonlySet<number>): Promise<string[]> {
  const rows = await podman(
    "ps",
    "-a",
    "--format",
    '{{.Names}} {{index .Labels "atex.owner"}}',
  );
  return rows.split("\n").filter((row) =>
    row.split(" ")[1]?.split("/").some((part) => pids.has(Number(part)))
  );
}

interface Runs {
  tests: number;
  /** How many local systems there are, the image of containers, and how many of these. */
  args: readonly [systems: string, image?: string, containers?: string];
  /** Up to so many milliseconds after its begin a run is killed, at the least; up to its end if that comes later. */
  longest: number;
  form: "jsonl" | "jsonl.gz";
}

/** Kills runs so many times in all; each is started again until it is done. */
async function killAndResume(kills: number, runs: Runs): Promise<Set<number>> {
  const { tests, args, form } = runs;
  let { longest } = runs;
  const pids = new Set<number>();
  for (let killed = 0; killed < kills;) {
    const out = await Deno.makeTempDir({ prefix: "atex-test-" });
    await Deno.mkdir(`${out}/tmp`);
    const command = [out, `${tests}`, form, ...args.map(String)];
    let here = 0;
    for (;;) {
      const more = killed + here < kills && here < MOST_OF_ONE_RUN;
      const run = await startAndKill(
        command,
        more ? Math.random() * longest : undefined,
      );
      pids.add(run.pid);
      if (!run.killed && here === 0) longest = Math.max(longest, run.ms);
      if (!run.killed) break;
      here++;
    }
    // nothing is left to do
    if (killed === 0) await startAndKill(command);
    await check(out, here, runs);
    await Deno.remove(out, { recursive: true });
    killed += here;
  }
  return pids;
}

for (const form of ["jsonl", "jsonl.gz"] as const) {
  const kills = Math.ceil(KILLS / 2);
  Deno.test(`a run with results in ${form} that is killed at ${kills} random moments stores each test exactly once`, async () => {
    const args = [`${SYSTEMS}`] as const;
    await killAndResume(kills, { tests: TESTS, args, longest: 400, form });
  });
}

Deno.test({
  name:
    "a run on containers, too, that is killed stores each test exactly once",
  ignore: noPodman,
  fn: async () => {
    const systems = IN_FULL ? SYSTEMS : 1;
    const pids = await killAndResume(
      IN_FULL ? KILLS : Math.ceil(KILLS / 10),
      {
        tests: TESTS,
        args: [`${systems}`, imageName("tiny"), `${CONTAINERS}`],
        longest: 1500,
        form: "jsonl",
      },
    );
    const since = performance.now();
    while ((await containersOf(pids)).length > 0) {
      ok(performance.now() - since < 60_000, "containers are left");
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  },
});
