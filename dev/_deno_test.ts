/** Runs `deno test` and counts from its report, which also names what was ignored. */
import type { Counts, Steps } from "./_steps.ts";

/** What came of a run of `deno test`. */
export interface TestRun extends Counts {
  /** Tests that were not run because the machine lacks what they need: counted as skipped. */
  ignored: string[];
}

/** Runs the tests in `paths`, in front of the user or, if `quiet`, with output only in the end and only if one failed. */
export async function denoTest(
  steps: Steps,
  args: string[],
  quiet = false,
): Promise<TestRun> {
  const report = await Deno.makeTempFile({ suffix: ".xml" });
  const remove = () => Deno.removeSync(report);
  addEventListener("unload", remove); // when a signal ends us
  try {
    const argv = ["deno", "test", "-qA", `--junit-path=${report}`, ...args];
    const { ok, output } = quiet
      ? await steps.capture(argv)
      : await steps.show(argv);
    const run = readReport(await Deno.readTextFile(report));
    if (!ok && run.failed === 0) run.failed = 1; // it did not get as far as a test
    if (run.failed > 0) console.log(output);
    return run;
  } finally {
    removeEventListener("unload", remove);
    remove();
  }
}

function readReport(xml: string): TestRun {
  const run: TestRun = { passed: 0, failed: 0, skipped: 0, ignored: [] };
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
      run.ignored.push(`${file}: ${name}`);
      run.skipped++;
    } else if (!isStep) {
      run[/<(failure|error)\b/.test(body) ? "failed" : "passed"]++;
    }
  }
  return run;
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
