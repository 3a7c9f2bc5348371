/**
 * Measures an HTML report of many results: making it, and using it in Chromium.
 *
 *     bench/html_report.ts [--count N] [--systems N]
 *
 * Needs `chromium`, which `dev/setup.sh` installs.
 */
import { parseArgs } from "@std/cli/parse-args";
import {
  type StoredResult,
  type TimedEvent,
  writeHtmlReport,
} from "../aggregators/html.ts";
import { openBrowser } from "../tests/_browser.ts";
import { measure, temporaryDirectory } from "./_once.ts";

const options = parseArgs(Deno.args, {
  string: ["count", "systems"],
  default: { count: "100000", systems: "50" },
});
const count = Number(options.count);
const systems = Number(options.systems);

const nameOf = (n: number) => `/area-${n % 97}/part-${n % 13}/case-${n}`;
const statusOf = (n: number) =>
  n % 101 === 0 ? "fail" : n % 53 === 0 ? "skip" : "pass";

function* results(): Generator<StoredResult> {
  for (let n = 0; n < count; n++) {
    const status = statusOf(n);
    yield {
      platform: "fedora-42@x86_64",
      test: nameOf(n),
      status,
      files: ["output.txt"],
      ...(status === "fail" && { note: "exit code 1, address in use" }),
    };
  }
}

/** Each system runs one test after the other, each for half a minute or so. */
function* events(): Generator<TimedEvent & Record<string, unknown>> {
  const tests = Array.from({ length: count }, (_, n) => nameOf(n));
  yield { time: 1, type: "run-started", platform: "fedora-42@x86_64", tests };
  for (let n = 0; n < count; n++) {
    const remote = `podman:${n % systems}`;
    const time = 10_000 + Math.floor(n / systems) * 31_000;
    if (n < systems) {
      yield {
        time: 1000,
        type: "remote-ready",
        remote,
        provisioner: "podman",
        attributes: {},
      };
      yield { time: 1000, type: "setup-started", remote };
      yield { time: 9000, type: "setup-finished", remote };
    }
    const about = { test: nameOf(n), attempt: 1, remote };
    yield { time, type: "test-started", ...about };
    yield {
      time: time + 30_000 - n % 7000,
      type: "test-finished",
      ...about,
      exitCode: statusOf(n) === "fail" ? 1 : 0,
      rerun: false,
    };
  }
  const time = 10_000 + Math.ceil(count / systems) * 31_000;
  yield { time, type: "run-finished", kind: null };
}

const directory = temporaryDirectory();
try {
  const report = `${directory}/report.html`;
  const made = measure();
  await writeHtmlReport(results(), { report, events: events() });
  const cost = made();
  const { size } = Deno.statSync(report);

  await using browser = await openBrowser();
  const page = await browser.newPage();
  /** How long something takes until the page shows what came of it. */
  const timed = async (action: () => Promise<unknown>) => {
    const start = performance.now();
    await action();
    await page.evaluate("new Promise((done) => requestAnimationFrame(done))");
    return Math.round(performance.now() - start);
  };
  const load_ms = await timed(async () => {
    await page.goto(`file://${report}`);
    await page.waitForSelector(".row");
  });
  const filter_ms = await timed(() => page.fill("#filter", "case-4711 area"));
  const found = await page.locator(".counted").textContent();
  const clear_ms = await timed(() => page.fill("#filter", ""));
  const sort_ms = await timed(() => page.click('[data-key="test"]'));
  const end_ms = await timed(async () => {
    await page.focus("#body");
    await page.keyboard.press("End");
  });
  const zoom_ms = await timed(() => page.click('[aria-label="Zoom in"]'));
  const rows = await page.locator(".row").count();
  const heap_mib = await page.evaluate(
    "Math.round(performance.memory.usedJSHeapSize / 2 ** 20)",
  );
  console.log(JSON.stringify({
    name: "html_report",
    options: { count, systems },
    n: count,
    ...cost,
    check: found,
    size,
    load_ms,
    filter_ms,
    clear_ms,
    sort_ms,
    end_ms,
    zoom_ms,
    rows,
    heap_mib,
  }));
} finally {
  Deno.removeSync(directory, { recursive: true });
}
