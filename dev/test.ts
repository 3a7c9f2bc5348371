/**
 * `deno task test`: everything. `deno task test PATH…`: the tests in those files or folders.
 *
 * The last line is `tests: N passed, N failed, N skipped`, where each step of the gate, each test and each
 * conformance case counts one; the exit status is 1 if any failed. A test that cannot run here, because the machine
 * lacks what it needs, is named at the end; with `CI=true` it counts as failed. A file that takes longer than
 * `ATEX_TEST_MINUTES` (20) is ended and counts as failed. What waits for systems, or measures, and failed beside others is
 * tried once more with nothing beside it: what counts is that, and its name is told at the end.
 */
import { existsSync, readFileSync } from "node:fs";
import { denoTest, type TestRun } from "./_deno_test.ts";
import { inLanes } from "./_lanes.ts";
import { secondsSince, Steps } from "./_steps.ts";
import { gate } from "./check.ts";

const inCi = Deno.env.get("CI") === "true";
const couldNotRun: string[] = [];
/** Files that failed beside others and passed alone. */
const flaky: string[] = [];

/** What `setup.sh` found or made, see there; what the caller has set wins. */
function readSetup(): Record<string, string> {
  const cache = Deno.env.get("XDG_CACHE_HOME") ??
    `${Deno.env.get("HOME")}/.cache`;
  const file = `${cache}/atex-test/env`;
  const text = existsSync(file) ? readFileSync(file, "utf8") : "";
  return Object.fromEntries(
    [...text.matchAll(/^(\w+)=(.*)$/gm)].map(([, name, value]) => [name, value])
      .filter(([name]) => !Deno.env.has(name)),
  );
}

/** Runs `setup.sh`; what it could not get makes some tests impossible, which they say themselves. */
async function setUp(): Promise<boolean> {
  const script = new URL("setup.sh", import.meta.url).pathname;
  const { code } = await new Deno.Command(script, { stdin: "null" }).spawn()
    .status;
  return code === 0;
}

/** Adds to the total; in CI nothing may be left out. */
function count(steps: Steps, name: string, run: TestRun): void {
  const { passed, failed, skipped, ignored } = run;
  couldNotRun.push(...ignored);
  steps.count(
    name,
    inCi
      ? { passed, failed: failed + skipped, skipped: 0 }
      : { passed, failed, skipped },
  );
}

/** Runs one path in a process of its own, since tests set variables of their process. */
async function runPath(steps: Steps, path: string): Promise<TestRun> {
  const start = performance.now();
  const run = await denoTest(steps, ["--no-check", path], true);
  const { passed, failed, skipped } = run;
  console.log(
    `${path}: ${passed} passed, ${failed} failed, ${skipped} skipped (${
      secondsSince(start)
    } s)`,
  );
  return run;
}

/** Folders whose files run side by side. */
const WITH_REAL_PARTS = ["integration", "faults"];

/** Folders of tests that wait for little, and measure nothing: what fails there has failed, whatever else runs. */
const SURE = ["aggregators", "docs", "fuzz", "orchestrators"];

/** The files that take longest, the longest first. */
const LONG = [
  "torture",
  "connections_copy",
  "executor_suite",
  "abort_matrix",
  "provisioner_libvirt",
  "permissions",
  "crash_matrix",
  "executor_faults",
  "html_report",
].map((name) => `tests/integration/${name}_test.ts`);

/** Folders of tests that need no real parts beside processes. */
function unitTests(): string[] {
  return [...Deno.readDirSync("tests")]
    .filter(({ name, isDirectory }) =>
      isDirectory && !["conformance", ...WITH_REAL_PARTS].includes(name) &&
      hasTests(`tests/${name}`)
    )
    .map(({ name }) => `tests/${name}`).sort();
}

/** Files of tests with real parts, the long ones first: what is left for the end is short. */
function integrationTests(): string[] {
  const files = WITH_REAL_PARTS.map((folder) => `tests/${folder}`)
    .flatMap((folder) =>
      [...Deno.readDirSync(folder)]
        .filter(({ name }) => name.endsWith("_test.ts"))
        .map(({ name }) => `${folder}/${name}`)
    )
    .sort((a, b) => Deno.statSync(b).size - Deno.statSync(a).size);
  return [...new Set([...LONG, ...files])];
}

/** Some folders hold only what tests elsewhere use. */
function hasTests(folder: string): boolean {
  return [...Deno.readDirSync(folder)].some(({ name, isDirectory }) =>
    isDirectory ? hasTests(`${folder}/${name}`) : name.endsWith("_test.ts")
  );
}

async function conformance(steps: Steps): Promise<void> {
  console.log("\n--- conformance");
  const argv = ["deno", "run", "-qA", "tests/conformance/run.ts"];
  const { ok, output } = await steps.tee(argv);
  const last = /(\d+) passed, (\d+) failed, (\d+) skipped\n$/.exec(output);
  const [passed, failed, skipped] = (last ?? [0, 0, 1, 0]).slice(1).map(Number);
  steps.count("conformance", { passed, failed: failed || +!ok, skipped });
}

async function everything(steps: Steps): Promise<void> {
  await gate(steps);
  await conformance(steps);
  console.log("\n--- tests");
  const results = await inLanes(
    [...unitTests(), ...integrationTests()],
    (path) => runPath(steps, path),
    (path) => !SURE.some((folder) => path === `tests/${folder}`),
  );
  for (const { path, run, isFlaky } of results) {
    count(steps, path, run);
    if (isFlaky) flaky.push(path);
  }
  console.log();
  const publish = ["deno", "publish", "--dry-run", "--allow-dirty"];
  await steps.run("publish (dry run)", publish);
}

function list(title: string, names: string[]): void {
  if (names.length === 0) return;
  console.log(`\n${title}:`);
  for (const name of names) console.log(`  ${name}`);
}

Deno.chdir(new URL("..", import.meta.url));
const ready = await setUp();
await using steps = await Steps.start(readSetup());
if (Deno.args.length > 0) {
  count(steps, "tests", await denoTest(steps, Deno.args));
} else {
  await everything(steps);
  if (!ready) {
    steps.count("setup", { passed: 0, failed: +inCi, skipped: +!inCi });
  }
}
list("could not run here", couldNotRun);
list("failed beside others, passed alone", flaky);
Deno.exitCode = steps.summary();
