/**
 * `deno task test`: everything. `deno task test PATH…`: the tests in those files or folders.
 *
 * The last line is `tests: N passed, N failed, N skipped`, where each step of the gate, each test and each
 * conformance case counts one; the exit status is 1 if any failed. A test that cannot run here, because the machine
 * lacks what it needs, is named at the end; with `CI=true` it counts as failed.
 */
import { type Counts, Steps } from "./_steps.ts";
import { gate } from "./check.ts";
import { existsSync, readFileSync } from "node:fs";

const inCi = Deno.env.get("CI") === "true";
const couldNotRun: string[] = [];

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

/** Runs `deno test` and counts from its report, which also names what was ignored. */
async function denoTest(
  steps: Steps,
  name: string,
  args: string[],
): Promise<void> {
  console.log(`\n--- ${name}`);
  const report = await Deno.makeTempFile({ suffix: ".xml" });
  try {
    const ok = await steps.show([
      "deno",
      "test",
      "-qA",
      `--junit-path=${report}`,
      ...args,
    ]);
    const counts = readReport(await Deno.readTextFile(report));
    if (!ok && counts.failed === 0) counts.failed = 1; // it did not get as far as a test
    steps.count(name, counts);
  } finally {
    await Deno.remove(report);
  }
}

function readReport(xml: string): Counts {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  const seen = new Set<string>();
  for (
    const [, attributes, body = ""] of xml.matchAll(
      /<testcase ([^>]*?)(?:\/>|>(.*?)<\/testcase>)/gs,
    )
  ) {
    const [name, file] = ["name", "classname"].map((key) =>
      unescape(new RegExp(`\\b${key}="([^"]*)"`).exec(attributes)![1])
    );
    // A step follows its test and is named "test > step"; only one that could not run counts beside its test.
    const parts = name.split(" > ");
    const isStep = parts.slice(1).some((_, i) =>
      seen.has(`${file} ${parts.slice(0, i + 1).join(" > ")}`)
    );
    seen.add(`${file} ${name}`);
    if (/<skipped\b/.test(body)) {
      couldNotRun.push(`${file}: ${name}`);
      counts[inCi ? "failed" : "skipped"]++;
    } else if (!isStep) {
      counts[/<(failure|error)\b/.test(body) ? "failed" : "passed"]++;
    }
  }
  return counts;
}

const ENTITIES: Record<string, string> = {
  "&lt;": "<",
  "&gt;": ">",
  "&quot;": '"',
  "&apos;": "'",
  "&amp;": "&",
};

const unescape = (text: string) =>
  text.replaceAll(/&(?:lt|gt|quot|apos|amp);/g, (entity) => ENTITIES[entity]);

async function conformance(steps: Steps): Promise<void> {
  console.log("\n--- conformance");
  const { ok, stdout } = await steps.tee([
    "deno",
    "run",
    "-qA",
    "tests/conformance/run.ts",
  ]);
  const [passed, failed, skipped] =
    (/(\d+) passed, (\d+) failed, (\d+) skipped\n$/
      .exec(stdout) ?? []).slice(1).map(Number);
  steps.count(
    "conformance",
    passed === undefined
      ? { passed: 0, failed: 1, skipped: 0 }
      : { passed, failed: failed || +!ok, skipped },
  );
}

async function everything(steps: Steps): Promise<void> {
  await gate(steps);
  await denoTest(steps, "unit tests", [
    "--no-check",
    "--parallel",
    "--ignore=tests/integration,tests/structure_test.ts",
    "tests",
  ]);
  await conformance(steps);
  await denoTest(steps, "integration tests", [
    "--no-check",
    "tests/integration",
  ]);
  console.log();
  await steps.run("publish (dry run)", [
    "deno",
    "publish",
    "--dry-run",
    "--allow-dirty",
  ]);
}

const ready = await setUp();
await using steps = await Steps.start(readSetup());
if (Deno.args.length > 0) await denoTest(steps, "tests", Deno.args);
else {
  await everything(steps);
  if (!ready) {
    steps.count("setup", { passed: 0, failed: +inCi, skipped: +!inCi });
  }
}
if (couldNotRun.length > 0) {
  console.log(
    `\ncould not run here:\n${
      couldNotRun.map((name) => `  ${name}\n`).join("")
    }`,
  );
}
Deno.exitCode = steps.summary();
