/**
 * Runs that are killed at random moments and started again until they are done.
 * `ATEX_KILLS` says how often (30), `ATEX_KILL_TESTS` how many tests each run has
 * (40). The full matrix: `ATEX_KILLS=200 ATEX_KILL_TESTS=60`.
 */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { cannotRun, imageName, podman, podmanMissing } from "../_podman.ts";

const SCRIPT = new URL("_resumed_run.ts", import.meta.url).pathname;
const KILLS = Number(Deno.env.get("ATEX_KILLS") ?? 30);
const TESTS = Number(Deno.env.get("ATEX_KILL_TESTS") ?? 40);
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
): Promise<{ killed: boolean; pid: number }> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-qA", "--no-check", SCRIPT, ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const errors = new Response(child.stderr).text();
  let printed = "";
  let timer: ReturnType<typeof setTimeout> | undefined;
  const kill = () => {
    try {
      child.kill("SIGKILL");
    } catch {
      // it has ended
    }
  };
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    if (printed === "" && killAfter !== undefined) {
      timer = setTimeout(kill, killAfter);
    }
    printed += text;
  }
  const { code, signal } = await child.status;
  clearTimeout(timer);
  const said = await errors;
  if (signal === "SIGKILL") return { killed: true, pid: child.pid };
  strictEqual(code, 0, printed + said);
  const line = printed.split("\n").at(-2)!;
  const { notRun, ingested } = JSON.parse(line);
  deepStrictEqual([notRun, ingested], [[], Number(args[1])]);
  return { killed: false, pid: child.pid };
}

/** What a test looks like in results: the number of lines, and the attempt. */
function testsIn(
  path: string,
): Map<string, { lines: number; attempt: number }> {
  const tests = new Map<string, { lines: number; attempt: number }>();
  let last: string | undefined;
  const text = Deno.readTextFileSync(path);
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
function check(out: string, kills: number, tests: number): void {
  const results = testsIn(`${out}/results.jsonl`);
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
  for (const [test, { lines, attempt }] of results) {
    const index = Number(/t(\d+)/.exec(test)![1]) +
      (/below/.test(test) ? 1 : 0);
    strictEqual(lines, 1 + [0, 1, 12, 300][index % 4], test);
    strictEqual(attempt, last.get(test), `the last attempt of ${test} counts`);
    strictEqual(
      Deno.readTextFileSync(`${out}/files/here${test}/own.txt`),
      `${test} ${attempt}\n`,
    );
  }
  testsIn(`${out}/earlier.jsonl`);
  const names = (path: string) =>
    [...Deno.readDirSync(path)].map(({ name }) => name).sort();
  deepStrictEqual(names(out), [
    "earlier",
    "earlier.jsonl",
    "files",
    "results.jsonl",
    "run.journal",
    "runs.log",
  ]);
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

/** Kills runs so many times in all; each is started again until it is done. */
async function killAndResume(
  kills: number,
  { tests, args, longest }: {
    tests: number;
    args: readonly string[];
    /** Up to so many milliseconds after its begin a run is killed. */
    longest: number;
  },
): Promise<Set<number>> {
  const pids = new Set<number>();
  for (let killed = 0; killed < kills;) {
    const out = await Deno.makeTempDir({ prefix: "atex-test-" });
    const command = [out, `${tests}`, ...args];
    let here = 0;
    for (;;) {
      const more = killed + here < kills && here < MOST_OF_ONE_RUN;
      const run = await startAndKill(
        command,
        more ? Math.random() * longest : undefined,
      );
      pids.add(run.pid);
      if (!run.killed) break;
      here++;
    }
    // nothing is left to do
    if (killed === 0) await startAndKill(command);
    check(out, here, tests);
    await Deno.remove(out, { recursive: true });
    killed += here;
  }
  return pids;
}

Deno.test(`a run that is killed at ${KILLS} random moments stores each test exactly once`, async () => {
  await killAndResume(KILLS, { tests: TESTS, args: ["8"], longest: 400 });
});

Deno.test({
  name:
    "a run on containers, too, that is killed stores each test exactly once",
  ignore: noPodman,
  fn: async () => {
    const full = KILLS >= 100;
    const pids = await killAndResume(full ? KILLS : Math.ceil(KILLS / 10), {
      tests: TESTS,
      args: [full ? "8" : "1", imageName("tiny"), full ? "4" : "2"],
      longest: 1500,
    });
    const since = performance.now();
    while ((await containersOf(pids)).length > 0) {
      ok(performance.now() - since < 10_000, "containers are left");
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  },
});
